"""What happens to Redis's connections is no more than that: nothing is lost over one that died while it was idle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest
import redis.asyncio
from msgspec import structs
from tests.servers.proxy import Proxy, proxy
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailadapters.dramatiq_queue import DramatiqQueue, open_queue
from mailadapters.redis_connection import MOST_CONNECTIONS, SCHEMES, client, place_of
from mailadapters.redis_records import record_of
from mailcore.errors import QueueUnavailableError
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
async def queue(network: Proxy, shared_redis: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DramatiqQueue]:
    """Yield a queue on Redis, reached over that network; it may take its time on a busy machine."""
    monkeypatch.setattr("mailadapters.redis_connection.LIMIT_S", 10.0)
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


async def test_two_hundred_requests_at_once_are_counted_by_a_redis_that_is_well(
    queue: DramatiqQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """They take turns: all are told how they stand with each other, and wake-ups go through meanwhile."""
    most = RateLimit(requests=150, per=timedelta(hours=1))

    counting = asyncio.gather(*(queue.rates.admit("key_1", most) for _ in range(200)))
    await asyncio.gather(*(queue.enqueue([f"em_{n}"], lane=Lane.URGENT) for n in range(20)))
    told = await counting

    assert sorted(one.remaining for one in told if one.allowed) == list(range(150))
    assert sum(one.allowed for one in told) == 150
    assert not caplog.records


async def test_who_gets_no_turn_in_time_is_judged_here_and_redis_is_not_called_lost(
    queue: DramatiqQueue,
) -> None:
    """A crowd says nothing of Redis."""
    queue.rates.within_s = 0
    queue.rates._turns = asyncio.Semaphore(0)

    alone = [await queue.rates.admit("key_1", TEN) for _ in range(11)]

    assert [one.allowed for one in alone] == [True] * 10 + [False]
    assert not await queue._connection.exists(f"{queue._place.prefix}:rate:key_1")
    assert not queue._reach.down


async def test_a_want_of_connections_is_no_loss_of_redis(queue: DramatiqQueue) -> None:
    """Whoever got none is told so; the next one goes through."""
    pool = queue._connection.connection_pool
    held = [await pool.get_connection() for _ in range(MOST_CONNECTIONS)]

    with pytest.raises(QueueUnavailableError, match="MaxConnectionsError"):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)

    await pool.release(held.pop())
    await queue.enqueue(["em_b"], lane=Lane.URGENT)
    for one in held:
        await pool.release(one)


class FullDisk(logging.Handler):
    """Writes to a disk that has no room left, and says so to whoever logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take no record."""
        raise OSError("no space left")


async def test_a_log_that_cannot_be_written_does_not_hide_that_redis_is_lost(
    queue: DramatiqQueue, network: Proxy
) -> None:
    """Nobody after the first waits in vain."""
    full = FullDisk()
    logging.getLogger("mailadapters.reach").addHandler(full)
    await network.refuse()

    with pytest.raises(OSError, match="no space left"):
        await queue.ping()

    logging.getLogger("mailadapters.reach").removeHandler(full)
    assert queue._reach.down
