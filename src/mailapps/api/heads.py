"""What the head of every answer says: the request's id, and what a browser may do with the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast

from mailapps.api.config import ApiConfig
from mailcore.rates import Admission

if TYPE_CHECKING:  # a worker's listener has no framework
    from litestar.types import Message, Scope

Head = tuple[bytes, bytes]
"""A header's name in lower case, and its value."""

NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: a browser that shows it as one does nothing with it."""

_BY_NAME: Final = "mailapps.heads"
"""Where a request keeps its headers by their names."""

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
        state["request_id"] = name_of(scope, scope["litestar_app"].state["config"])
    known: str = state["request_id"]
    return known


def name_of(scope: Scope, config: ApiConfig) -> str:
    """Return a name for a request that has none yet: its caller's, if that can be shown safely, or a new one."""
    given = header(scope, b"x-request-id")
    return given.decode() if _ID.fullmatch(given) else config.new_request_id()


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of a name in lower case, or nothing."""
    known = cast("dict[str, Mapping[bytes, bytes]]", scope)
    if _BY_NAME not in known:  # once for each request, of which half a dozen are asked for
        known[_BY_NAME] = dict(reversed(tuple(scope["headers"])))
    return known[_BY_NAME].get(name, b"")


async def dress(message: Message, scope: Scope) -> None:
    """Add to an answer's head what every answer says."""
    if message["type"] == "http.response.start":
        message["headers"] = dressed_for(scope, message["headers"])


def dressed_for(scope: Scope, heads: Iterable[Head]) -> list[Head]:
    """Return the head of the answer to a request with what every answer says."""
    whole = dressed(heads, request_id(scope))
    if admission := scope["state"].get("admission"):
        whole += _rate(admission)
    return whole


def dressed(heads: Iterable[Head], name: str) -> list[Head]:
    """Return the head of an answer with what every answer says, and the name of its request."""
    heads = list(heads)
    said = [known for known, _ in heads]
    unsaid = [head for head in _UNLESS_SAID if head[0] not in said]
    return [*heads, *_ALWAYS, *unsaid, (b"x-request-id", name.encode())]


def _rate(admission: Admission) -> Iterator[tuple[bytes, bytes]]:
    """Yield what a caller is told of its rate limit (draft-ietf-httpapi-ratelimit-headers-10)."""
    window = max(1, math.ceil(admission.limit.per.total_seconds()))
    yield b"ratelimit-policy", b'"key";q=%d;w=%d' % (admission.limit.requests, window)
    yield b"ratelimit", b'"key";r=%d;t=%d' % (admission.remaining, math.ceil(admission.full_after_s))
