"""A TCP proxy that spoils what it carries: late, slow, cut off, swallowed, refused.

Whatever it does to an answer, what was asked may have happened, and whoever asked never learns it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from msgspec import Struct

SIZE = 1 << 16
_AT_ONCE = struct.pack("ii", 1, 0)  # a close that lingers for 0 s is a reset
Marked = Callable[[bytes], bool]
"""Says whether the answer to these bytes of a request is to be lost."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Toxic(Struct, frozen=True, kw_only=True):
    """What is done to every connection, those that are there already included.

    Attributes:
        latency: Seconds by which everything is late, each way.
        jitter: Up to so many seconds more or less, in turn.
        rate: So many bytes a second does an answer have at most.
        reset_after: An answer is cut by a reset after so many bytes.
        cut_every: The answer to every so-manieth request is lost by a reset, once the request is through.
        blackhole: Everything is read, nothing is passed on, and connections stay.
    """

    latency: float = 0.0
    jitter: float = 0.0
    rate: int | None = None
    reset_after: int | None = None
    cut_every: int | None = None
    blackhole: bool = False


CLEAR = Toxic()


@dataclass(eq=False)
class Link:
    """One connection through the proxy.

    Attributes:
        doomed: The next answer is lost.
        swallowed: Something was not passed on, so that the connection is of no use any more.
    """

    ours: Ends
    theirs: Ends
    task: asyncio.Task[None]
    doomed: bool = False
    swallowed: bool = False


@dataclass(eq=False)
class Proxy:
    """A proxy in front of one server.

    Attributes:
        url: Where it listens, with the server's scheme.
        lost: How many answers it has lost.
        toxic: What it does to connections; it may be changed at any time.
    """

    target: str
    url: str = ""
    lost: int = 0
    toxic: Toxic = CLEAR
    _marked: Marked | None = None
    _requests: int = 0
    _links: set[Link] = field(default_factory=set[Link])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    _server: asyncio.Server | None = None

    def lose(self, marked: bytes) -> None:
        """Lose the answer to the next request that holds these bytes, by a reset of its connection."""
        self._marked = lambda request: marked in request

    async def listen(self) -> None:
        """Listen, on a free port at first and later where it was."""
        parts = urlsplit(self.url or f"{urlsplit(self.target).scheme}://127.0.0.1:0")
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", parts.port or 0)
        self.url = f"{parts.scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def refuse(self) -> None:
        """Cut all connections, and refuse new ones until it listens again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self.cut()
            await server.wait_closed()

    async def cut(self) -> None:
        """Reset all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Reset all connections as a firewall does that has forgotten them: a caller gets a reset and never an end."""
        for link in self._links:
            link.ours[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        await self.cut()

    def half_close(self) -> None:
        """Tell every caller that the server will say nothing more, on connections that go on otherwise."""
        for link in self._links:
            with suppress(OSError, RuntimeError):
                link.ours[1].write_eof()

    async def heal(self) -> None:
        """Carry everything as it is again; connections that have lost something are reset."""
        self.toxic, self._marked = CLEAR, None
        for link in list(self._links):
            if link.swallowed:
                link.task.cancel()
        if self._server is None:
            await self.listen()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end is gone."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        opened = [writer]
        try:
            if self._server is not None:
                await self._carry((reader, writer), task, opened)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for one in opened:
                one.transport.abort()

    async def _carry(self, ours: Ends, task: asyncio.Task[None], opened: list[asyncio.StreamWriter]) -> None:
        """Carry both ways until one ends."""
        parts = urlsplit(self.target)
        theirs = await asyncio.open_connection(parts.hostname, parts.port)
        opened.append(theirs[1])
        link = Link(ours, theirs, task)
        self._links.add(link)
        ways = [asyncio.ensure_future(self._there(link)), asyncio.ensure_future(self._back(link))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _there(self, link: Link) -> None:
        """Carry what is asked."""
        while octets := await link.ours[0].read(SIZE):
            if not await self._passes(link):
                continue
            link.doomed = link.doomed or self._dooms(octets)
            link.theirs[1].write(octets)
            await link.theirs[1].drain()

    async def _back(self, link: Link) -> None:
        """Carry what is answered; a doomed answer is waited for, and the connection then reset."""
        while octets := await link.theirs[0].read(SIZE):
            if link.doomed:
                self.lost += 1
                return
            if not await self._passes(link):
                continue
            cut = self.toxic.reset_after
            await self._write(link.ours[1], octets[:cut])
            if cut is not None and len(octets) > cut:
                self.lost += 1
                return

    async def _passes(self, link: Link) -> bool:
        """Hold something up as the toxic says; return whether it is passed on at all."""
        toxic = self.toxic
        if toxic.latency or toxic.jitter:
            self._requests += 1
            swing = (self._requests * 37 % 100) / 50 - 1  # evenly spread, and the same in every run
            await asyncio.sleep(max(0.0, toxic.latency + swing * toxic.jitter))
        link.swallowed = link.swallowed or self.toxic.blackhole
        return not link.swallowed

    def _dooms(self, octets: bytes) -> bool:
        """Return whether the answer to these bytes is to be lost."""
        if self._marked is not None and self._marked(octets):
            self._marked = None
            return True
        self._requests += 1
        every = self.toxic.cut_every
        return every is not None and self._requests % every == 0

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        """Pass an answer on, no faster than the toxic says."""
        while octets:
            rate = self.toxic.rate
            part, octets = (octets, b"") if rate is None else (octets[:1], octets[1:])
            writer.write(part)
            await writer.drain()
            if rate is not None:
                await asyncio.sleep(1 / rate)


@asynccontextmanager
async def proxy(target: str) -> AsyncGenerator[Proxy]:
    """Run a proxy in front of the server at this URL."""
    made = Proxy(target)
    await made.listen()
    try:
        yield made
    finally:
        await made.refuse()
