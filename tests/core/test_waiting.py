"""A limit of time that many tasks share."""

from __future__ import annotations

import asyncio
import gc
import weakref
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dst.virtual import VirtualLoop, run, virtually

from mailcore.waiting import TimeLimit

LIMIT_S = 5.0
Limited = Callable[[], AbstractAsyncContextManager[None]]
"""Makes a wait that is limited."""


@dataclass(frozen=True)
class Work:
    """What one task does.

    Attributes:
        after: Seconds until it begins.
        lasts: Seconds that it waits for what it needs.
        stubborn: Seconds that it takes to end once it is cancelled.
        swallows: Whether it goes on as if it had not been cancelled.
        cancelled: Seconds after which somebody cancels it, if anybody does.
    """

    after: float
    lasts: float
    stubborn: float
    swallows: bool
    cancelled: float | None


seconds = st.integers(0, 12).map(float)
works = st.lists(
    st.builds(Work, seconds, seconds, st.sampled_from([0.0, 2.5]), st.booleans(), st.none() | seconds), max_size=12
)


async def outcome(work: Work, limited: Limited) -> tuple[str, float]:
    """Return how a task's work ended, and when."""
    try:
        await asyncio.sleep(work.after)
        async with limited():
            await waited(work)
    except (TimeoutError, asyncio.CancelledError) as error:
        return type(error).__name__, get_running_loop().time()
    return "done", get_running_loop().time()


async def waited(work: Work) -> None:
    """Wait as long as it takes, and clean up for a while when cancelled."""
    try:
        await asyncio.sleep(work.lasts)
    except asyncio.CancelledError:
        await asyncio.sleep(work.stubborn)
        if not work.swallows:
            raise


async def outcomes(works: list[Work], limited: Limited) -> list[tuple[str, float]]:
    """Return how all ended, side by side."""
    tasks = [asyncio.create_task(outcome(work, limited)) for work in works]
    for work, task in zip(works, tasks, strict=True):
        if work.cancelled is not None:
            get_running_loop().call_later(work.cancelled, task.cancel)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, tuple) else (type(one).__name__, -1) for one in ended]


def shared() -> Limited:
    """Return what limits all by one TimeLimit."""
    limit = TimeLimit(LIMIT_S)

    @asynccontextmanager
    async def limited() -> AsyncIterator[None]:
        with limit():
            yield

    return limited


@given(works)
def test_it_is_as_if_each_had_a_timeout_of_its_own(works: list[Work]) -> None:
    """Whatever begins when, lasts how long, is cancelled by whom: it ends as by asyncio.timeout, at the same time."""
    assert run(outcomes(works, shared())) == run(outcomes(works, lambda: asyncio.timeout(LIMIT_S)))


async def told_at(limit: TimeLimit) -> float:
    """Wait for ever within a limit; return when the wait was broken off."""
    with pytest.raises(TimeoutError), limit():
        await asyncio.sleep(60)
    return get_running_loop().time()


@virtually
async def test_what_waits_too_long_is_broken_off() -> None:
    """At the end of its time whoever waits gets a TimeoutError."""
    assert await told_at(TimeLimit(LIMIT_S)) == LIMIT_S


@virtually
async def test_one_timer_looks_after_all() -> None:
    """A thousand waits, one after the other and side by side, need one timer at a time, and none afterwards."""
    limit, loop = TimeLimit(LIMIT_S), get_running_loop()

    async def work() -> None:
        with limit():
            await asyncio.sleep(0)
            assert len(loop._scheduled) <= 1

    for _ in range(10):
        await asyncio.gather(*(work() for _ in range(100)))
    await asyncio.sleep(2 * LIMIT_S)

    assert not loop._scheduled


@virtually
async def test_waits_may_be_nested() -> None:
    """Of two waits for one limit the outer one ends first, and both are over."""
    limit = TimeLimit(LIMIT_S)

    async def nested() -> None:
        await asyncio.sleep(3)
        with limit():
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError), limit():
        await nested()

    assert get_running_loop().time() == LIMIT_S
    assert asyncio.current_task().cancelling() == 0


def test_the_timer_of_a_loop_that_ended_is_not_waited_for() -> None:
    """A limit goes on in the next loop of its thread."""
    limit = TimeLimit(LIMIT_S)

    async def early() -> None:
        with limit():
            await asyncio.sleep(0)

    run(early())

    assert run(told_at(limit)) == LIMIT_S


def test_a_limit_keeps_no_loop_alive() -> None:
    """What outlives its loops, as a limit of a module does, holds none of them."""
    limit, loops = TimeLimit(LIMIT_S), []

    async def early() -> None:
        loops.append(weakref.ref(get_running_loop()))
        with limit():
            await asyncio.sleep(0)

    run(early())
    gc.collect()

    assert loops[0]() is None


def test_the_timer_of_another_loop_breaks_nothing_off() -> None:
    """A loop that goes on after another has begun looks after none of the other's waits, whatever its clock says."""
    limit, first, second = TimeLimit(LIMIT_S), VirtualLoop(), VirtualLoop()

    async def work(seconds: float) -> str:
        with limit():
            await asyncio.sleep(seconds)
        return "done"

    first.run_until_complete(work(0))
    longer = second.create_task(work(LIMIT_S - 1))
    second.run_until_complete(asyncio.sleep(0))
    first.run_until_complete(asyncio.sleep(2 * LIMIT_S))

    assert second.run_until_complete(longer) == "done"
    first.close()
    second.close()


async def test_two_threads_have_nothing_to_do_with_each_other() -> None:
    """A loop in another thread breaks off what waits in it, and nothing else."""
    limit = TimeLimit(0.01)

    async def late() -> str:
        try:
            with limit():
                await asyncio.sleep(60)
        except TimeoutError:
            return "late"
        return "done"

    async def here() -> str:
        with limit():
            return "done"

    there = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(late())))

    assert (await late(), await there, await here()) == ("late", "late", "done")
