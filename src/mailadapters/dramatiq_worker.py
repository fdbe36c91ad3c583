"""A dramatiq worker inside a process of ours: its actors hand wake-ups to the engine and wait for slots, no more.

There is one actor for each lane, which is a queue of its own, and each lane has threads for all that it may have
fetched, so that bulk that waits for slots holds up no urgent wake-up. What an actor waits for runs on the process's
own event loop; the engine, which sends, is no part of the worker and is drained by whoever runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import dramatiq
from dramatiq import Worker

from mailadapters.dramatiq_broker import LaneBroker
from mailadapters.dramatiq_format import queue_name
from mailadapters.redis_connection import RedisPlace
from mailcore.errors import QueueUnavailableError, SettingsError
from mailcore.events import Event, Happening
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.ports import Watch
from mailcore.waking import Admit

PREFETCH: Final = 10
"""So many messages of a lane does a process hold at most."""

THREADS: Final = PREFETCH * len(Lane) + 2
IDLE_MS: Final = 250
"""How often an idle thread looks whether it is to end."""

STOP_MS: Final = 5_000
"""How long the worker may take to end; its messages then come back by themselves."""


class Enqueue(Protocol):
    """Puts wake-ups into a queue."""

    async def __call__(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        """Wake somebody up."""
        ...


@dataclass
class Desk:
    """Where wake-ups wait for the engine to take them.

    Attributes:
        waiting: The calls that wait.
        closed: Wake-ups go back to the queue.
    """

    admit: Admit
    enqueue: Enqueue
    waiting: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    closed: bool = False

    async def hand_in(self, email_ids: Sequence[EmailId], lane: Lane) -> None:
        """Wait until the engine has slots; put back what it does not take before the desk is closed."""
        task = asyncio.ensure_future(self.admit(email_ids, lane))
        self.waiting.add(task)
        if self.closed:
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            with suppress(QueueUnavailableError):
                await self.enqueue(email_ids, lane=lane)
        finally:
            self.waiting.discard(task)

    def close(self) -> None:
        """Take no more."""
        self.closed = True
        for task in self.waiting:
            task.cancel()


@asynccontextmanager
async def working(place: RedisPlace, admit: Admit, enqueue: Enqueue, watch: Watch) -> AsyncGenerator[None]:
    """Run a dramatiq worker until the context is left.

    Raises:
        SettingsError: Somebody has given dramatiq another encoder than JSON: pickled messages would be run as code.
    """
    if type(dramatiq.get_encoder()) is not dramatiq.JSONEncoder:
        raise SettingsError("dramatiq's encoder must be its JSONEncoder: no other may read messages")
    loop = asyncio.get_running_loop()
    desk = Desk(admit, enqueue)

    def strange(queue: str) -> None:
        event = Event(what=Happening.STRANGE_WAKE_UP, email_id="", note=f"in the queue {queue}")
        loop.call_soon_threadsafe(watch, event)

    broker = LaneBroker(place, strange)
    declare(broker, place.prefix, partial(_from_thread, desk, loop))
    worker = Worker(broker, worker_timeout=IDLE_MS, worker_threads=THREADS)
    worker.queue_prefetch = PREFETCH
    worker.start()
    try:
        yield
    finally:
        broker.closing.set()
        desk.close()
        await asyncio.to_thread(worker.stop, STOP_MS)
        broker.close()


HandIn = Callable[[Sequence[EmailId], Lane], None]
"""Hands wake-ups in from a thread, and returns once they have slots."""


def declare(broker: dramatiq.Broker, prefix: str, hand_in: HandIn) -> None:
    """Declare an actor for each lane; what a process has fetched of a more urgent one comes first."""
    for number, lane in enumerate(Lane):
        name = queue_name(prefix, lane)
        dramatiq.actor(broker=broker, actor_name=name, queue_name=name, priority=number)(_actor(hand_in, lane))


def _actor(hand_in: HandIn, lane: Lane) -> Callable[[Sequence[EmailId]], None]:
    """Return what a lane's actor does with a message."""

    def wake_up(email_ids: Sequence[EmailId]) -> None:
        hand_in(email_ids, lane)

    return wake_up


def _from_thread(desk: Desk, loop: asyncio.AbstractEventLoop, email_ids: Sequence[EmailId], lane: Lane) -> None:
    """Hand wake-ups in on the loop, and wait for that."""
    asyncio.run_coroutine_threadsafe(desk.hand_in(email_ids, lane), loop).result()
