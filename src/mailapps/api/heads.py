"""What the head of every answer says: the request's id, and what a browser may do with the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from litestar.types import Message, Scope

from mailapps.api.config import ApiConfig
from mailcore.rates import Admission

NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: a browser that shows it as one does nothing with it."""

_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_UNLESS_SAID: Final = (
    (b"content-security-policy", NOTHING.encode()),
    (b"cache-control", b"no-store"),
)


def request_id(scope: Scope) -> str:
    """Return the name of a request: its caller's, if that can be shown safely, or a new one."""
    state = scope["state"]
    if "request_id" not in state:
        config: ApiConfig = scope["litestar_app"].state["config"]
        given = header(scope, b"x-request-id")
        state["request_id"] = given.decode() if _ID.fullmatch(given) else config.new_request_id()
    known: str = state["request_id"]
    return known


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of a name in lower case, or nothing; reads no other one."""
    for known, value in scope["headers"]:
        if known == name:
            return value
    return b""


async def dress(message: Message, scope: Scope) -> None:
    """Add to an answer's head what every answer says."""
    if message["type"] != "http.response.start":
        return
    heads = list(message["headers"])
    said = {name for name, _ in heads}
    heads += _ALWAYS
    heads += [head for head in _UNLESS_SAID if head[0] not in said]
    heads.append((b"x-request-id", request_id(scope).encode()))
    if admission := scope["state"].get("admission"):
        heads += _rate(admission)
    message["headers"] = heads


def _rate(admission: Admission) -> Iterator[tuple[bytes, bytes]]:
    """Yield what a caller is told of its rate limit (draft-ietf-httpapi-ratelimit-headers-10)."""
    window = max(1, math.ceil(admission.limit.per.total_seconds()))
    yield b"ratelimit-policy", b'"key";q=%d;w=%d' % (admission.limit.requests, window)
    yield b"ratelimit", b'"key";r=%d;t=%d' % (admission.remaining, math.ceil(admission.full_after_s))
