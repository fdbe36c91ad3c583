"""Who counts how often each asks: this process alone, or all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

from mailcore.rates import Admission, Bucket, RateLimit, full_at, told

MOST: Final = 50_000
"""So many names one process remembers: from there on the half that may soon ask as at the beginning is forgotten."""


@runtime_checkable
class Rates(Protocol):
    """How often each has asked: in this process alone, or together with others."""

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        """Count a request of somebody, if it may go on. Never raises: without the others this process judges alone."""
        ...

    async def admit_together(self, buckets: Sequence[Bucket]) -> Sequence[Admission]:
        """Count one in each of these buckets if all have room, else in none; return how each stands, in their order.

        An admission says whether its own bucket has room. No name comes twice. Never raises.
        """
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

    def __len__(self) -> int:
        """Return how many names are remembered; never more than `MOST`."""
        return len(self._full_at)

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        """Count a request of somebody, if it may go on."""
        return (await self.admit_together([Bucket(name, limit)]))[0]

    async def admit_together(self, buckets: Sequence[Bucket]) -> Sequence[Admission]:
        """Count one in each of these buckets if all have room, else in none."""
        now = self._now_us()
        before = [self._full_at.get(one.name, now) for one in buckets]
        after = [full_at(at, one.limit, now) for at, one in zip(before, buckets, strict=True)]
        counted = [at for at in after if at is not None]
        if len(counted) == len(buckets):
            before = counted
            for at, one in zip(counted, buckets, strict=True):
                self._remember(one.name, at)
        stands = zip(buckets, before, after, strict=True)
        return [told(one.limit, at - now, allowed=room is not None) for one, at, room in stands]

    def note(self, name: str, full_in_us: int) -> None:
        """Remember what all processes together have found out of somebody, to go on from without them.

        Answers may come in another order than the requests: the emptiest bucket that was heard of counts.
        """
        self._remember(name, max(self._full_at.get(name, 0), self._now_us() + full_in_us))

    def _remember(self, name: str, full_at_us: int) -> None:
        """Remember when a bucket will be full, and forget those that are nearest to it once there are too many."""
        self._full_at[name] = full_at_us
        if len(self._full_at) > MOST:
            emptiest = sorted(self._full_at.items(), key=lambda one: one[1], reverse=True)
            self._full_at = dict(emptiest[: MOST // 2])

    def _now_us(self) -> int:
        """Return the time in microseconds."""
        return int(self._monotonic() * 1e6)
