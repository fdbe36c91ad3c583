"""Who may call: whoever shows the key of the settings or a key that the store keeps, or nobody but this machine."""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import Request
from litestar.types import Scope

from mailapps.api.config import ApiConfig
from mailapps.api.heads import header
from mailapps.api.local_names import check_local_name
from mailapps.api.problems import ApiCode, RefusedError
from mailapps.api.rights import ADMINISTRATOR, ANYBODY, Caller, caller_with, need_of
from mailcore.keys import KeyState, state_of

AnyRequest = Request[Any, Any, Any]
Gate = Callable[[AnyRequest], Awaitable[None]]

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


def gate_for(config: ApiConfig) -> Gate:
    """Return what stands before every route under /api, and knows who asks once it has let somebody through.

    It is a hook before the route, neither a guard of the framework, which copies the route for each guard and
    request, nor a middleware, around each of which it puts one more for errors.
    """
    expected = None if config.admin_key is None else config.admin_key.reveal().encode()

    async def gate(request: AnyRequest) -> None:
        scope = request.scope
        given = header(scope, b"authorization")
        if expected is None and not given:
            check_local_name(header(scope, b"host"))
        elif expected is None or not _matches(given, expected):
            caller = await _caller(config, given)
            scope["state"]["caller"] = caller
            await _must_be_few(config, caller, scope)
            _must_be_permitted(caller, scope)
        else:
            scope["state"]["caller"] = ADMINISTRATOR

    return gate


def caller_of(scope: Scope) -> Caller:
    """Return who asks."""
    caller: Caller = scope["state"].get("caller", ANYBODY)
    return caller


def _bearer(given: bytes) -> bytes:
    """Return what an Authorization header shows as a bearer token, or nothing."""
    scheme, _, token = given.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _matches(given: bytes, expected: bytes) -> bool:
    """Whether a header shows the key of the settings."""
    return hmac.compare_digest(_bearer(given), expected)


async def _caller(config: ApiConfig, given: bytes) -> Caller:
    """Return who shows a key that the store keeps.

    Raises:
        RefusedError: It is no key, or one that has ended.
        StoreUnavailableError: Nobody can tell.
    """
    bearer = _bearer(given)
    key = await config.keyring.find(bearer.decode("latin-1")) if bearer and config.keyring else None
    if key is None or config.keyring is None:
        raise RefusedError(ApiCode.UNAUTHENTICATED, "send the key as Authorization: Bearer <key>", headers=_CHALLENGE)
    state = state_of(key, config.keyring.clock.now())
    if state is not KeyState.ACTIVE:
        raise RefusedError(ApiCode.UNAUTHENTICATED, f"this key is {state}; use another one", headers=_CHALLENGE)
    return caller_with(key)


async def _must_be_few(config: ApiConfig, caller: Caller, scope: Scope) -> None:
    """Count a request of a key that may not ask as often as it likes.

    Raises:
        RefusedError: It has asked too often.
    """
    limit = caller.limit or config.rate_limit
    if limit is None:
        return
    admission = await config.rates.admit(caller.name, limit)
    scope["state"]["admission"] = admission
    if not admission.allowed:
        wait = math.ceil(admission.retry_after_s)
        detail = f"this key may ask {limit.requests} times in {limit.per.total_seconds():g} s; wait {wait} s"
        raise RefusedError(ApiCode.RATE_LIMITED, detail, headers={"Retry-After": str(wait)})


def _must_be_permitted(caller: Caller, scope: Scope) -> None:
    """Refuse what a key is not for.

    Raises:
        RefusedError: It is not for this.
    """
    need = need_of(scope["route_handler"].opt)
    if not caller.may(need):
        whose = " of the tenant `default`" if need.operator else ""
        raise RefusedError(ApiCode.FORBIDDEN, f"this needs a key{whose} with the scope `{need.scope}`")
