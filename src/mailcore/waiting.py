"""A limit of time for what many wait for at once."""

from __future__ import annotations

import threading
import weakref
from asyncio import AbstractEventLoop, CancelledError, Task, current_task, get_running_loop
from collections.abc import Callable
from types import TracebackType
from typing import cast


class TimeLimit(threading.local):
    """How long each of many tasks may wait, with one timer for all: one for each costs more than what it bounds.

    `with limit():` is as `async with asyncio.timeout(seconds):`, for as many tasks as there are, each with its own
    time. A thread's limits are its own, as its loop is; of two loops that it runs by turns the later one has them.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop: Callable[[], AbstractEventLoop | None] = _no_loop
        self._open: dict[Limited, None] = {}  # the one that ends first is first

    def __call__(self) -> Limited:
        """Return a wait that ends so many seconds after it is entered."""
        return Limited(self)

    def begin(self, wait: Limited, loop: AbstractEventLoop) -> None:
        """Look after a wait."""
        if self._loop() is not loop:  # no timer runs, or that of a loop which has ended
            self._loop, self._open = weakref.ref(loop), {}
            loop.call_at(wait.ends_at, self._look)
        self._open[wait] = None

    def end(self, wait: Limited) -> None:
        """Look no more after a wait."""
        self._open.pop(wait, None)

    def _look(self) -> None:
        """Break off what has waited for too long, and look again when the next one could have."""
        loop = get_running_loop()
        if self._loop() is not loop:  # which goes on after another has begun: what is open is the other's
            return
        for wait in tuple(self._open):
            if wait.ends_at > loop.time():
                loop.call_at(wait.ends_at, self._look)
                return
            self.end(wait)
            wait.break_off()
        self._loop = _no_loop


def _no_loop() -> AbstractEventLoop | None:
    """Return the loop of a limit for which no timer runs."""


class Limited:
    """What a task does within a limit of time; it is entered once."""

    __slots__ = ("_cancelling", "_late", "_limit", "_task", "ends_at")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._late = False

    def __enter__(self) -> None:
        loop = get_running_loop()
        self._task = cast("Task[object]", current_task(loop))
        self._cancelling = self._task.cancelling()
        self.ends_at = loop.time() + self._limit.seconds
        self._limit.begin(self, loop)

    def break_off(self) -> None:
        """Cancel the task, as its time is up."""
        self._late = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Let go; a cancellation by anybody else stays one.

        Raises:
            TimeoutError: The time was up.
        """
        self._limit.end(self)
        if self._late and self._task.uncancel() <= self._cancelling and kind is CancelledError:
            raise TimeoutError from error
