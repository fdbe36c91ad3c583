"""A server on loopback that does to a connection what a test says, and a provider that talks to it."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import httpx

from mailadapters.providers.http import HttpProvider, open_transport
from mailadapters.providers.sendgrid import PROVIDER, SendGridSettings
from mailcore.message import Address, Message
from mailcore.provider import Send
from mailcore.secret import Secret

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = "SG.test-key"
TLS = Path(__file__).parent / "tls"

Script = Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection to the server, and what was read from it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    read: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """Read one whole request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
        self.read.append(head + body)
        return head + body

    async def answer(self, *pieces: bytes) -> None:
        """Write bytes as they are."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection with a reset instead of an orderly end."""
        self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class RawServer:
    """A server that runs a script on every connection."""

    url: str
    connections: list[Connection] = field(default_factory=list)

    @property
    def requests(self) -> list[bytes]:
        """Every whole request that was read, over all connections."""
        return [request for connection in self.connections for request in connection.read]


@asynccontextmanager
async def serving(script: Script, certificate: str | None = None) -> AsyncIterator[RawServer]:
    """Serve a script on a free port, over TLS if a certificate is named."""
    state = RawServer("")

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        state.connections.append(connection)
        try:
            await script(connection)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, which is what some tests are about
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / certificate, TLS / "server.key")
    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    state.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    try:
        yield state
    finally:
        server.close()
        for connection in state.connections:
            connection.writer.transport.abort()
        await server.wait_closed()


def send(*, deadline_s: float = 5.0, text: str = "Hello") -> Send:
    """Return the shortest message there is, to be sent within a deadline."""
    message = Message(from_=Address("shop@example.com"), to=(Address("ann@example.org"),), subject="Hi", text=text)
    return Send(message=message, email_id="em_1", key="em_1.0", deadline=timedelta(seconds=deadline_s))


def provider(url: str, transport: httpx.AsyncBaseTransport) -> HttpProvider[SendGridSettings]:
    """Return a SendGrid account whose API stands at a URL."""
    return HttpProvider(
        name="sendgrid-test",
        kind=PROVIDER,
        settings=SendGridSettings(api_key=Secret(KEY), base_url=url),
        transport=transport,
        now=lambda: NOW,
    )


@asynccontextmanager
async def carrying(authority: str | None = "authority.pem") -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Open the transport, trusting the tests' own authority or the public ones."""
    tls = ssl.create_default_context(cafile=TLS / authority) if authority else None
    opened = open_transport(tls)
    try:
        yield opened
    finally:
        await opened.aclose()
