"""A WakeUpQueue that remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailcore.errors import QueueUnavailableError
from mailcore.lifecycle import EmailId
from mailcore.message import Lane


class MemoryQueue:
    """A WakeUpQueue that remembers what it was told, and that can be told to fail.

    Attributes:
        enqueued: Every wake-up so far, oldest first; clear it as you like.
        buried: Every burial so far with its reason, oldest first.
        down: While true every call raises QueueUnavailableError and nothing is remembered.
        closed: How often it was closed.
    """

    def __init__(self) -> None:
        self.enqueued: list[tuple[Lane, EmailId]] = []
        self.buried: list[tuple[EmailId, str]] = []
        self.down = False
        self.closed = 0

    async def enqueue(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        await self._reach()
        self.enqueued.extend((lane, email_id) for email_id in email_ids)

    async def bury(self, email_id: EmailId, *, reason: str) -> None:
        await self._reach()
        self.buried.append((email_id, reason))

    async def aclose(self) -> None:
        self.closed += 1

    def taken(self) -> list[tuple[Lane, EmailId]]:
        """Return the wake-ups so far and forget them, as workers would."""
        taken, self.enqueued = self.enqueued, []
        return taken

    async def _reach(self) -> None:
        """Let others run, as a real queue does, then fail if told to."""
        await asyncio.sleep(0)
        if self.down:
            raise QueueUnavailableError("the queue was told to be down")
