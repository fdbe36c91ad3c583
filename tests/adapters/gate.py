"""What a queue hands its wake-ups to in tests: an engine with a gate in front of its slots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mailcore.events import Event
from mailcore.lifecycle import EmailId
from mailcore.message import Lane

PATIENCE_S = 20


class Engine:
    """Takes wake-ups while its gate is open.

    Attributes:
        taken: What it took, in order.
        asked: What it was asked to take.
        told: What its watcher was told.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[Lane, EmailId]] = []
        self.asked: list[tuple[Lane, EmailId]] = []
        self.told: list[Event] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.news = asyncio.Event()

    async def admit(self, email_ids: Sequence[EmailId], lane: Lane) -> None:
        """Take wake-ups when the gate is open."""
        self.asked += [(lane, one) for one in email_ids]
        self.news.set()
        await self.gate.wait()
        self.taken += [(lane, one) for one in email_ids]
        self.news.set()

    def watch(self, event: Event) -> None:
        """Remember what was told."""
        self.told.append(event)
        self.news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.news.clear()
                await self.news.wait()


async def once(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)
