"""A limit of time for what seldom has to wait."""

from __future__ import annotations

import asyncio

import pytest

from mailcore.waiting import within


async def at_once() -> str:
    """Work without a wait."""
    return "done"


async def after(*events: asyncio.Event) -> str:
    """Work that waits for one event after the other."""
    for event in events:
        await event.wait()
    return "done"


async def test_work_without_a_wait_just_ends() -> None:
    """What is done at once is returned at once, however short the limit."""
    assert await within(0, at_once()) == "done"


async def test_work_may_wait_several_times() -> None:
    """Work that waits goes on as if it were awaited, wait by wait."""
    first, second = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(within(60, after(first, second)))
    for event in (first, second):
        await asyncio.sleep(0)
        event.set()

    assert await waiting == "done"


async def test_work_that_waits_too_long_is_cancelled() -> None:
    """At the end of its time the work is told, and whoever asked gets a TimeoutError."""
    told = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.set()
            raise

    with pytest.raises(TimeoutError):
        await within(0.001, stubborn())

    assert told.is_set()


async def test_a_cancellation_reaches_the_work() -> None:
    """Whoever is cancelled while he waits gets a cancellation, not a TimeoutError."""
    waiting = asyncio.create_task(within(60, after(asyncio.Event())))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("waits", [0, 1])
async def test_what_the_work_raises_is_raised(waits: int) -> None:
    """An error comes out as it is, before a wait and after one."""

    async def failing() -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await within(60, failing())


async def test_work_may_swallow_what_it_waits_for() -> None:
    """An error of what is awaited is the work's to deal with."""
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def tolerant() -> str:
        try:
            await broken
        except OSError:
            return "mended"
        return "untouched"

    asyncio.get_running_loop().call_soon(broken.set_exception, OSError())

    assert await within(60, tolerant()) == "mended"
