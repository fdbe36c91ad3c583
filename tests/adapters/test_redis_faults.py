"""What happens to Redis's connections is no more than that: nothing is lost over one that died while it was idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest
import redis.asyncio
from msgspec import structs
from tests.servers.proxy import Proxy, proxy
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailadapters.dramatiq_queue import DramatiqQueue, open_queue
from mailadapters.redis_connection import SCHEMES, client, place_of
from mailadapters.redis_records import record_of
from mailcore.message import Lane
from mailcore.rates import RateLimit
from mailcore.testing.manual_clock import BEGINNING

SECRET = "hunter2"
TEN = RateLimit(requests=10, per=timedelta(hours=1))


@pytest.fixture
async def network(shared_redis: Server) -> AsyncIterator[Proxy]:
    """Yield a network between a deployment and its Redis."""
    async with proxy(fresh_url(shared_redis)) as network:
        yield network


@pytest.fixture
async def queue(network: Proxy, shared_redis: Server) -> AsyncIterator[DramatiqQueue]:
    """Yield a queue on Redis, reached over that network."""
    queue = open_queue(fresh_url(shared_redis).replace(shared_redis.url, network.url))
    queue.rates.within_s = 10
    yield queue
    await queue.aclose()


async def reset_idle(queue: DramatiqQueue, network: Proxy) -> None:
    """Reset all connections of a queue, and wait until the event loop has heard of it."""
    idle = queue._connection.connection_pool._available_connections
    await network.reset()
    async with asyncio.timeout(10):
        await asyncio.gather(*(one._writer.wait_closed() for one in idle), return_exceptions=True)


async def test_no_wake_up_is_lost_over_a_connection_that_was_reset_while_idle(
    queue: DramatiqQueue, network: Proxy
) -> None:
    """R1: a firewall forgets connections that nobody uses; the next wake-up goes by a new one."""
    await queue.enqueue(["em_a"], lane=Lane.URGENT)
    await reset_idle(queue, network)

    async with asyncio.timeout(10):
        await queue.enqueue(["em_b"], lane=Lane.URGENT)

    assert not queue._reach.down
    assert await queue._connection.llen(f"{queue._place.prefix}:{queue._place.prefix}.urgent") == 2


async def test_health_and_rates_outlive_a_connection_that_was_reset_while_idle(
    queue: DramatiqQueue, network: Proxy
) -> None:
    """What all processes know and count they go on to know and count together."""
    await queue.ping()
    await reset_idle(queue, network)
    async with asyncio.timeout(10):
        await queue.health.update("p", lambda health: health)
    await reset_idle(queue, network)
    await queue.health.load()
    await reset_idle(queue, network)

    admitted = await queue.rates.admit("key_1", TEN)

    assert (admitted.remaining, queue._reach.down) == (9, False)
    assert await queue._connection.exists(f"{queue._place.prefix}:rate:key_1")


def test_what_a_url_wants_encrypted_is() -> None:
    """Connections of our own are made as the URL says."""
    plain, encrypted = (client(place_of(f"{scheme}://127.0.0.1")).connection_pool for scheme in SCHEMES)

    assert not isinstance(plain.make_connection(), redis.asyncio.SSLConnection)
    assert isinstance(encrypted.make_connection(), redis.asyncio.SSLConnection)


async def test_health_goes_on_by_what_is_known_here_after_an_error_that_nobody_foresaw(
    queue: DramatiqQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked has his answer, and the next write brings along what that one would have written."""
    replace, errors = queue.health._replace, [RuntimeError(SECRET)]

    def failing(**arguments: object) -> Awaitable[bytes | None]:
        if errors:
            raise errors.pop()
        swapped: Awaitable[bytes | None] = replace(**arguments)
        return swapped

    queue.health._replace = failing
    async with asyncio.timeout(10):
        alone = await queue.health.update("p", lambda health: structs.replace(health, not_before=BEGINNING))
        again = await queue.health.update("p", lambda health: health)

    assert alone.not_before == again.not_before == BEGINNING
    assert record_of(await queue._connection.hget(f"{queue._place.prefix}:health", "p")).health == again
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_nobody_waits_for_health_whose_write_was_ended(queue: DramatiqQueue) -> None:
    """Whoever asked goes on by what is known here, and the next write is made."""
    replace, began = queue.health._replace, asyncio.Event()

    async def endless(**_: object) -> None:
        began.set()
        await asyncio.Event().wait()

    queue.health._replace = endless
    asked = asyncio.ensure_future(queue.health.update("p", lambda health: health))
    await began.wait()
    closing = asyncio.ensure_future(queue.health.aclose())
    await asyncio.sleep(0)

    closing.cancel()

    queue.health._replace = replace
    async with asyncio.timeout(10):
        assert await asked == await queue.health.update("p", lambda health: health)
