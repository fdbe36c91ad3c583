"""Wake-ups on their way into Redis: gathered, bounded in time, and refused at once while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailadapters import redis_connection
from mailadapters.dramatiq_format import MOST_IDS
from mailadapters.dramatiq_queue import KEPT_BURIALS, DramatiqQueue, open_queue
from mailadapters.redis_connection import FAULTS, LIMIT_S, place_of
from mailcore.errors import QueueUnavailableError, SettingsError
from mailcore.message import Lane
from mailcore.records import WAKE_UP_BUDGET

SECRET = "hunter2"


@pytest.fixture
async def queue(shared_redis: Server) -> AsyncIterator[DramatiqQueue]:
    """Yield an empty queue."""
    queue = open_queue(fresh_url(shared_redis))
    yield queue
    await queue.aclose()


async def test_wake_ups_at_once_share_messages(queue: DramatiqQueue) -> None:
    """An API under load writes a message for many e-mails, which is what makes workers fast."""
    await asyncio.gather(*(queue.enqueue([f"em_{n}"], lane=Lane.BULK) for n in range(200)))

    messages = await queue._connection.llen(f"{queue._place.prefix}:{queue._place.prefix}.bulk")

    assert messages <= 200 / MOST_IDS + 1


async def test_the_dead_letters_are_bounded(queue: DramatiqQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody reading them they do not fill Redis: the store keeps them all."""
    monkeypatch.setattr("mailadapters.dramatiq_queue.KEPT_BURIALS", 100)

    for _ in range(20):  # fifty at a time: a busy machine does not write a thousand within one call's time
        await asyncio.gather(*(queue.bury(f"em_{n}", reason="gave_up") for n in range(50)))

    assert 100 <= await queue._connection.xlen(f"{queue._place.prefix}:dead-letters") < 400
    assert KEPT_BURIALS == 100_000


async def test_all_keys_begin_with_the_deployments_prefix(queue: DramatiqQueue) -> None:
    """An ACL for one prefix is all that a deployment needs, and two may share a server."""
    before = set(await queue._connection.keys("*"))

    await queue.enqueue(["em_a"], lane=Lane.URGENT)
    await queue.bury("em_a", reason="rejected")
    await queue.health.update("p", lambda health: health)

    new = {key.decode() for key in set(await queue._connection.keys("*")) - before}
    assert new
    assert all(key.startswith(f"{queue._place.prefix}:") for key in new)


async def test_scripts_that_redis_has_forgotten_are_loaded_again(queue: DramatiqQueue) -> None:
    """A Redis that was restarted has no scripts any more."""
    await queue.enqueue(["em_a"], lane=Lane.URGENT)
    await queue._connection.script_flush()

    await queue.enqueue(["em_b"], lane=Lane.URGENT)

    assert await queue._connection.llen(f"{queue._place.prefix}:{queue._place.prefix}.urgent") == 2


async def test_a_frozen_redis_is_waited_for_once(own_redis: Server) -> None:
    """R3: the first call waits less than the API's budget, the next ones not at all."""
    queue, loop = open_queue(fresh_url(own_redis)), asyncio.get_running_loop()
    await queue.ping()
    own_redis.freeze()
    began = loop.time()

    with pytest.raises(QueueUnavailableError):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)
    first = loop.time() - began
    for _ in range(100):
        with pytest.raises(QueueUnavailableError):
            await queue.enqueue(["em_a"], lane=Lane.URGENT)
    rest = loop.time() - began - first

    own_redis.thaw()
    await queue.aclose()
    assert LIMIT_S * 0.9 <= first < WAKE_UP_BUDGET.total_seconds()
    assert rest < LIMIT_S


async def test_redis_is_found_again_without_anybody_waiting(own_redis: Server) -> None:
    """R1: once it is back, wake-ups go through it again."""
    queue = open_queue(fresh_url(own_redis))
    await asyncio.to_thread(own_redis.kill)
    with pytest.raises(QueueUnavailableError):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)
    await asyncio.to_thread(own_redis.restart)

    async with asyncio.timeout(10):
        while queue._reach.down:
            queue._reach.look()
            await asyncio.sleep(0.05)
    await queue.enqueue(["em_b"], lane=Lane.URGENT)

    assert await queue._connection.llen(f"{queue._place.prefix}:{queue._place.prefix}.urgent") == 1
    await queue.aclose()


async def test_a_redis_without_memory_is_no_error_of_ours(own_redis: Server) -> None:
    """R6: what Redis refuses is a wake-up that was lost, and told as such."""
    queue = open_queue(fresh_url(own_redis))
    await queue._connection.config_set("maxmemory", "1")

    with pytest.raises(QueueUnavailableError, match="Redis"):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)

    await queue.aclose()


async def test_an_enqueue_that_is_given_up_takes_nobody_else_down(queue: DramatiqQueue) -> None:
    """A caller whose time is over leaves those who share his round trip alone."""
    calls = [asyncio.ensure_future(queue.enqueue([f"em_{n}"], lane=Lane.URGENT)) for n in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()

    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [results[0], results[2]] == [None, None]
    assert isinstance(results[1], asyncio.CancelledError)


def test_every_error_of_the_driver_is_mapped() -> None:
    """What redis-py raises for a server or a network comes out as one of ours."""
    known: list[Any] = [one for one in vars(redis.exceptions).values() if isinstance(one, type)]
    raised = [one for one in known if issubclass(one, Exception)]
    of_clusters = {"RedisClusterException", "SlotNotCoveredError", "IncorrectPolicyType"}
    of_clusters |= {"InvalidPipelineStack", "CrossSlotTransactionError"}
    of_locks_and_forks = {"ChildDeadlockedError"}

    unmapped = {one.__name__ for one in raised if not issubclass(one, FAULTS)}

    assert unmapped == (of_clusters | of_locks_and_forks) & {one.__name__ for one in raised}


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@127.0.0.1:99999999/0",
        f"redis://:{SECRET}@127.0.0.1/0?prefix=a%20b",
        f"redis://:{SECRET}@127.0.0.1/0?prefix=",
        f"redis://:{SECRET}@127.0.0.1/0?nonsense=1",
        f"http://:{SECRET}@127.0.0.1/0",
        f"redis://:{SECRET}@127.0.0.1/0?socket_timeout=soon",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    """A URL may hold a password, so the error says what is expected and not what stands there."""
    with pytest.raises(SettingsError, match="queue:") as refused:
        open_queue(url)

    assert SECRET not in str(refused.value)


def test_a_url_may_name_a_deployment() -> None:
    """The prefix is ours, everything else redis-py's."""
    place = place_of("rediss://ann@redis.example:6380/3?prefix=shop&health_check_interval=5")

    assert place.prefix == "shop"
    assert place.url == "rediss://ann@redis.example:6380/3?health_check_interval=5"
    assert place_of("redis://127.0.0.1").prefix == redis_connection.DEFAULT_PREFIX
