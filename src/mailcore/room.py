"""Bounds how much content a process holds while it sends: slots alone would let 256 large attachments end it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

AT_ONCE: Final = 64 * 2**20
"""Bytes of content at once, by what the e-mails need; on its way to a provider each is in memory about four times."""

PATIENCE_S: Final = 1.0
"""How long others may go in past the one that has waited longest."""


class _Waiting(NamedTuple):
    """One that waits, since a moment of the loop's time; `turn` is set once it is in."""

    size: int
    since: float
    turn: asyncio.Future[None]


@dataclass
class Room:
    """Room for content, in bytes.

    First come, first served: what does not fit waits, and only the first of those that wait goes in. While that one
    has waited for less than `PATIENCE_S`, newcomers that fit go in past it, so that small mail flows on beside large;
    after that nobody does, so that it has its turn as soon as what is inside has left. What is larger than the whole
    room goes in alone.
    """

    bytes: int = AT_ONCE
    _taken: int = 0
    _waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])

    async def take(self, size: int) -> None:
        """Take so much of it, to be given back; wait for its turn and until there is as much."""
        if self._fits(size) and self._is_patient():
            self._taken += size
        else:
            await self._turn(size)

    async def _turn(self, size: int) -> None:
        """Wait until somebody who leaves has taken the room for this one; a cancelled wait holds nothing."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(size, loop.time(), loop.create_future())
        self._waiting.append(mine)
        try:
            await mine.turn
        except asyncio.CancelledError:
            self.give_back(0 if mine.turn.cancelled() else size)
            raise

    def give_back(self, size: int) -> None:
        """Give so much back, and let in whoever waited for it, in the order in which they came."""
        self._taken -= size
        while self._waiting and (self._waiting[0].turn.cancelled() or self._fits(self._waiting[0].size)):
            first = self._waiting.popleft()
            if not first.turn.cancelled():
                self._taken += first.size
                first.turn.set_result(None)

    def _fits(self, size: int) -> bool:
        """Return whether there is as much room now; there is for anything where there is nothing else."""
        return not self._taken or self._taken + size <= self.bytes

    def _is_patient(self) -> bool:
        """Return whether nobody waits, or the first not for long enough to mind who passes."""
        return not self._waiting or asyncio.get_running_loop().time() - self._waiting[0].since < PATIENCE_S
