"""An event loop in which time passes only when everybody waits: hours take milliseconds, and every run is the same."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mailcore.testing.manual_clock import BEGINNING

T = TypeVar("T")


class StuckError(Exception):
    """Everybody waits for something that will never happen."""


class _Jump(selectors.SelectSelector):
    """A selector that lets virtual time pass instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("no task can ever go on")
        self._loop.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time.

    Attributes:
        passed: Seconds since the beginning.
    """

    def __init__(self) -> None:
        self.passed = 0.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.passed


class LoopClock:
    """A Clock that tells the running loop's time."""

    def now(self) -> datetime:
        """As the port says."""
        since = timedelta(milliseconds=int(self.monotonic() * 1000 + 1e-6))
        return BEGINNING + since

    def monotonic(self) -> float:
        """As the port says."""
        return asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time, and end whatever it left behind."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return an async test as one that runs in virtual time."""

    @functools.wraps(test)
    def wrapper(*args: object, **kwargs: object) -> None:
        run(test(*args, **kwargs))

    return wrapper
