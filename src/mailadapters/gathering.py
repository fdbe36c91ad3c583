"""Writes to a queue, gathered: while one round trip is under way, further writes gather for the next.

So an API under load writes a message for fifty e-mails and not one for each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from mailadapters.reach import UnreachableError, name_of
from mailcore.errors import QueueUnavailableError
from mailcore.events import unexpected
from mailcore.lifecycle import EmailId
from mailcore.message import Lane

W = TypeVar("W")

log = logging.getLogger("mailadapters.gathering")


class WakeUps(NamedTuple):
    """Ids for a lane."""

    email_ids: Sequence[EmailId]
    lane: Lane


class Burial(NamedTuple):
    """A dead letter and its reason."""

    email_id: EmailId
    reason: str


def by_lane(what: Sequence[WakeUps | Burial], most: int) -> dict[Lane, list[Sequence[EmailId]]]:
    """Return the ids to wake up, the most urgent lane first, in parts of at most so many."""
    lanes: dict[Lane, list[EmailId]] = {lane: [] for lane in Lane}
    for one in what:
        if isinstance(one, WakeUps):
            lanes[one.lane].extend(one.email_ids)
    return {lane: [ids[at : at + most] for at in range(0, len(ids), most)] for lane, ids in lanes.items() if ids}


class Gathering(Generic[W]):
    """Writes many things in one go.

    Args:
        write: Writes them; raises UnreachableError if that failed for all.
    """

    def __init__(self, write: Callable[[Sequence[W]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[W, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, what: W) -> None:
        """Write something together with whatever else there is to write.

        Raises:
            QueueUnavailableError: The queue did not take it.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((what, done))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_waiting())
        await done

    async def aclose(self) -> None:
        """Write what waits."""
        if self._writing:
            await self._writing

    async def _write_waiting(self) -> None:
        """Write all that waits, and what comes meanwhile; whoever waits has an answer then, even if this is ended."""
        waiting: list[tuple[W, asyncio.Future[None]]] = []
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                _answer(waiting, await self._refused([what for what, _ in waiting]))
        finally:
            waiting, self._waiting, self._writing = [*waiting, *self._waiting], [], None
            _answer(waiting, "the process writes no more")

    async def _refused(self, what: Sequence[W]) -> str:
        """Write something, and return why it was not taken: nothing if it was."""
        try:
            await self._write(what)
        except UnreachableError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it, and the next ones be written
            log.error("wake-ups were not written: %s", unexpected(error).note)  # noqa: TRY400 - not its words
            return f"unexpected: {name_of(error)}"
        return ""


def _answer(waiting: Sequence[tuple[W, asyncio.Future[None]]], refused: str) -> None:
    """Tell those who have not given up meanwhile."""
    for _, done in waiting:
        if done.done():
            continue
        if refused:
            done.set_exception(QueueUnavailableError(refused))
        else:
            done.set_result(None)
