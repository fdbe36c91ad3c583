"""dramatiq's Redis broker for queues that anybody may have written to.

What is no wake-up of ours is acknowledged and told, never raised: dramatiq's own consumer would restart every few
seconds over a message that it cannot decode, and a wrong queue name would end a worker thread for good. An idle
consumer waits in Redis and does not poll, so that a wake-up is picked up at once and an idle worker costs nothing.
A delayed message is none of ours; there are no queues for them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Event
from typing import Any, Final

from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker

from mailadapters.dramatiq_format import WakeUpMessage, message_of
from mailadapters.reach import REST_S
from mailadapters.redis_connection import BLOCK_S, FAULTS, RedisPlace, blocking_client

MAINTENANCE_CHANCE: Final = 50_000
"""Of a million commands so many look for the messages of dead workers."""

HEARTBEAT_TIMEOUT_MS: Final = 15_000
"""After so long without a word a worker is dead."""

log = logging.getLogger("mailadapters.dramatiq")

Strange = Callable[[str], None]
"""Is told, in any thread, the name of a queue that held something that is no wake-up."""


class LaneBroker(RedisBroker):
    """A broker of one process.

    Attributes:
        closing: Nothing more is fetched.
        strange: Is told of what is no wake-up.
    """

    def __init__(self, place: RedisPlace, strange: Strange) -> None:
        self._own_client = blocking_client(place)
        super().__init__(  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType] - dramatiq's own
            client=self._own_client,
            middleware=[],
            namespace=place.prefix,
            maintenance_chance=MAINTENANCE_CHANCE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        )
        self.closing = Event()
        self.strange = strange

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:  # noqa: ARG002 - theirs
        """Return what reads a queue."""
        return LaneConsumer(self, queue_name, prefetch)

    def close(self) -> None:
        """Let go of the connections."""
        self._own_client.close()

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, and none for delayed messages beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


class LaneConsumer(Consumer):
    """Reads one queue, for one thread; messages are acknowledged from others.

    Attributes:
        prefetch: So many messages at most are fetched and not acknowledged yet.
    """

    def __init__(self, broker: LaneBroker, queue_name: str, prefetch: int) -> None:
        self.prefetch = prefetch
        self._broker: Any = broker
        self._queue = queue_name
        self._key = f"{broker.namespace}:{queue_name}"
        self._acks = f"{broker.namespace}:__acks__.{broker.broker_id}.{queue_name}"
        self._fetched: deque[WakeUpMessage] = deque()
        self._under_way: set[str] = set()
        self._acknowledged = Condition()

    def __next__(self) -> MessageProxy | None:
        """Return the next wake-up; None if there is none yet."""
        try:
            if not self._fetched:
                self._fetch()
        except FAULTS as error:
            log.debug("%s: %s", self._queue, type(error).__name__)
            self._broker.closing.wait(REST_S)
        return self._taken() if self._fetched else None

    def ack(self, message: MessageProxy) -> None:
        """Forget a message. If Redis does not hear of it, the wake-up is repeated one day, which does no harm."""
        message_id = message.options["redis_message_id"]
        try:
            self._broker.do_ack(self._queue, message_id)
        except FAULTS as error:
            log.debug("%s: %s", self._queue, type(error).__name__)
        with self._acknowledged:
            self._under_way.discard(message_id)
            self._acknowledged.notify()

    def nack(self, message: MessageProxy) -> None:
        """Forget a message: what becomes of an e-mail is in the store."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back to the queue."""
        self._give_back([message.options["redis_message_id"] for message in messages])

    def close(self) -> None:
        """Give back what was fetched and not begun."""
        self._give_back([str(message.options.redis_message_id) for message in self._fetched])
        self._fetched.clear()

    def _give_back(self, message_ids: list[str]) -> None:
        """Put messages back, if Redis hears of it; else the store's sweep finds their e-mails."""
        try:
            if message_ids:
                self._broker.do_requeue(self._queue, *message_ids)
        except FAULTS as error:
            log.debug("%s: %s", self._queue, type(error).__name__)

    def _taken(self) -> MessageProxy:
        """Return the first fetched message as dramatiq has it."""
        found = self._fetched.popleft()
        options = {"redis_message_id": found.options.redis_message_id}
        with self._acknowledged:
            self._under_way.add(str(found.options.redis_message_id))
        return MessageProxy(
            Message(
                queue_name=found.queue_name,
                actor_name=found.actor_name,
                args=found.args,
                kwargs={},
                options=options,
                message_id=found.message_id,
                message_timestamp=found.message_timestamp,
            )
        )

    def _fetch(self) -> None:
        """Fetch what there is room for; wait for room, or for something to arrive."""
        with self._acknowledged:
            room = self.prefetch - len(self._under_way)
            if room < 1 or self._broker.closing.is_set():
                self._acknowledged.wait(BLOCK_S / 10)
                return
        fetched: list[bytes | None] = self._broker.do_fetch(self._queue, room)
        for octets in fetched:
            self._sort(octets or b"")
        if not fetched:  # the first in line goes to its own place: a look that takes nothing
            self._broker.client.blmove(self._key, self._key, BLOCK_S, "LEFT", "LEFT")

    def _sort(self, octets: bytes) -> None:
        """Keep a wake-up; drop what is none."""
        found = message_of(octets, self._queue)
        if found is not None and found.options.redis_message_id:
            self._fetched.append(found)
            return
        self._broker.strange(self._queue)
        for message_id in self._broker.client.smembers(self._acks):
            if (self._broker.client.hget(f"{self._key}.msgs", message_id) or b"") == octets:
                self._broker.do_ack(self._queue, message_id)
