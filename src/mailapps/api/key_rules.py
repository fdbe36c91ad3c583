"""What may be asked of a new API key, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from mailapps.api.filters import Aware
from mailcore.addresses import parse
from mailcore.errors import Problem
from mailcore.keys import ApiKey, Scope
from mailcore.message import Address
from mailcore.problems import ProblemCode, line_problem
from mailcore.rates import RateLimit

NAME_LENGTH: Final = 100
MOST_SENDERS: Final = 50
TENANT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class NewLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a key may ask.

    Attributes:
        requests: So many at once, and as many again in each
        per_s: so many seconds, evenly; at most a day.
    """

    requests: Annotated[int, Meta(ge=1, le=1_000_000)]
    per_s: Annotated[int, Meta(ge=1, le=86_400)]


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new key is to be.

    Attributes:
        scopes: What it is for: `send`, `read` (not contents), `content`, or `admin`, which includes them. At least one.
        name: For people. One line, at most 100 characters.
        tenant: Whose e-mails it reaches; by default the caller's own. Lower-case letters, digits, dots and dashes.
        senders: The addresses and domains that it may send from; any if there is none. At most 50.
        expires_at: When it ends by itself; null if it does not.
        rate_limit: How often it may ask; null for what the service allows every key.
        daily: How many e-mails it may submit at once, and as many again each day, evenly; null for any number.
    """

    scopes: tuple[Scope, ...]
    name: str = ""
    tenant: str | None = None
    senders: tuple[str, ...] = ()
    expires_at: Aware | None = None
    rate_limit: NewLimit | None = None
    daily: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Yield what is wrong with a new key, in the order of its fields."""
        if not self.scopes:
            yield Problem("/scopes", ProblemCode.REQUIRED, f"name at least one of {', '.join(Scope)}")
        if wrong := line_problem(self.name, "/name", NAME_LENGTH):
            yield wrong
        if self.tenant is not None and not TENANT.fullmatch(self.tenant):
            detail = "is 1 to 64 lower-case letters, digits, dots, dashes and underscores, the first a letter or digit"
            yield Problem("/tenant", ProblemCode.INVALID_NAME, detail)
        if len(self.senders) > MOST_SENDERS:
            yield Problem("/senders", ProblemCode.TOO_MANY, f"at most {MOST_SENDERS}")
        else:
            told = (_sender(one, f"/senders/{at}") for at, one in enumerate(self.senders))
            yield from (one for one in told if isinstance(one, Problem))
        if self.expires_at is not None and not is_ahead(self.expires_at, now):
            yield Problem("/expires_at", ProblemCode.OUT_OF_RANGE, "must be ahead, and within the calendar")


def drafted(data: NewKey, tenant: str, now: datetime) -> ApiKey:
    """Return what was asked for, and has no problems, as a key that is not issued yet."""
    senders = (_sender(one, "") for one in data.senders)
    return ApiKey(
        id="",
        digest="",
        tenant=tenant if data.tenant is None else data.tenant,
        scopes=tuple(scope for scope in Scope if scope in data.scopes),
        name=data.name,
        senders=tuple(one for one in senders if isinstance(one, str)),
        created_at=now,
        expires_at=data.expires_at and data.expires_at.astimezone(UTC),
        limit=_limit(data.rate_limit),
        daily=data.daily,
    )


def _limit(asked: NewLimit | None) -> RateLimit | None:
    """Return how often a key may ask."""
    return None if asked is None else RateLimit(requests=asked.requests, per=timedelta(seconds=asked.per_s))


def is_ahead(until: datetime, now: datetime) -> bool:
    """Whether a moment is after now, and still one in UTC."""
    try:
        return until.astimezone(UTC) > now
    except OverflowError:
        return False


def _sender(written: str, pointer: str) -> str | Problem:
    """Return an address or a domain as senders are compared, or why it is neither."""
    domain = "@" not in written.removeprefix("@")
    address = parse(f"x@{written.removeprefix('@')}" if domain else written, pointer)
    if isinstance(address, Address) and not address.name:
        return address.domain if domain else f"{address.local}@{address.domain}"
    return Problem(pointer, ProblemCode.INVALID_ADDRESS, "must be an address, local@domain, or a domain")
