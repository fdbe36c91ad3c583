"""Writes that are gathered: whatever becomes of one, nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mailadapters.gathering import Gathering
from mailcore.errors import QueueUnavailableError

SECRET = "hunter2"


class Written:
    """What was written; a "bad" one raises what nobody foresaw, and an "endless" one never ends."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.began = asyncio.Event()

    async def write(self, what: Sequence[str]) -> None:
        """Write something."""
        self.began.set()
        if "bad" in what:
            raise RuntimeError(SECRET)
        if "endless" in what:
            await asyncio.Event().wait()
        self.all += what


async def test_after_an_error_that_nobody_foresaw_the_next_are_written(caplog: pytest.LogCaptureFixture) -> None:
    """Who shared the write hears that it was not taken, and what went wrong; the log keeps what it may say."""
    written = Written()
    gathering = Gathering[str](written.write)
    together = [gathering.add(what) for what in ("bad", "b")]

    async with asyncio.timeout(10):
        failed = await asyncio.gather(*together, return_exceptions=True)
        await gathering.add("c")
        await gathering.aclose()

    assert [repr(one) for one in failed] == ["QueueUnavailableError('unexpected: RuntimeError')"] * 2
    assert written.all == ["c"]
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_nobody_waits_for_a_writing_that_was_ended() -> None:
    """Neither those whose write it was nor those who came meanwhile; the next are written."""
    written = Written()
    gathering = Gathering[str](written.write)
    first = asyncio.ensure_future(gathering.add("endless"))
    await written.began.wait()
    second = asyncio.ensure_future(gathering.add("b"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(gathering.aclose())
    await asyncio.sleep(0)

    closing.cancel()

    async with asyncio.timeout(10):
        ended = await asyncio.gather(first, second, closing, return_exceptions=True)
        await gathering.add("c")
    assert [type(one) for one in ended] == [QueueUnavailableError, QueueUnavailableError, asyncio.CancelledError]
    assert written.all == ["c"]
