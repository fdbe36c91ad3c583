"""The suppression list as a process knows it: asked when a message is accepted, and again before every call.

Most lists are empty. Whether this one is, is remembered for a moment, so that those who keep none pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from mailcore.addresses import mailbox, parse
from mailcore.errors import InvalidMessageError, Problem, SettingsError
from mailcore.message import Address
from mailcore.ports import Ports
from mailcore.suppression import Suppression, SuppressionPage, in_force, normalised

FRESH_FOR: Final = timedelta(seconds=2)
"""How long an empty list passes for empty: the first suppression ever is obeyed by other processes after this."""


@runtime_checkable
class KeepsSuppressions(Protocol):
    """A store that keeps a suppression list for all processes that use it.

    Every method may raise StoreUnavailableError; for a write it is then not known whether it happened.
    """

    async def has_suppressions(self) -> bool:
        """Whether there is any, of any tenant."""
        ...

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        """Return a tenant's suppressions of these mailboxes, in any order; those that have ended may be among them."""
        ...

    async def save_suppressions(self, suppressions: Sequence[Suppression]) -> None:
        """Keep suppressions, each in place of the tenant's one of the same mailbox; of two in one call the last."""
        ...

    async def delete_suppression(self, tenant: str, mailbox: str, /) -> bool:
        """Forget a suppression; return whether there was one."""
        ...

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        """Return a tenant's suppressions ordered by mailbox, those behind `after` only; none is left out or twice."""
        ...

    async def drop_suppressions(self, before: datetime, *, limit: int) -> int:
        """Forget up to `limit` suppressions that ended before then; return how many."""
        ...


@dataclass(kw_only=True)
class SuppressionList:
    """The suppression list of the ports' store. A store that keeps none suppresses nobody."""

    ports: Ports
    _keeper: KeepsSuppressions | None = field(init=False)
    _used: bool = True
    _stale_from: float = float("-inf")

    def __post_init__(self) -> None:
        """Ask once whether the store keeps a list."""
        self._keeper = self.ports.store if isinstance(self.ports.store, KeepsSuppressions) else None

    async def among(self, tenant: str, addresses: Iterable[str]) -> Sequence[Suppression]:
        """Return the suppressions in force of these addresses, as an e-mail has its recipients.

        Raises:
            StoreUnavailableError: It could not be read.
        """
        keeper = self._keeper
        if keeper is None:
            return ()
        now = self.ports.clock.monotonic()
        if now >= self._stale_from:
            await self._look(keeper, now)
        if not self._used:
            return ()
        found = await keeper.find_suppressions(tenant, [mailbox(Address(one)) for one in addresses])
        moment = self.ports.clock.now()
        return [one for one in found if in_force(one, moment)]

    async def _look(self, keeper: KeepsSuppressions, now: float) -> None:
        """Find out whether there is any suppression; until that is known there might be.

        So it is too while one asks, and after an answer that did not come: nobody goes by what is older than fresh.
        """
        self._used, self._stale_from = True, now + FRESH_FOR.total_seconds()
        asked_for = self._stale_from
        used = await keeper.has_suppressions()
        self._used = used or self._stale_from != asked_for  # one was added while this was asked

    def doubt(self) -> None:
        """Go by nothing that was read before: it has changed, or the clock by which it is fresh stood still."""
        self._used, self._stale_from = True, float("-inf")

    async def add(self, suppressions: Sequence[Suppression]) -> None:
        """Suppress addresses; this process obeys at once, and all others within seconds.

        Raises:
            InvalidMessageError: Some are no addresses; none was kept.
            SettingsError: The store keeps no list.
            StoreUnavailableError: Whether it was kept is not known.
        """
        await self.kept.save_suppressions(normalised(suppressions))
        self.doubt()

    async def lift(self, tenant: str, address: str) -> bool:
        """Let a tenant write to an address again; return whether it might not.

        Raises:
            InvalidMessageError: It is no address.
            SettingsError: The store keeps no list.
            StoreUnavailableError: Whether it was lifted is not known.
        """
        found = parse(address, "/address")
        if isinstance(found, Problem):
            raise InvalidMessageError([found])
        return await self.kept.delete_suppression(tenant, mailbox(found))

    @property
    def kept(self) -> KeepsSuppressions:
        """The store that keeps the list.

        Raises:
            SettingsError: It keeps none.
        """
        if self._keeper is None:
            message = "store: it cannot keep suppressions; see docs/how-to/add-a-store.md"
            raise SettingsError(message)
        return self._keeper
