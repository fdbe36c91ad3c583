"""How often somebody may ask: the generic cell rate algorithm, as a value and a pure function.

GCRA is a token bucket that keeps one number: the moment at which the bucket will be full again. Source: ITU-T I.371,
and how it is told at https://brandur.org/rate-limiting.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

_MICROSECOND: Final = timedelta(microseconds=1)


class RateLimit(Struct, frozen=True, kw_only=True):
    """So many requests at once, and as many again within each `per`, evenly.

    Attributes:
        requests: 1 or more.
        per: Above nothing, at most a day.
    """

    requests: Annotated[int, Meta(ge=1, le=1_000_000)]
    per: timedelta

    @property
    def spacing_us(self) -> int:
        """How many microseconds one request costs, 1 or more."""
        return max(1, self.per // _MICROSECOND // self.requests)


class Bucket(Struct, frozen=True):
    """What is counted under one name, by one limit."""

    name: str
    limit: RateLimit


class Admission(Struct, frozen=True, kw_only=True):
    """Whether a request may go on, and what its caller is told.

    Attributes:
        limit: By which it was judged.
        allowed: Whether it may go on.
        remaining: How many more may come at once.
        retry_after_s: Seconds until the next one may; 0 if it may at once.
        full_after_s: Seconds until as many as at the very beginning may come at once.
    """

    limit: RateLimit
    allowed: bool
    remaining: int
    retry_after_s: float
    full_after_s: float


def full_at(before_us: int, limit: RateLimit, now_us: int) -> int | None:
    """Return when the bucket will be full again if one more request is admitted; None if it is not.

    Args:
        before_us: When it would be full without this request; any moment that is past if it is full now.
        limit: How often somebody may ask.
        now_us: Microseconds on the same clock.
    """
    spacing = limit.spacing_us
    after = max(before_us, now_us) + spacing
    return after if after - now_us <= spacing * limit.requests else None


def told(limit: RateLimit, full_in_us: int, *, allowed: bool) -> Admission:
    """Return what a caller is told of a bucket that will be full in so many microseconds.

    Args:
        limit: By which the request was judged.
        full_in_us: After this request, if it was admitted.
        allowed: Whether it was.
    """
    spacing, most = limit.spacing_us, limit.spacing_us * limit.requests
    full_in_us = max(0, full_in_us)
    return Admission(
        limit=limit,
        allowed=allowed,
        remaining=max(0, (most - full_in_us) // spacing),
        retry_after_s=max(0, full_in_us + spacing - most) / 1e6,
        full_after_s=full_in_us / 1e6,
    )
