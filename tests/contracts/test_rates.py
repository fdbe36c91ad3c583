"""Rates: what holds whoever counts, this process alone or all together in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.servers.redis_world import fresh_url, workers

from mailadapters.redis_rates import RedisRates
from mailcore.metering import LocalRates, Rates
from mailcore.rates import Bucket, RateLimit

TEN = RateLimit(requests=10, per=timedelta(hours=10))
THREE = RateLimit(requests=3, per=timedelta(hours=3))


@pytest.fixture(params=["local", "redis"])
async def rates(request: pytest.FixtureRequest) -> AsyncIterator[Rates]:
    """Yield rates that have counted nothing, with patience for a busy machine."""
    if request.param == "local":
        yield LocalRates(lambda: 5.0)
        return
    server = request.getfixturevalue("shared_redis")
    async with workers(server, 1, fresh_url(server)) as (worker,):
        made = RedisRates(worker.connection, worker.reach, worker.place.prefix, LocalRates(worker.clock.monotonic))
        made.within_s = 10
        yield made


async def test_of_many_at_once_as_many_pass_as_the_limit_says(rates: Rates) -> None:
    """Exactly so many, and those of another name are not touched."""
    told = await asyncio.gather(*(rates.admit("a", TEN) for _ in range(50)))

    assert sum(one.allowed for one in told) == 10
    assert (await rates.admit("b", TEN)).remaining == 9


async def test_buckets_are_counted_together_or_not_at_all(rates: Rates) -> None:
    """The first that has no room stops the count in all, and the answer says which it was."""
    both = [Bucket("a", TEN), Bucket("b", THREE)]

    told = [await rates.admit_together(both) for _ in range(5)]

    assert [[one.allowed for one in each] for each in told] == [[True, True]] * 3 + [[True, False]] * 2
    assert [[one.remaining for one in each] for each in told] == [[9, 2], [8, 1], [7, 0], [7, 0], [7, 0]]
    assert 3500 < told[-1][1].retry_after_s <= 3600


async def test_where_several_have_no_room_each_says_so(rates: Rates) -> None:
    """Whoever is told waits for the longest and not for one after the other."""
    for name, limit in (("a", TEN), ("b", THREE)):
        for _ in range(limit.requests):
            await rates.admit(name, limit)

    told = await rates.admit_together([Bucket("a", TEN), Bucket("c", TEN), Bucket("b", THREE)])

    assert [one.allowed for one in told] == [False, True, False]
    assert [one.remaining for one in told] == [0, 10, 0]


async def test_of_many_that_share_a_bucket_as_many_pass_as_it_holds(rates: Rates) -> None:
    """However many other buckets each has of its own."""
    asked = (rates.admit_together([Bucket(f"own {n}", THREE), Bucket("shared", TEN)]) for n in range(50))

    told = await asyncio.gather(*asked)

    assert sum(all(one.allowed for one in each) for each in told) == 10
    assert sum([(await rates.admit(f"own {n}", THREE)).remaining == 1 for n in range(50)]) == 10
