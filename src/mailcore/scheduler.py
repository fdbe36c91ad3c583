"""The scheduler: of all that run, the one that leads wakes workers up for what is due, and lets go of what is old.

Workers look into the store by themselves, so nothing waits for a scheduler; it finds what they had no slots for when
it became due, and tells all of them through the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from msgspec import Struct

from mailcore.courier import Courier
from mailcore.engine import HIDE_FOR
from mailcore.errors import MailError, QueueUnavailableError
from mailcore.events import Event, Happening, unexpected
from mailcore.leadership import Leadership
from mailcore.message import Lane
from mailcore.records import WAKE_UP_BUDGET
from mailcore.retention import Retention

_Act = Callable[[], Awaitable[None]]

RETAIN_EVERY: Final = timedelta(minutes=1)
"""How long after all that was old has been let go it is looked for again."""


class SweepRules(Struct, frozen=True, kw_only=True):
    """How the store is swept for what is due.

    Attributes:
        every: How often.
        grace: What became due less than this ago is left to workers that look into the store themselves.
        page: How many e-mails of a lane are woken up in one go.
        wakes: Whether the queue reaches workers in other processes; if not, there is nobody to wake up.
    """

    every: timedelta = timedelta(seconds=5)
    grace: timedelta = timedelta(seconds=2)
    page: int = 500
    wakes: bool = True


@dataclass(kw_only=True)
class Scheduler:
    """What a leader does, again and again.

    Attributes:
        courier: Only asked what is due; its roster's slots bound how much of it at a time.
    """

    courier: Courier
    leadership: Leadership
    retention: Retention
    rules: SweepRules = field(default_factory=SweepRules)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Lead if nobody else does, until `stop` is called; then let another one lead at once."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(self.campaign, self.leadership.rules.every))
            group.create_task(self._again(self.sweep, self.rules.every))
            group.create_task(self._again(self.retain, RETAIN_EVERY))
        await self._told(self.leadership.resign)

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()

    def leading(self) -> bool:
        """Whether this scheduler may act now."""
        return self.leadership.leading and not self._stopped.is_set()

    async def campaign(self) -> None:
        """Keep the lease, or try to get it."""
        await self.leadership.campaign()

    async def sweep(self) -> None:
        """Wake workers up for what is due, lane by lane, no more than the providers take."""
        for lane in Lane:
            if self.rules.wakes and self.leading():
                await self._wake(lane)

    async def retain(self) -> None:
        """Let go of what is old enough."""
        await self.retention.run_once(self.leading)

    async def _wake(self, lane: Lane) -> None:
        """Wake workers up for what is due in a lane; what the queue does not take is found again."""
        ports = self.courier.ports
        began = ports.clock.now()
        email_ids = await self.courier.due(lane, self.rules.page, HIDE_FOR, grace=self.rules.grace)
        if not email_ids:
            return
        try:
            async with asyncio.timeout(WAKE_UP_BUDGET.total_seconds()):
                await ports.queue.enqueue(email_ids, lane=lane)
        except (QueueUnavailableError, TimeoutError) as error:
            note = f"{len(email_ids)} wake-ups: {type(error).__name__}: {error}"
            ports.watch(Event(what=Happening.WAKE_UP_LOST, email_id="", note=note))
        ports.watch(Event(what=Happening.SWEPT, email_id="", note=f"{len(email_ids)} of {lane}", began=began))

    async def _again(self, act: _Act, every: timedelta) -> None:
        """Do something now and then until stopped."""
        while not self._stopped.is_set():
            await self._told(act)
            try:
                async with asyncio.timeout(every.total_seconds()):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def _told(self, act: _Act) -> None:
        """Do something; what keeps it from being done now is told, and it is done the next time."""
        try:
            await act()
        except MailError as error:
            note = f"scheduler: {type(error).__name__}: {error}"
            self.courier.ports.watch(Event(what=Happening.STORE_FAILED, email_id="", note=note))
        except Exception as error:  # noqa: BLE001 - a fault in one of its duties must not end the others
            self.courier.ports.watch(unexpected(error))
