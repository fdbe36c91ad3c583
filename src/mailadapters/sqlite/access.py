"""The ways into one file: a thread that writes, one that reads, and one for lists, which may take their time."""

from __future__ import annotations

from typing import Final, TypeVar

import apsw

from mailadapters.sqlite.coalescing import Coalescer, Part
from mailadapters.sqlite.connection import Reader, SqliteFile, Writer
from mailadapters.sqlite.faults import unavailable
from mailcore.stock import Batches

A = TypeVar("A")
R = TypeVar("R")

CAPACITY: Final = 4096
"""So many calls may wait for a thread; whoever comes then is turned away at once."""


class Access:
    """The ways into one file. Every error of SQLite comes out as a StoreUnavailableError."""

    def __init__(self, file: SqliteFile, *, capacity: int = CAPACITY) -> None:
        self.path = file.path
        self._writer = Coalescer("store's writer", Writer(file), capacity=capacity)
        self._reader = Coalescer("store's reader", Reader(file), capacity=capacity)
        self._lister = Coalescer("store's lister", Reader(file), capacity=capacity)

    async def write(self, part: Part[A, R], argument: A, *, weight: int = 0) -> R:
        """Do something under the write lock, which brings so many bytes; durable once this returns."""
        return await self._through(self._writer, part, argument, weight)

    async def read(self, part: Part[A, R], argument: A) -> R:
        """Read what is quickly found."""
        return await self._through(self._reader, part, argument)

    async def look(self, part: Part[A, R], argument: A) -> R:
        """Read what may take long to find, in nobody's way."""
        return await self._through(self._lister, part, argument)

    def batches(self) -> dict[str, Batches]:
        """Return what each thread has carried together."""
        return {"write": self._writer.carried, "read": self._reader.carried, "list": self._lister.carried}

    async def aclose(self) -> None:
        """Finish what waits and let go of the file."""
        for coalescer in (self._lister, self._reader, self._writer):
            await coalescer.aclose()

    async def _through(self, coalescer: Coalescer, part: Part[A, R], argument: A, weight: int = 0) -> R:
        """Have a thread do it."""
        try:
            return await coalescer.ask(part, argument, weight)
        except apsw.Error as error:
            raise unavailable(error, self.path) from error
