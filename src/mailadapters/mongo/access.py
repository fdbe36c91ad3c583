"""The way to one database: a client, its collections, and flights to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import pymongo

from mailadapters.mongo.clock import MongoClock
from mailadapters.mongo.coalescing import TOGETHER, Coalescer, Limits
from mailadapters.mongo.faults import DRIVER, ONE_CALLS_ALONE, unavailable
from mailadapters.mongo.schema import Client, Collections
from mailcore.errors import StoreUnavailableError

A = TypeVar("A")
R = TypeVar("R")

PATIENCE: Final = 5.0
"""Seconds for what may take its time: lists that have no index, and messages that are long to carry."""

Part = Callable[[Collections, Sequence[A]], Awaitable[Sequence[R | Exception]]]
"""Performs calls of one kind together; answers each in its place, with a result or an error to raise."""


class Access:
    """The way to one database. Every error of the driver comes out as a StoreUnavailableError.

    Args:
        budget: Seconds in which a call has its answer.
    """

    def __init__(self, client: Client, database: str, clock: MongoClock, *, budget: float) -> None:
        self._client = client
        self._collections = Collections(client[database])
        self._clock = clock
        self._budget = budget
        self._where = f"MongoDB database {database}"
        self._coalescers: list[Coalescer[Any, Any]] = []
        self._acting: set[asyncio.Task[Any]] = set()
        self._preparing = asyncio.Lock()
        self._prepared = False
        self._closed = False

    def coalescer(self, name: str, part: Part[A, R], *, together: int = TOGETHER) -> Coalescer[A, R]:
        """Return what performs calls of one kind in flights."""

        async def perform(arguments: Sequence[A]) -> Sequence[R | Exception]:
            with pymongo.timeout(self._budget):
                return await part(await self._ready(), arguments)

        limits = Limits(budget=self._budget, apart=ONE_CALLS_ALONE, together=together)
        made = Coalescer(name, perform, limits)
        self._coalescers.append(made)
        return made

    async def through(self, coalescer: Coalescer[A, R], argument: A) -> R:
        """Have a call done in the next flight."""
        try:
            return await coalescer.ask(argument)
        except DRIVER as error:
            raise unavailable(error, self._where) from error

    async def alone(self, act: Callable[[Collections], Awaitable[R]], *, patient: bool = False) -> R:
        """Do something by itself.

        Args:
            patient: It may take its time.

        Raises:
            StoreUnavailableError: The server is not there, too slow or refuses; or the store is closed.
        """
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        budget = max(self._budget, PATIENCE) if patient else self._budget
        acting = asyncio.get_running_loop().create_task(self._within(budget, act))
        self._acting.add(acting)
        acting.add_done_callback(self._acted)
        return await asyncio.shield(acting)  # the driver now and then loses a cancellation

    def _acted(self, acting: asyncio.Task[Any]) -> None:
        """Let go of what has come to its end; how is no news to anybody once its caller has given up."""
        self._acting.discard(acting)
        if not acting.cancelled():
            acting.exception()

    async def aclose(self) -> None:
        """Finish what waits and let go of the connections."""
        self._closed = True
        for coalescer in self._coalescers:
            await coalescer.aclose()
        await asyncio.gather(*self._acting, return_exceptions=True)
        await self._clock.aclose()
        await self._client.close()

    async def _within(self, budget: float, act: Callable[[Collections], Awaitable[R]]) -> R:
        """Do something within so many seconds."""
        try:
            with pymongo.timeout(budget):
                return await act(await self._ready())
        except DRIVER as error:
            raise unavailable(error, self._where) from error

    async def _ready(self) -> Collections:
        """Return the collections, once the server's time is known and the indexes are there."""
        if not self._prepared:
            async with self._preparing:
                if not self._prepared:
                    await self._clock.sample()
                    await self._collections.prepare()
                    self._clock.keep_sampling()
                    self._prepared = True
        return self._collections
