"""One of several schedulers leads: a lease in the store, taken and kept by compare-and-set, trusted by a clock.

A leader trusts its lease from before it asked for it, and less long than the others wait, by the clock of its own
process that never jumps: one that was paused finds its time up before it does anything (I35). All that a leader does
can be done twice, so two of them waste work and break nothing (I36).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from mailcore.moments import is_ahead
from mailcore.ports import Clock


class Lease(Struct, frozen=True, kw_only=True):
    """Who leads, until when.

    Attributes:
        name: What is led.
        until: When others may take it over, by the time that all workers agree on.
        term: Raised by one whenever it changes hands.
    """

    name: str
    holder: str
    until: datetime
    term: int


@runtime_checkable
class KeepsLease(Protocol):
    """A store that keeps leases for all processes that use it."""

    async def load_lease(self, name: str) -> Lease | None:
        """Return a lease as it is stored; None if there never was one.

        Raises:
            StoreUnavailableError: It could not be read.
        """
        ...

    async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
        """Store a lease if the stored one is `before` in every field; return whether it was.

        Raises:
            StoreUnavailableError: Whether it was stored is not known.
        """
        ...


class LeaseRules(Struct, frozen=True, kw_only=True):
    """How long a lease lasts.

    Attributes:
        ttl: How long after its latest renewal others may take it over.
        every: How often it is renewed, and looked at by those who do not hold it.
        margin: How much shorter than `ttl` its holder trusts it.
    """

    ttl: timedelta = timedelta(seconds=15)
    every: timedelta = timedelta(seconds=5)
    margin: timedelta = timedelta(seconds=1)


def candidacy(stored: Lease | None, me: Lease, now: datetime, ttl: timedelta) -> Lease | None:
    """Return the lease to store so that I lead, or None while somebody else does.

    A lease that ends later than one can be given for was given while the time was ahead: it is not waited for.

    Args:
        stored: As it is in the store.
        me: As I would have it for the first time.
        now: The time that all workers agree on.
        ttl: How long a lease is given for.
    """
    if stored is None:
        return me
    if stored.holder == me.holder:
        return replace(me, term=stored.term)
    return None if is_ahead(stored.until, now, ttl) else replace(me, term=stored.term + 1)


@dataclass(kw_only=True)
class Leadership:
    """One candidate for a lease.

    Attributes:
        holder: Names this candidate among all that there ever were.
    """

    store: KeepsLease
    clock: Clock
    holder: str
    name: str = "scheduler"
    rules: LeaseRules = field(default_factory=LeaseRules)
    _trusted_until: float = float("-inf")

    @property
    def leading(self) -> bool:
        """Whether this candidate may act as the leader now."""
        return self.clock.monotonic() < self._trusted_until

    async def campaign(self) -> bool:
        """Renew the lease or take it over, if that can be; return whether this candidate leads.

        Raises:
            StoreUnavailableError: The store did not answer; a lease that is trusted is trusted on.
        """
        began, now = self.clock.monotonic(), self.clock.now()
        stored = await self.store.load_lease(self.name)
        mine = Lease(name=self.name, holder=self.holder, until=now + self.rules.ttl, term=1)
        wanted = candidacy(stored, mine, now, self.rules.ttl)
        if wanted and await self.store.swap_lease(stored, wanted):
            self._trusted_until = began + (self.rules.ttl - self.rules.margin).total_seconds()
        else:
            self._trusted_until = float("-inf")
        return self.leading

    async def resign(self) -> None:
        """Let others take over at once, if this candidate holds the lease.

        Raises:
            StoreUnavailableError: The store did not answer; others take over once the lease has ended.
        """
        self._trusted_until = float("-inf")
        stored = await self.store.load_lease(self.name)
        if stored and stored.holder == self.holder:
            await self.store.swap_lease(stored, replace(stored, until=self.clock.now()))
