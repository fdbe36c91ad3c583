"""A thread that performs what many coroutines ask for, as much at a time as waits.

While one batch is out the next calls gather; when the thread is idle a call leaves with the others of its turn of the
loop. So a batch costs its fixed price (a transaction, a flush to disk, a hand-over between threads) once, and every
caller still gets his own result. Whoever has given up by the time his call would be performed is skipped.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar, cast

import apsw

from mailcore.errors import StoreUnavailableError
from mailcore.stock import Batches

A = TypeVar("A")
R = TypeVar("R")

TOGETHER: Final = 64
"""At most so many calls are performed in one batch: those of the next go on while the loop is busy with these."""

HEAVY: Final = 8 * 2**20
"""A batch that has come to so many bytes waits for no more: the others need not wait for its way to the disk."""

REST: Final = 0.0005
"""Seconds of rest after a batch of several calls. Under load more go together, for fewer waits for Python's lock."""

Part = Callable[[apsw.Connection, Sequence[A]], Sequence[R | Exception]]
"""Performs calls of one kind together; answers each in its place, with a result or an error to raise."""


class Call:
    """What one caller asked for, how many bytes it brings, and what came of it."""

    __slots__ = ("argument", "future", "loop", "outcome", "part", "weight")

    def __init__(self, part: Part[Any, Any], argument: Any, weight: int, loop: AbstractEventLoop) -> None:
        self.part = part
        self.argument = argument
        self.weight = weight
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.outcome: Any = None


class Perform(Protocol):
    """Performs a batch on its connection; every call is on the one thread that owns it."""

    def __call__(self, calls: Sequence[Call], /) -> None:
        """Set the outcome of every call, or raise what they all get."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Coalescer:
    """A thread that performs calls in batches; it starts with the first call and ends with `aclose`.

    Attributes:
        carried: How many calls went in how many batches.
    """

    def __init__(self, name: str, perform: Perform, *, capacity: int) -> None:
        self._name = name
        self._perform = perform
        self._capacity = capacity
        self._turns: dict[AbstractEventLoop, list[Call]] = {}
        self._waiting: deque[Call] = deque()
        self._told: SimpleQueue[None] = SimpleQueue()
        self._never = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.carried = Batches(0, 0)

    async def ask(self, part: Part[A, R], argument: A, weight: int = 0) -> R:
        """Have something done and return its result.

        Raises:
            StoreUnavailableError: Too many calls wait already, or it is closed.
        """
        if self._closed:
            raise StoreUnavailableError(f"the {self._name} is closed")
        if self.waiting >= self._capacity:
            raise StoreUnavailableError(f"{self._capacity} calls already wait for the {self._name}: try again later")
        self._start()
        call = Call(part, argument, weight, asyncio.get_running_loop())
        turn = self._turns.setdefault(call.loop, [])
        turn.append(call)
        if len(turn) == 1:
            call.loop.call_soon(self._hand_over, call.loop)
        if len(self._turns) > 1:
            self._forsake()
        return cast("R", await call.future)

    @property
    def waiting(self) -> int:
        """How many calls wait for the thread."""
        return len(self._waiting) + sum(map(len, tuple(self._turns.values())))

    def _forsake(self) -> None:
        """Hand over what was asked for in the last turn of loops that are closed by now: nobody else will."""
        for loop in tuple(self._turns):
            if loop.is_closed():
                self._hand_over(loop)

    def _hand_over(self, loop: AbstractEventLoop) -> None:
        """Hand over what was asked for in one turn of a loop.

        Handed over one by one, calls would wake the thread up to wait for Python's lock while the loop still works.
        """
        self._waiting.extend(self._turns.pop(loop, ()))
        if self._told.empty():
            self._told.put(None)

    async def aclose(self) -> None:
        """Perform what waits, then end the thread; ask no more."""
        for loop in tuple(self._turns):
            self._hand_over(loop)
        self._closed = True
        self._told.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _start(self) -> None:
        """Start the thread unless it runs; it does not keep the process alive."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        """Perform batches until told to end."""
        while batch := self._gathered():
            live = [call for call in batch if not call.future.cancelled()]
            if live:
                self.carried = Batches(self.carried.calls + len(live), self.carried.batches + 1)
                self._attempt(live)
            _deliver(live)
            if len(live) > 1:
                self._never.wait(REST)
        self._perform.close()

    def _attempt(self, calls: Sequence[Call]) -> None:
        """Perform a batch; what it raises, every caller gets."""
        try:
            self._perform(calls)
        except Exception as error:  # noqa: BLE001 - the thread must live on, and the callers raise it
            for call in calls:
                call.outcome = error

    def _gathered(self) -> list[Call]:
        """Wait for calls and return those that go together; nothing once it is closed and none is left."""
        while not self._waiting and not self._closed:
            self._told.get()
        batch: list[Call] = []
        weight = 0
        while self._waiting and len(batch) < TOGETHER and weight < HEAVY:
            batch.append(self._waiting.popleft())
            weight += batch[-1].weight
        return batch


def _deliver(calls: Sequence[Call]) -> None:
    """Wake the callers up, with one call for each event loop."""
    loops: dict[AbstractEventLoop, list[Call]] = {}
    for call in calls:
        loops.setdefault(call.loop, []).append(call)
    for loop, mine in loops.items():
        with suppress(RuntimeError):  # a loop that was closed has nobody left to tell
            loop.call_soon_threadsafe(_settle, mine)


def _settle(calls: Sequence[Call]) -> None:
    """Hand every caller his outcome, on his own loop."""
    for call in calls:
        if call.future.done():
            continue
        if isinstance(call.outcome, Exception):
            call.future.set_exception(call.outcome)
        else:
            call.future.set_result(call.outcome)
