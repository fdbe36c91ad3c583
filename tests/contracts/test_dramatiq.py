"""The queues on Redis hold to the contract, seen from the other end by dramatiq's own consumer."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailadapters.dramatiq_queue import DramatiqQueue, open_queue
from mailadapters.redis_connection import place_of
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.testing.contracts import QueueContract


class TestDramatiqQueue(QueueContract[DramatiqQueue]):
    """DramatiqQueue is a WakeUpQueue."""

    @pytest.fixture
    def url(self, shared_redis: Server) -> str:
        """Return the URL of an empty deployment."""
        return fresh_url(shared_redis)

    @pytest.fixture
    async def queue(self, url: str) -> AsyncIterator[DramatiqQueue]:
        """Yield an empty queue."""
        queue = open_queue(url)
        yield queue
        await queue.aclose()

    @pytest.fixture(autouse=True)
    def _look_at(self, url: str) -> Iterator[None]:
        """Remember where the queue is."""
        place = place_of(url)
        self.prefix, self.redis = place.prefix, redis.Redis.from_url(place.url)
        yield
        self.redis.close()

    async def woken(self, queue: DramatiqQueue, lane: Lane) -> Sequence[EmailId]:
        """Consume with dramatiq's own broker."""
        broker: Any = RedisBroker(client=self.redis, namespace=self.prefix, middleware=[])
        consumer = broker.consume(f"{self.prefix}.{lane}", prefetch=1000, timeout=1)
        found: list[EmailId] = []
        while (message := next(consumer)) is not None:
            found += message.args[0]
        return found

    async def buried(self, queue: DramatiqQueue) -> Sequence[tuple[EmailId, str]]:
        """Read the stream as another system would."""
        entries: Any = self.redis.xrange(f"{self.prefix}:dead-letters")
        return [(fields[b"id"].decode(), fields[b"reason"].decode()) for _, fields in entries]
