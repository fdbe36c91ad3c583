"""Time, draws and ids that a test decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count

from mailcore.lifecycle import EmailId
from mailcore.ports import Draw, NewId

BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)


class ManualClock:
    """A Clock that stands still until it is moved."""

    def __init__(self, now: datetime = BEGINNING, *, monotonic: float = 0.0) -> None:
        self._now = now.astimezone(UTC)
        self._monotonic = monotonic

    def now(self) -> datetime:
        return self._now.replace(microsecond=self._now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta | float) -> datetime:
        """Let time pass on both clocks, a duration or seconds, and return the new time.

        Raises:
            ValueError: Time does not run backwards; `set` makes the wall clock jump.
        """
        passed = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if passed < timedelta():
            raise ValueError(f"time does not run backwards: {passed}")
        self._now += passed
        self._monotonic += passed.total_seconds()
        return self.now()

    def set(self, now: datetime) -> None:
        """Let the wall clock jump to a moment; the monotonic clock does not notice."""
        self._now = now.astimezone(UTC)


def ids(prefix: str = "em_") -> NewId:
    """Return a source of ids in ascending order, the same in every run: as long as real ones."""
    numbers = count(1)

    def new_id() -> EmailId:
        return f"{prefix}{next(numbers):026d}"

    return new_id


def draws(seed: int = 0) -> Draw:
    """Return a source of uniform draws from [0, 1) that a seed decides, the same on every machine."""
    numbers = count()

    def draw() -> float:
        digest = blake2b(f"{seed}:{next(numbers)}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53

    return draw
