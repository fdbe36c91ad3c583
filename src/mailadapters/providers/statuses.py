"""What an HTTP status means when a provider's module knows no better: providers.md 0.1 and 0.3 as a table."""

from __future__ import annotations

from mailadapters.providers.retry_after import retry_after
from mailcore.outcome import Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown
from mailcore.provider import HttpResponse

_REJECTED = frozenset({400, 406, 409, 413, 414, 415, 422, 451})
_MISCONFIGURED = frozenset({401, 402, 403, 404, 405, 407, 410, 412})
_THROTTLED = frozenset({420, 429})

# A gateway speaks here, of a server that may have taken the message: 0.3; 520 and 524 are Cloudflare's,
# 598 and 599 other proxies' words for a read that timed out.
_GATEWAY = frozenset({502, 504, 520, 524, 598, 599})


def by_status(response: HttpResponse, detail: str) -> Outcome:
    """Return what an answer means by its status alone.

    A 2xx that reaches this table could not be read as the provider's own and is thus Unknown (I33). A 4xx
    that nobody listed is Deferred: the provider surely did not take the message, and nothing says that it
    never will.
    """
    status, code = response.status, str(response.status)
    wait = retry_after(response.headers, response.received_at)
    if status in _REJECTED:
        return Rejected(code=code, detail=detail)
    if status in _MISCONFIGURED or 300 <= status < 400:  # noqa: PLR2004 - a class of statuses
        return Misconfigured(scope=Scope.ACCOUNT, code=code, detail=detail)
    if status in _THROTTLED:
        return Throttled(code=code, detail=detail, retry_after=wait)
    if 400 <= status < 600 and status not in _GATEWAY:  # noqa: PLR2004 - classes of statuses
        return Deferred(code=code, detail=detail, retry_after=wait)
    return Unknown(code=code, detail=detail)


def succeeded(response: HttpResponse) -> bool:
    """Return whether the status says success, whatever the body says."""
    return 200 <= response.status < 300  # noqa: PLR2004 - a class of statuses


def text_of(response: HttpResponse) -> str:
    """Return an answer as text for people, whatever bytes it holds."""
    return response.body.decode("utf-8", "replace")
