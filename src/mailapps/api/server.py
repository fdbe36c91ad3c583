"""The API behind a socket: uvicorn inside a loop that somebody else runs, from the first answer to the last.

The caller owns the loop (run it by uvloop), the signals and the exit code; this module owns the listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:  # a worker's listener has no framework
    from litestar.types import ASGIApp

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75
"""Longer than the idle time of the usual balancer (60 s), so that it is not we who close first."""

HEAD_WITHIN: Final = timedelta(seconds=30)
"""How long the head of a request may take to arrive, on a new connection from its very opening."""

MOST_HEAD: Final = 64 * 1024
"""Bytes of a request's head, about; the parser itself would take any number."""

DRAIN_WITHIN_S: Final = 25
"""How long requests that were accepted are waited for; the longest one may take is the body's time and the store's."""


class HastyProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which waits for the head of a request for ever, however long it is; this one does not.

    One timer for each connection looks whether a head has been on its way for too long, or the next one has not been
    begun, as one for each request would cost more than the rest of this class. It looks every HEAD_WITHIN at most, so
    a connection may be idle for as much longer.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start the clock for the first request."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport, self.loop)))
        self._head: int | None = None
        self._head_by = self.loop.time() + HEAD_WITHIN.total_seconds()
        self._look()

    def data_received(self, data: bytes) -> None:
        """Read on, and end a request whose head is too long."""
        before = self._head
        super().data_received(data)
        if before is not None and self._head is not None:  # all of it was head
            self._head += len(data)
            if self._head > MOST_HEAD:
                self.send_400_response(f"The head of a request may have {MOST_HEAD} bytes.")

    def on_message_begin(self) -> None:
        """Start the clock anew: the one for the pause before it stops with the first byte."""
        super().on_message_begin()
        self._head = 0
        self._head_by = self.loop.time() + HEAD_WITHIN.total_seconds()

    def on_headers_complete(self) -> None:
        """Stop the clock: from here on the application has its own."""
        self._head, self._head_by = None, math.inf
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Start the clock anew, for the next request or for what is left of a body that nobody read."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1  # this line and the next are what uvicorn does, but for its own timer
        self.flow.resume_reading()
        self._head_by = min(self._head_by, self.loop.time() + KEEP_ALIVE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close a connection that asks for nothing, or look again when it could have come to that."""
        left = self._head_by - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._looking = self.loop.call_later(min(left, HEAD_WITHIN.total_seconds()), self._look)


class OneWrite:
    """A transport that writes the head of an answer together with its body: uvloop makes a packet of each piece."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Take what else uvicorn asks for as it is."""
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Hold a first piece until the next comes, or this turn of the loop is over."""
        self._held.append(data)
        if len(self._held) == 1:
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def close(self) -> None:
        """Write what is held, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        """Write what is held, if there is still somebody to read it."""
        held, self._held = self._held, []
        if held and not self.is_closing():
            self._transport.writelines(held)


class Server(uvicorn.Server):
    """uvicorn's server, which leaves signals alone and says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        """Remember whom to tell."""
        super().__init__(config)
        self._tell = started

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the caller: uvicorn would raise them again, and the process end by them, not by 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        self._tell()


async def serve(app: ASGIApp, host: str, port: int, *, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve the API until `stop` is set; then close the listener, answer what was accepted, and return.

    Readiness must be false before: set what `ApiConfig.draining` asks for before `stop`, or let it ask for `stop`.

    Args:
        app: The API.
        host: A name or address.
        port: 0 picks a free one.
        ready: Is told the address, once requests are answered.
        stop: Set by whoever handles signals.

    Raises:
        OSError: The address cannot be listened at.
    """
    listener = listening_at(host, port)
    address = url_of(host, listener.getsockname()[1])
    server = Server(_config(app), started=lambda: ready(address))
    running = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    stopping = asyncio.get_running_loop().create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await running


def listening_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: The address cannot be listened at.
    """
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(place[:2], family=family, backlog=BACKLOG)


def url_of(host: str, port: int) -> str:
    """Return the address as a browser on this machine takes it."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- compared, not bound
    return f"http://{reachable}:{port}"


def _config(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn runs the API: no access log, no word about itself, no trust in proxies."""
    return uvicorn.Config(
        app,
        http=HastyProtocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_WITHIN_S,
    )
