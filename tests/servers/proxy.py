"""A TCP proxy that loses answers: what was asked has happened, and whoever asked never learns it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

SIZE = 1 << 16
Marked = Callable[[bytes], bool]
"""Says whether the answer to these bytes of a request is to be lost."""


class Proxy:
    """A proxy in front of one server.

    Attributes:
        url: Where it listens, with the server's scheme.
        lost: How many answers it has lost.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._scheme, self._host, self._port = parts.scheme, parts.hostname, parts.port
        self._marked: Marked | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.lost = 0

    def lose(self, marked: bytes) -> None:
        """Lose the answer to the next request that holds these bytes, by a reset of its connection."""
        self._marked = lambda request: marked in request

    async def listen(self) -> asyncio.Server:
        """Start to listen on a free port."""
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"{self._scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def aclose(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end is gone."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            theirs = await asyncio.open_connection(self._host, self._port)
            await self._carry((reader, writer), theirs)

    async def _carry(
        self,
        ours: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        theirs: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry both ways; the answer to a marked request is waited for, and the connection then reset."""
        doomed = asyncio.Event()

        async def there() -> None:
            while octets := await ours[0].read(SIZE):
                if self._marked is not None and self._marked(octets):
                    self._marked = None
                    doomed.set()
                theirs[1].write(octets)

        async def back() -> None:
            while octets := await theirs[0].read(SIZE):
                if doomed.is_set():
                    self.lost += 1
                    return
                ours[1].write(octets)

        ways = [asyncio.ensure_future(there()), asyncio.ensure_future(back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            ours[1].transport.abort()
            theirs[1].transport.abort()


@asynccontextmanager
async def proxy(target: str) -> AsyncGenerator[Proxy]:
    """Run a proxy in front of the server at this URL."""
    made = Proxy(target)
    server = await made.listen()
    try:
        yield made
    finally:
        server.close()
        await made.aclose()
        await server.wait_closed()
