"""What this process knows of the operator's switches: read from the store now and then, obeyed within seconds.

The switches are in the store, not in what the workers share of the providers' health: a stop must hold when the
queue and all that is quick and forgetful is gone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

from mailcore.errors import SettingsError, StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.message import Lane
from mailcore.ports import Ports
from mailcore.switches import Switch, Switches, paused

FRESH_FOR: Final = timedelta(seconds=2)
"""How long what was read is gone by. With PATIENCE on top a word is obeyed within five seconds, everywhere."""

PATIENCE: Final = timedelta(seconds=1)
"""How long the store may take for the switches before the known ones are gone by for another while."""


@runtime_checkable
class KeepsSwitches(Protocol):
    """A store that keeps the operator's switches for all processes that use it."""

    async def load_switches(self) -> Switches:
        """Return the latest word on everything that was ever switched, by name.

        Raises:
            StoreUnavailableError: It could not be read.
        """
        ...

    async def save_switch(self, name: str, switch: Switch) -> None:
        """Keep the latest word on something; durable once this returns.

        Raises:
            StoreUnavailableError: Whether it was kept is not known.
        """
        ...


@dataclass(kw_only=True)
class Switchboard:
    """The switches as this process knows them. With a store that keeps none, nothing is ever switched."""

    ports: Ports
    known: Switches = field(default_factory=dict[str, Switch])
    _keeper: KeepsSwitches | None = field(init=False)
    _stale_from: float = float("-inf")
    _read_once: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Ask once whether the store keeps switches: that takes longer than all the rest that an e-mail asks here."""
        self._keeper = self.ports.store if isinstance(self.ports.store, KeepsSwitches) else None

    async def current(self) -> Switches:
        """Return the switches, read again if they were read a while ago; the last known if the store is silent.

        One caller reads and the others go by what is known meanwhile; but for the first reading all wait, and for the
        first one after a while in which nobody asked.
        """
        if self._keeper and self._stale:
            await self._read(self._keeper)
        if self._keeper and not self._read_once.is_set():
            await self._read_once.wait()
        return self.known

    def paused(self, lane: Lane) -> bool:
        """Whether nothing new may begin in a lane, by what was read last: nothing is waited for here."""
        return bool(self.known) and paused(self.known, lane, self.ports.clock.now())

    async def turn(self, name: str, switch: Switch) -> None:
        """Keep the operator's word on something; this process obeys at once.

        Raises:
            SettingsError: The store keeps no switches.
            StoreUnavailableError: Whether it was kept is not known.
        """
        if self._keeper is None:
            message = "store: it cannot keep switches"
            raise SettingsError(message)
        await self._keeper.save_switch(name, switch)
        self.doubt()

    def doubt(self) -> None:
        """Go by nothing that was read before: the clock by which it is fresh may have stood still."""
        self._stale_from = float("-inf")

    @property
    def _stale(self) -> bool:
        """Whether it is time to read again."""
        return self.ports.clock.monotonic() >= self._stale_from

    async def _read(self, store: KeepsSwitches) -> None:
        """Read the switches once; should that fail, go by the known ones until it is time again."""
        now = self.ports.clock.monotonic()
        if now - self._stale_from > FRESH_FOR.total_seconds():
            self._read_once = asyncio.Event()  # not the old one cleared: that may be another loop's
        read = self._read_once
        self._stale_from = now + FRESH_FOR.total_seconds()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                self.known = await store.load_switches()
        except (StoreUnavailableError, TimeoutError) as error:
            note = f"switches: {type(error).__name__}: {error}"
            self.ports.watch(Event(what=Happening.STORE_FAILED, email_id="", note=note))
        finally:
            read.set()
