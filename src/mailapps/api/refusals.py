"""Every exception that ends a request, as the problem that its caller is told."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from mailapps.api.config import ApiConfig
from mailapps.api.heads import request_id
from mailapps.api.problems import KINDS, MEDIA_TYPE, ApiCode, RefusedError, ShapeCode, invalid, problem_body
from mailcore.caps import FROM
from mailcore.errors import (
    CapReachedError,
    ConflictError,
    EmailNotFoundError,
    InvalidMessageError,
    KeyReusedError,
    NoProviderCanCarryError,
    Problem,
    SuppressedError,
    UnavailableError,
)
from mailcore.message import LIMITS

_SHOWN = 64
_AGAIN = {"Retry-After": "1"}
_CAPS = {"": ApiCode.DAILY_CAP, FROM: ApiCode.SENDER_CAP}
"""What a cap is called by where in the message it points to; all others point to a recipient."""
_BY_STATUS = {
    HTTPStatus.BAD_REQUEST: (ApiCode.MALFORMED_JSON, "the request cannot be read"),
    HTTPStatus.NOT_FOUND: (ApiCode.NOT_FOUND, "no route has this path; /schema/openapi.json lists them"),
    HTTPStatus.METHOD_NOT_ALLOWED: (ApiCode.METHOD_NOT_ALLOWED, "the header Allow lists the methods of this path"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (ApiCode.BODY_TOO_LARGE, f"at most {LIMITS.request_bytes} bytes"),
}


def answer_refusal(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the problem that a caller is told of an exception, and tell us of one that nobody expected."""
    refused = refusal(error)
    name = request_id(request.scope)
    if refused.code is ApiCode.INTERNAL_ERROR:
        config: ApiConfig = request.app.state["config"]
        config.on_crash(name, error)
    body = problem_body(refused, _instance(request.scope), name)
    return Response(
        msgspec.json.encode(body),
        media_type=MEDIA_TYPE,
        status_code=KINDS[refused.code].status,
        headers=refused.headers,
    )


def _instance(scope: Mapping[str, object]) -> str:
    """Return the path of a request, or its route's if there is an address in it: a problem may end up in a log."""
    path = str(scope["path"])
    return str(scope.get("path_template", "/")) if "@" in path else path[:_SHOWN]


def refusal(error: Exception) -> RefusedError:
    """Return what a caller is told of an exception."""
    match error:
        case RefusedError():
            return error
        case InvalidMessageError():
            return invalid(error.problems)
        case UnavailableError() | TimeoutError():
            detail = "nobody knows whether it happened: repeat the request, with the same Idempotency-Key if it had one"
            return RefusedError(ApiCode.STORE_UNAVAILABLE, detail, headers=_AGAIN)
        case HTTPException():
            return _of_framework(error)
        case _:
            return _of_email(error)


def _of_email(error: Exception) -> RefusedError:
    """Return what a caller is told when an e-mail cannot be found, changed or made."""
    match error:
        case EmailNotFoundError():
            return RefusedError(ApiCode.EMAIL_NOT_FOUND, "no e-mail has this id, or what was asked for is gone")
        case ConflictError():
            return RefusedError(ApiCode.CONFLICT, str(error))
        case CapReachedError():
            code = _CAPS.get(error.pointer, ApiCode.RECIPIENT_CAP)
            return RefusedError(code, str(error), headers={"Retry-After": str(error.retry_after_s)})
        case KeyReusedError():
            return RefusedError(ApiCode.KEY_REUSED, str(error))
        case NoProviderCanCarryError():
            return RefusedError(ApiCode.NO_PROVIDER, "see errors for each provider's reason", errors=_reasons(error))
        case SuppressedError():
            detail = "see errors for each of them; GET /api/suppressions lists them, and DELETE lifts one"
            return RefusedError(ApiCode.SUPPRESSED, detail, errors=error.problems)
        case _:
            detail = "the failure is recorded under this request_id; repeat the request with the same Idempotency-Key"
            return RefusedError(ApiCode.INTERNAL_ERROR, detail, headers=_AGAIN)


def _reasons(error: NoProviderCanCarryError) -> list[Problem]:
    """Return each provider's reason."""
    return [Problem("", ShapeCode.CANNOT_CARRY, f"{name}: {reason}") for name, reason in error.reasons.items()]


def _of_framework(error: HTTPException) -> RefusedError:
    """Return what a caller is told of a request that reached no route, or none whole."""
    if error.status_code not in _BY_STATUS:
        return RefusedError(ApiCode.INTERNAL_ERROR, "the failure is recorded under this request_id", headers=_AGAIN)
    code, detail = _BY_STATUS[HTTPStatus(error.status_code)]
    return RefusedError(code, detail, headers=error.headers)
