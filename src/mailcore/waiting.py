"""A limit of time for what seldom has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import TypeVar, cast

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[object, None, T]) -> T:
    """Return what comes of some work that may wait for so many seconds in all.

    Work that comes to its end without a wait, as most does on a busy path, needs no timer: one costs as much as the
    whole of such work.

    Raises:
        TimeoutError: It still waits by then, and was cancelled.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    async with asyncio.timeout(seconds):
        return await _resumed(work, awaited)


@coroutine
def _resumed(work: Coroutine[object, None, T], awaited: object) -> Generator[object, None, T]:
    """Go on with work that waits already, as awaiting it from its beginning would."""
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the work's to deal with
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, None)
        try:
            awaited = resume()
        except StopIteration as done:
            return cast("T", done.value)
