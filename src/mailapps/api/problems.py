"""What an answer says when it refuses: the closed list of codes, and the body that carries one (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from mailcore.errors import Problem

MEDIA_TYPE: Final = "application/problem+json"


class ApiCode(StrEnum):
    """Why a request is refused. The list only grows; each is in docs/reference/problem-codes.md."""

    MALFORMED_JSON = "malformed_json"
    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    NOT_FOUND = "not_found"
    EMAIL_NOT_FOUND = "email_not_found"
    KEY_NOT_FOUND = "key_not_found"
    SUPPRESSION_NOT_FOUND = "suppression_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    CONFLICT = "conflict"
    KEY_ENDED = "key_ended"
    KEYS_OFF = "keys_off"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    MISDIRECTED = "misdirected"
    KEY_REUSED = "key_reused"
    NO_PROVIDER = "no_provider"
    SUPPRESSED = "suppressed"
    RATE_LIMITED = "rate_limited"
    DAILY_CAP = "daily_cap"
    SENDER_CAP = "sender_cap"
    RECIPIENT_CAP = "recipient_cap"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"


class ShapeCode(StrEnum):
    """Why a part of a request is refused before its meaning is looked at; beside mailcore's own ProblemCode."""

    INVALID_CURSOR = "invalid_cursor"
    """Not a `next_cursor` of this list."""

    REPEATED = "repeated"
    """A query parameter that may stand once and stands twice."""

    CANNOT_CARRY = "cannot_carry"
    """What keeps one provider from carrying the message."""


class Kind(Struct, frozen=True):
    """What all problems of one code have in common.

    Attributes:
        retryable: The same request may succeed later.
    """

    status: int
    title: str
    retryable: bool = False


KINDS: Final[Mapping[ApiCode, Kind]] = MappingProxyType(
    {
        ApiCode.MALFORMED_JSON: Kind(400, "The body is not JSON"),
        ApiCode.INVALID_REQUEST: Kind(400, "Some fields are wrong"),
        ApiCode.UNAUTHENTICATED: Kind(401, "An API key is needed"),
        ApiCode.FORBIDDEN: Kind(403, "The key is not for this"),
        ApiCode.SENDER_NOT_ALLOWED: Kind(403, "The key may not send from this address"),
        ApiCode.NOT_FOUND: Kind(404, "There is nothing here"),
        ApiCode.EMAIL_NOT_FOUND: Kind(404, "There is no such e-mail"),
        ApiCode.KEY_NOT_FOUND: Kind(404, "There is no such API key"),
        ApiCode.SUPPRESSION_NOT_FOUND: Kind(404, "The address is not suppressed"),
        ApiCode.METHOD_NOT_ALLOWED: Kind(405, "Not with this method"),
        ApiCode.BODY_TIMEOUT: Kind(408, "The body did not arrive", retryable=True),
        ApiCode.CONFLICT: Kind(409, "The e-mail's status forbids this"),
        ApiCode.KEY_ENDED: Kind(409, "The key has ended"),
        ApiCode.KEYS_OFF: Kind(409, "This service has no API keys"),
        ApiCode.BODY_TOO_LARGE: Kind(413, "The body is too large"),
        ApiCode.UNSUPPORTED_MEDIA_TYPE: Kind(415, "Only JSON is understood"),
        ApiCode.UNSUPPORTED_ENCODING: Kind(415, "Only plain bodies are understood"),
        ApiCode.MISDIRECTED: Kind(421, "Not under this name"),
        ApiCode.KEY_REUSED: Kind(422, "The idempotency key belongs to another message"),
        ApiCode.NO_PROVIDER: Kind(422, "No provider can carry this message"),
        ApiCode.SUPPRESSED: Kind(422, "The recipients must not be written to"),
        ApiCode.RATE_LIMITED: Kind(429, "The key asks too often", retryable=True),
        ApiCode.DAILY_CAP: Kind(429, "The key has submitted its e-mails of a day", retryable=True),
        ApiCode.SENDER_CAP: Kind(429, "A domain sends too many e-mails", retryable=True),
        ApiCode.RECIPIENT_CAP: Kind(429, "A recipient gets too many e-mails", retryable=True),
        ApiCode.STORE_UNAVAILABLE: Kind(500, "The store did not answer", retryable=True),
        ApiCode.INTERNAL_ERROR: Kind(500, "Something is broken here", retryable=True),
    }
)


class RefusedError(Exception):
    """A request that is not done, and what its caller is told.

    Attributes:
        code: Decides the status.
        detail: What is wrong and how to mend it; never the caller's input at length.
        errors: Every single part that is wrong, if it is about parts.
        headers: What the answer's head says beside the usual.
    """

    def __init__(
        self,
        code: ApiCode,
        detail: str,
        *,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the caller is told."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class ProblemBody(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kind": "type"}):
    """A refusal as JSON.

    Attributes:
        instance: The path of the request.
        errors: Each part that is wrong: a JSON pointer into the body, or ``query:limit``, or ``header:…``.
    """

    kind: str
    title: str
    status: int
    code: ApiCode
    detail: str
    instance: str
    request_id: str
    retryable: bool
    errors: tuple[Problem, ...] = ()


def problem_body(refused: RefusedError, instance: str, request_id: str) -> ProblemBody:
    """Return a refusal as JSON is made of it."""
    kind = KINDS[refused.code]
    return ProblemBody(
        kind=f"urn:mailcore:problem:{refused.code}",
        title=kind.title,
        status=kind.status,
        code=refused.code,
        detail=refused.detail,
        instance=instance,
        request_id=request_id,
        retryable=kind.retryable,
        errors=refused.errors,
    )


def invalid(errors: Sequence[Problem]) -> RefusedError:
    """Return the refusal of a request of which these parts are wrong; at least one."""
    count = "1 part" if len(errors) == 1 else f"{len(errors)} parts"
    return RefusedError(ApiCode.INVALID_REQUEST, f"{count} of the request must be mended; see errors", errors=errors)
