"""Rates in Redis: counted once by all, as the pure function counts, and never an open gate without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.redis_world import Worker, fresh_url, workers
from tests.servers.running import Server

from mailadapters.redis_rates import COUNT, WITHIN_S, RedisRates
from mailcore.metering import LocalRates
from mailcore.rates import Bucket, RateLimit, full_at

TEN = RateLimit(requests=10, per=timedelta(hours=1))


def rates_of(worker: Worker, patience_s: float = 10) -> RedisRates:
    """Return the rates as one process has them, with more patience on a busy machine than in production."""
    rates = RedisRates(worker.connection, worker.reach, worker.place.prefix, LocalRates(worker.clock.monotonic))
    rates.within_s = patience_s
    return rates


@pytest.fixture
async def two(own_redis: Server) -> AsyncIterator[list[Worker]]:
    """Yield two processes' worth on a Redis that may be stopped."""
    async with workers(own_redis, 2) as made:
        yield made


async def let_in(rates: list[RedisRates], times: int, name: str = "key_1") -> int:
    """Return how many of so many requests at the same time are admitted, of each process in turn."""
    asked = (rates[number % len(rates)].admit(name, TEN) for number in range(times))
    return sum(one.allowed for one in await asyncio.gather(*asked))


async def test_of_fifty_at_once_through_two_processes_ten_pass(two: list[Worker]) -> None:
    """Exactly the limit, however they interleave; another key is not touched."""
    rates = [rates_of(worker) for worker in two]

    assert await let_in(rates, 50) == 10
    assert await let_in(rates, 50, "key_2") == 10
    assert await let_in(rates, 50) == 0


async def test_of_fifty_at_once_ten_pass_by_the_cap_that_they_share(two: list[Worker]) -> None:
    """Buckets that are asked together are counted together: whoever one of them refuses costs the others nothing."""
    rates = [rates_of(worker) for worker in two]
    shared, hourly = Bucket("mailbox:a", TEN), RateLimit(requests=100, per=timedelta(hours=1))

    asked = (
        rates[n % 2].admit_together([Bucket(f"key_{n % 5}", hourly), shared, Bucket(f"mailbox:{n}", TEN)])
        for n in range(50)
    )
    told = await asyncio.gather(*asked)

    assert sum(all(one.allowed for one in each) for each in told) == 10
    assert {(each[0].allowed, each[2].allowed) for each in told} == {(True, True)}
    left = [(await rates[0].admit(f"key_{n}", hourly)).remaining for n in range(5)]
    assert sum(99 - one for one in left) == 10


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_without_redis_buckets_are_counted_together_by_each_process(
    two: list[Worker], own_redis: Server, how: str
) -> None:
    """From where all of them were: the gate is not open."""
    rates = rates_of(two[0])
    both = [Bucket("mailbox:a", TEN), Bucket("key_1:day", RateLimit(requests=100, per=timedelta(days=1)))]
    for _ in range(7):
        await rates.admit_together(both)
    rates.within_s = WITHIN_S
    (own_redis.freeze if how == "frozen" else own_redis.kill)()

    told = [await rates.admit_together(both) for _ in range(9)]

    assert [each[0].allowed for each in told] == [True] * 3 + [False] * 6
    assert told[-1][1].remaining == 90
    if how == "frozen":
        own_redis.thaw()


async def test_a_caller_is_told_how_it_stands(two: list[Worker]) -> None:
    """What remains, and when the next one may come: by all processes' requests."""
    first, second = (rates_of(worker) for worker in two)
    await first.admit("key_1", TEN)

    told = await second.admit("key_1", TEN)

    assert (told.allowed, told.remaining, told.retry_after_s) == (True, 8, 0)
    assert 700 < told.full_after_s <= 720
    await let_in([first, second], 8)
    refused = await second.admit("key_1", TEN)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert 350 < refused.retry_after_s <= 360


async def test_a_bucket_leaves_nothing_behind_once_it_is_full(two: list[Worker]) -> None:
    """Redis forgets it by itself."""
    await rates_of(two[0]).admit("key_1", RateLimit(requests=10, per=timedelta(seconds=60)))

    left = await two[0].connection.pttl(f"{two[0].place.prefix}:rate:key_1")

    assert 0 < left <= 6000


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_without_redis_each_process_holds_the_limit_and_nobody_waits(
    two: list[Worker], own_redis: Server, how: str
) -> None:
    """From where all of them were: never more than the limit in each process."""
    first, second = (rates_of(worker) for worker in two)
    assert await let_in([first], 7) == 7
    first.within_s = second.within_s = WITHIN_S
    (own_redis.freeze if how == "frozen" else own_redis.kill)()

    async with asyncio.timeout(5):  # one bounded wait for all, on a loaded machine
        passed = [await let_in([first], 50), await let_in([second], 50)]

    assert passed == [3, 10]
    if how == "frozen":
        own_redis.thaw()


async def test_a_flushed_redis_lets_no_more_in_than_the_limit_once_more(two: list[Worker]) -> None:
    """What it has forgotten is a full bucket, and no open gate."""
    rates = [rates_of(worker) for worker in two]
    await let_in(rates, 50)
    await two[0].connection.flushall()

    assert await let_in(rates, 50) == 10


@pytest.fixture(scope="module")
def url(shared_redis: Server) -> str:
    """Give a deployment of the shared server."""
    return fresh_url(shared_redis)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.integers(1, 20),
    spacing_ms=st.integers(60_000, 600_000),
    number=st.integers(1, 40),
)
def test_redis_counts_as_the_pure_function_does(
    shared_redis: Server, url: str, requests: int, spacing_ms: int, number: int
) -> None:
    """One trace, two implementations, the same answers: hardly any time passes meanwhile."""
    limit = RateLimit(requests=requests, per=timedelta(milliseconds=spacing_ms * requests))

    async def counted() -> list[bool]:
        async with workers(shared_redis, 1, url) as (worker,):
            script = worker.connection.register_script(COUNT)
            key = f"{worker.place.prefix}:rate:trace"
            await worker.connection.delete(key)
            args = [limit.spacing_us, limit.spacing_us * limit.requests]
            return [bool((await script(keys=[key], args=args))[0]) for _ in range(number)]

    seen = asyncio.run(counted())

    full, expected = 0, list[bool]()
    for _ in range(number):
        after = full_at(full, limit, 0)
        expected.append(after is not None)
        full = full if after is None else after
    assert seen == expected
