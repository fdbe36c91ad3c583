"""The providers' health in Redis holds to the contract."""

from collections.abc import AsyncIterator

import pytest
from tests.servers.redis_world import Worker, workers
from tests.servers.running import Server

from mailadapters.redis_health import RedisHealth
from mailcore.testing.contracts import HealthContract


@pytest.fixture
async def worker(shared_redis: Server) -> AsyncIterator[Worker]:
    """Yield one process on an empty deployment."""
    async with workers(shared_redis, 1) as made:
        yield made[0]


class TestRedisHealth(HealthContract):
    """RedisHealth is a ProviderHealth."""

    @pytest.fixture
    def health(self, worker: Worker) -> RedisHealth:
        """Return the health of a deployment of its own."""
        return worker.health
