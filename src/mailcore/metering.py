"""Who counts how often each asks: this process alone, or all together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mailcore.rates import Admission, RateLimit, full_at, told


@runtime_checkable
class Rates(Protocol):
    """How often each has asked: in this process alone, or together with others."""

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        """Count a request of somebody, if it may go on. Never raises: without the others this process judges alone."""
        ...


@runtime_checkable
class SharesRates(Protocol):
    """A queue or store by which all processes agree on rates."""

    @property
    def rates(self) -> Rates:
        """What they agree by."""
        ...


class LocalRates:
    """Rates as one process sees them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._full_at: dict[str, int] = {}

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        """Count a request of somebody, if it may go on."""
        now = self._now_us()
        before = self._full_at.get(name, now)
        after = full_at(before, limit, now)
        if after is not None:
            self._full_at[name] = after
        return told(limit, (before if after is None else after) - now, allowed=after is not None)

    def note(self, name: str, full_in_us: int) -> None:
        """Remember what all processes together have found out of somebody, to go on from without them.

        Answers may come in another order than the requests: the emptiest bucket that was heard of counts.
        """
        self._full_at[name] = max(self._full_at.get(name, 0), self._now_us() + full_in_us)

    def _now_us(self) -> int:
        """Return the time in microseconds."""
        return int(self._monotonic() * 1e6)
