"""Wake-ups in queues of Amazon SQS, one for each lane, and one more that tells other systems of dead letters.

Many ids share a message and many messages a request, since SQS is slow and is paid for by the request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from mailadapters import sqs_connection as sqs
from mailadapters.gathering import Burial, Gathering, WakeUps, by_lane
from mailadapters.reach import Reach, Server, UnreachableError
from mailadapters.sqs_connection import Connection, SqsPlace, place_of
from mailadapters.sqs_format import MOST_IDS, body_of, burial_of
from mailadapters.system import new_clock
from mailcore.errors import QueueUnavailableError
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.ports import Clock, Watch
from mailcore.waking import Admit


class SqsQueue:
    """A WakeUpQueue whose other end is any number of workers, or a Lambda function."""

    def __init__(self, place: SqsPlace, clock: Clock) -> None:
        self._place = place
        self._connection = Connection(place)
        server = Server(name="SQS", ping=self._connection.ping, faults=sqs.FAULTS, limit_s=sqs.LIMIT_S, told=sqs.told)
        self._reach = Reach(server, clock.monotonic)
        self._gathering = Gathering[WakeUps | Burial](self._write)

    async def enqueue(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        if email_ids:
            await self._gathering.add(WakeUps(email_ids, lane))

    async def bury(self, email_id: EmailId, *, reason: str) -> None:
        await self._gathering.add(Burial(email_id, reason))

    async def ping(self) -> None:
        try:
            await self._reach.ask(self._connection.ping)
        except UnreachableError as error:
            raise QueueUnavailableError(str(error)) from error

    @asynccontextmanager
    async def waking(self, admit: Admit, watch: Watch) -> AsyncGenerator[None]:
        from mailadapters.sqs_listener import listening

        async with listening(self._place, self._connection, self._reach, admit, watch):
            yield

    async def aclose(self) -> None:
        await self._gathering.aclose()
        await self._reach.aclose()
        await self._connection.aclose()

    async def _write(self, what: Sequence[WakeUps | Burial]) -> None:
        """Write all of it, as few messages as may be."""
        await self._reach.ask(partial(self._send, self._bodies(what)))

    async def _send(self, bodies: Mapping[str, Sequence[str]]) -> None:
        """Put messages into their queues."""
        for queue, of_queue in bodies.items():
            await self._connection.send(queue, of_queue)

    def _bodies(self, what: Sequence[WakeUps | Burial]) -> dict[str, list[str]]:
        """Return the messages for each queue."""
        buried = [burial_of(one.email_id, one.reason) for one in what if isinstance(one, Burial)]
        bodies = {self._place.dead_letters: buried} if buried else {}
        for lane, parts in by_lane(what, MOST_IDS).items():
            bodies[self._place.lane(lane)] = [body_of(part) for part in parts]
        return bodies


def open_queue(url: str) -> SqsQueue:
    """Return the queues that a URL names; nothing connects before their first use.

    Raises:
        SettingsError: It names none.
    """
    return SqsQueue(place_of(url), new_clock())
