"""Performs what many coroutines ask for in few round trips: while one flight is out, the next calls gather.

When nothing is out a call leaves at once. Every caller gets his own result. Whoever has given up by the time his
call would leave is skipped, and nobody waits for longer than the budget, whatever hangs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mailcore.errors import StoreUnavailableError
from mailcore.stock import Batches

A = TypeVar("A")
R = TypeVar("R")

CAPACITY: Final = 4096
"""So many calls may wait for a flight; whoever comes then is turned away at once."""
TOGETHER: Final = 256
"""At most so many calls leave in one flight."""

Perform = Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]]
"""Performs calls together; answers each in its place, with a result or an error to raise."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may wait, leave together, and for how long.

    Attributes:
        budget: Seconds after which a caller is told that there is no answer.
        apart: Errors that may be one call's alone: the others of its flight are then performed one by one.
    """

    budget: float
    apart: tuple[type[Exception], ...] = ()
    capacity: int = CAPACITY
    together: int = TOGETHER


class Coalescer(Generic[A, R]):
    """Performs calls of one kind in flights, one at a time, on the event loop of whoever calls.

    Attributes:
        carried: How many calls went in how many flights.
    """

    def __init__(self, name: str, perform: Perform[A, R], limits: Limits) -> None:
        self._name = name
        self._perform = perform
        self._limits = limits
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._asked: deque[tuple[float, asyncio.Future[R]]] = deque()
        self._late: asyncio.TimerHandle | None = None
        self._flying: asyncio.Task[None] | None = None
        self._closed = False
        self.carried = Batches(0, 0)

    async def ask(self, argument: A) -> R:
        """Have something done and return its result.

        Raises:
            StoreUnavailableError: It is closed, too many calls wait already, or there is no answer in time.
        """
        if self._closed:
            raise StoreUnavailableError(f"the {self._name} is closed")
        if len(self._waiting) >= self._limits.capacity:
            raise StoreUnavailableError(f"{len(self._waiting)} calls already wait for the {self._name}: try later")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((argument, future))
        self._asked.append((loop.time() + self._limits.budget, future))
        if self._late is None:
            self._late = loop.call_later(self._limits.budget, self._give_up)
        if self._flying is None:
            self._flying = loop.create_task(self._fly())
        return await future

    async def aclose(self) -> None:
        """Perform what waits; ask no more."""
        self._closed = True
        if self._flying is not None:
            await self._flying

    def _give_up(self) -> None:
        """Tell those whose budget is over, and look again when the next one's is.

        One timer does for all, since they have the same budget; a timeout for each would cost him 4 µs.
        """
        loop, self._late = asyncio.get_running_loop(), None
        late = f"the {self._name} did not answer in {self._limits.budget:g} s"
        for ends_at, future in self._asked:
            if ends_at > loop.time():
                break
            _settle(future, StoreUnavailableError(late))
        self._forget()
        if self._asked:
            self._late = loop.call_at(self._asked[0][0], self._give_up)

    def _forget(self) -> None:
        """Let go of those who have their answer, all but a few that are behind one who has not."""
        while self._asked and self._asked[0][1].done():
            self._asked.popleft()

    async def _fly(self) -> None:
        """Perform flights until nothing waits."""
        try:
            while flight := self._gathered():
                self.carried = Batches(self.carried.calls + len(flight), self.carried.batches + 1)
                outcomes = await self._outcomes([argument for argument, _ in flight])
                for (_, future), outcome in zip(flight, outcomes, strict=True):
                    _settle(future, outcome)
                self._forget()
        finally:
            self._flying = None

    def _gathered(self) -> list[tuple[A, asyncio.Future[R]]]:
        """Return those that wait and have not given up, as many as may leave together."""
        flight: list[tuple[A, asyncio.Future[R]]] = []
        while self._waiting and len(flight) < self._limits.together:
            call = self._waiting.popleft()
            if not call[1].done():
                flight.append(call)
        return flight

    async def _outcomes(self, arguments: Sequence[A]) -> Sequence[R | Exception]:
        """Return what came of each call; an error that may be one call's alone is found out to be just that."""
        try:
            return await self._perform(arguments)
        except self._limits.apart as error:
            if len(arguments) == 1:
                return [error]
            return [outcome for argument in arguments for outcome in await self._outcomes([argument])]
        except Exception as error:  # noqa: BLE001 - the next flight must leave, and the callers raise it
            return [error] * len(arguments)


def _settle(future: asyncio.Future[R], outcome: R | Exception) -> None:
    """Hand a caller his outcome, unless he has given up."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def portions(many: Sequence[A], size: int) -> Iterator[Sequence[A]]:
    """Yield all in portions of at most this size."""
    yield from (many[start : start + size] for start in range(0, len(many), size))
