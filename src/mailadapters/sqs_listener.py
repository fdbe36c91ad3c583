"""How a worker hears of wake-ups in SQS: it waits for messages, hands their ids over, and deletes them once taken.

What is no wake-up is deleted and told. Each lane has its own listeners, so that bulk that waits for slots holds up no
urgent wake-up. Messages come again by themselves if a worker dies with them; the store would not need them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mailadapters import sqs_connection as sqs
from mailadapters.reach import REST_S, Reach, UnreachableError
from mailadapters.sqs_connection import Connection, SqsPlace
from mailadapters.sqs_format import ids_of
from mailcore.events import Event, Happening
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.ports import Watch
from mailcore.waking import Admit

LISTENERS: Final = 2
"""So many of each lane: while one deletes, the other receives."""

log = logging.getLogger("mailadapters.sqs")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Carries wake-ups from a queue to an engine, a batch at a time."""

    connection: Connection
    reach: Reach
    queue: str
    lane: Lane
    admit: Admit
    watch: Watch

    async def listen(self) -> None:
        """Carry wake-ups until it is cancelled; while SQS is away, look again every second."""
        while True:
            messages = await self._received()
            if messages:
                await self._hand_over(messages)

    async def _received(self) -> Sequence[Any]:
        """Return what has arrived."""
        receive = partial(self.connection.receive, self.queue, sqs.WAIT_S)
        try:
            return await self.reach.ask(receive, sqs.WAIT_S + sqs.LIMIT_S)
        except UnreachableError as error:
            log.debug("%s: %s", self.queue, error)
            await asyncio.sleep(REST_S)
            return ()

    async def _hand_over(self, messages: Sequence[Any]) -> None:
        """Wait until the engine has slots, and delete the messages; those that it has none for go back."""
        email_ids = [one for message in messages for one in self._ids(message)]
        try:
            if email_ids:
                await self.admit(email_ids, self.lane)
        except asyncio.CancelledError:
            await self._tried(self.connection.give_back(self.queue, messages))
            raise
        await self._tried(self.connection.delete(self.queue, messages))

    def _ids(self, message: Any) -> Sequence[EmailId]:
        """Return the ids in a message; tell of one that has none."""
        email_ids = ids_of(message["Body"])
        if email_ids is None:
            self.watch(Event(what=Happening.STRANGE_WAKE_UP, email_id="", note=f"in the queue {self.queue}"))
        return email_ids or ()

    async def _tried(self, call: Awaitable[None]) -> None:
        """Do something that may fail: SQS then shows the messages again, and a wake-up may be repeated."""
        try:
            async with asyncio.timeout(sqs.LIMIT_S):
                await call
        except sqs.FAULTS as error:
            log.debug("%s: %s", self.queue, sqs.told(error))


@asynccontextmanager
async def listening(
    place: SqsPlace, connection: Connection, reach: Reach, admit: Admit, watch: Watch
) -> AsyncGenerator[None]:
    """Listen to all lanes until the context is left."""
    listeners = [
        Listener(connection=connection, reach=reach, queue=place.lane(lane), lane=lane, admit=admit, watch=watch)
        for lane in Lane
        for _ in range(LISTENERS)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.listen()) for one in listeners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
