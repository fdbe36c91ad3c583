"""Calls of the last minute, counted in buckets: a sliding window as a small value.

A window of twelve buckets of 5 s holds the calls of the last 55 to 60 s, whatever their number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Tally(Struct, frozen=True, array_like=True):
    """Calls that were counted in one bucket, or in a whole window.

    Attributes:
        slot: Which bucket: whole bucket lengths since 1970. Of a whole window, its newest.
        slow: Calls that took too long, failed or not.
    """

    slot: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


Window = tuple[Tally, ...]
"""Buckets with calls, oldest first, each slot once."""


class WindowRules(Struct, frozen=True, kw_only=True):
    """The size of a window: how long a bucket is, and how many there are."""

    bucket: timedelta = timedelta(seconds=5)
    buckets: int = 12


def counted(window: Window, *, failed: bool, slow: bool, rules: WindowRules, now: datetime) -> Window:
    """Return the window with one more call; buckets that are too old fall out."""
    slot = _slot(window, rules, now)
    newest = window[-1] if window and window[-1].slot == slot else Tally(slot)
    kept = tuple([b for b in window if slot - rules.buckets < b.slot < slot])
    return (*kept, Tally(slot, newest.calls + 1, newest.failures + failed, newest.slow + slow))


def total(window: Window, rules: WindowRules, now: datetime) -> Tally:
    """Return the sum of the calls in the window that ends now."""
    slot = _slot(window, rules, now)
    calls = failures = slow = 0
    for bucket in window:
        if slot - rules.buckets < bucket.slot <= slot:
            calls += bucket.calls
            failures += bucket.failures
            slow += bucket.slow
    return Tally(slot, calls, failures, slow)


def _slot(window: Window, rules: WindowRules, now: datetime) -> int:
    """Return the slot to count in: a clock that is a little behind counts in the newest bucket.

    One that is behind by a whole window was set back: what it once counted ahead of itself is not waited for.
    """
    slot = (now - _EPOCH) // rules.bucket
    newest = window[-1].slot if window else slot
    return newest if slot < newest < slot + rules.buckets else slot
