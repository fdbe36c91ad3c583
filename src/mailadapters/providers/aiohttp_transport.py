"""The transport under httpx: aiohttp's pool, a deadline for the whole call, and what surely was not sent.

httpx's own pool collapses above 16 connections (stack.md section 0), and PyPI's httpx-aiohttp reports
"sent, then closed" as a connection that was never made, so that a retry would send twice. This one knows
better: until a connection is at hand no byte can have been written, and from then on any failure leaves the
outcome open, but for an idle connection that was found closing before the only write.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import zlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
from aiohttp.http import HttpProcessingError

MOST_READ = 64 * 1024
"""Bytes of an answer that are read, before and after decoding (I34)."""

CONNECT_TIMEOUT_S = 3.0
KEEP_ALIVE_S = 4.0  # below what servers grant an idle connection (5 s is usual), so that ours closes first
DEFAULT_DEADLINE_S = 20.0

# Bodies above this go through a file object: aiohttp warns of one long write, which would hold up the loop.
_LONG_BODY = 1024 * 1024

# Of aiohttp's writer, before a write; after one, a connection that is gone is "Connection lost".
_FOUND_CLOSING = "Cannot write to closing transport"

_DECODED = {"": None, "identity": None, "gzip": 47, "x-gzip": 47, "deflate": 47}

# About the bytes on the wire, which are decoded here.
_NOT_PASSED_ON = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

NETWORK_ERRORS = (aiohttp.ClientError, HttpProcessingError, aiohttp.EofStream, EOFError, OSError)
"""All that aiohttp, asyncio and ssl raise for what a network can do; a TimeoutError is an OSError."""


@dataclass(slots=True)
class _Call:
    """How far one call has come; changed by the traces of aiohttp while it runs."""

    connected: bool = False
    pooled: bool = False


@dataclass
class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests over aiohttp. Make and close it in the event loop that it is used in.

    A request's extension `deadline` (seconds) bounds the whole call. Failures come as httpx errors:
    ConnectError or ConnectTimeout if no byte of the request can have been written, another TransportError if
    some may have been. An answer that broke off, or was longer than 64 KiB, is returned as far as it came,
    with the extension `truncated`.

    Attributes:
        tls: Verifies servers; there is no way to switch that off.
    """

    tls: ssl.SSLContext
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one call; see the class for what it raises. Never redirected, never repeated."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + float(request.extensions.get("deadline", DEFAULT_DEADLINE_S))
        call = _Call()
        try:
            async with asyncio.timeout_at(ends_at):
                answer = await self._start(request, call)
        except NETWORK_ERRORS as error:
            begun = call.connected and not (call.pooled and never_begun(error, request))
            raise as_httpx(error, connected=begun) from error
        try:
            body, complete = await _read(answer, ends_at)
        finally:
            answer.close()  # gives a connection whose answer was read to its end back, and drops any other
        return _response(answer, body, complete=complete)

    async def aclose(self) -> None:
        """Close every connection, for good; twice is nothing."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _start(self, request: httpx.Request, call: _Call) -> aiohttp.ClientResponse:
        """Send a request and return its answer as soon as the head of it is there."""
        body = await request.aread()
        return await self._opened().request(
            request.method,
            str(request.url),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=io.BytesIO(body) if len(body) > _LONG_BODY else body,
            allow_redirects=False,
            trace_request_ctx=call,
        )

    def _opened(self) -> aiohttp.ClientSession:
        """Return the one session, made at the first request since aiohttp asks for a running loop."""
        if self._closed:
            raise RuntimeError("the transport is closed")
        if self._session is None:
            self._session = _new_session(self.tls)
        return self._session


def as_httpx(error: Exception, *, connected: bool) -> httpx.TransportError:
    """Return the httpx error that says on which side a failure fell.

    Args:
        connected: A connection was made or taken from the pool, so that the request may have been written.
    """
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    timed_out = isinstance(error, TimeoutError)
    if not connected:
        return httpx.ConnectTimeout(text) if timed_out else httpx.ConnectError(text)
    if timed_out:
        return httpx.ReadTimeout(text)
    garbage = isinstance(error, aiohttp.ClientResponseError | HttpProcessingError)
    return httpx.RemoteProtocolError(text) if garbage else httpx.ReadError(text)


def never_begun(error: Exception, request: httpx.Request) -> bool:
    """Whether a connection was found closing before a byte of the request was written.

    aiohttp keeps the head back, writes it in one piece with a body of plain bytes, and looks whether the connection
    closes just before. Where it writes more often (a body in pieces, a head that waits for 100 Continue), or repeats
    the request, the same words may come after bytes went out: that is not known, and so False.
    """
    cause = error.__cause__
    refused = isinstance(error, aiohttp.ClientOSError) and isinstance(cause, aiohttp.ClientConnectionResetError)
    if not refused or str(cause) != _FOUND_CLOSING:
        return False
    one_write = 0 < len(request.content) <= _LONG_BODY and "expect" not in request.headers
    return one_write and request.method == "POST"


def _new_session(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """Return a session that adds nothing to a request and keeps nothing of an answer.

    The pool has no limit: the engine bounds what is in flight, and a second bound could only make calls
    wait inside their deadline. aiohttp repeats only idempotent methods on a stale connection, never a POST.
    """
    traces = aiohttp.TraceConfig()
    traces.on_connection_create_end.append(_on_connected)
    traces.on_connection_reuseconn.append(_on_reused)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEP_ALIVE_S, ssl=tls, resolver=aiohttp.ThreadedResolver()
        ),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[traces],
    )


async def _on_connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    """Note that from now on bytes may be written."""
    context.trace_request_ctx.connected = True


async def _on_reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    """Note that the connection was idle before, and may have been closed meanwhile."""
    context.trace_request_ctx.connected = context.trace_request_ctx.pooled = True


async def _read(answer: aiohttp.ClientResponse, ends_at: float) -> tuple[bytes, bool]:
    """Return what came of a body, and whether that is all of it: not if it failed, was late or too long."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(ends_at):
            while len(body) <= MOST_READ and (chunk := await answer.content.read(MOST_READ + 1 - len(body))):
                body += chunk
    except NETWORK_ERRORS:
        return bytes(body), False
    return bytes(body[:MOST_READ]), len(body) <= MOST_READ


def _response(answer: aiohttp.ClientResponse, raw: bytes, *, complete: bool) -> httpx.Response:
    """Return an answer as httpx has it, decoded here since httpx would inflate it without a bound."""
    body, whole = inflated(raw, answer.headers.get("content-encoding", ""))
    headers = [(name, value) for name, value in answer.raw_headers if name.lower() not in _NOT_PASSED_ON]
    return httpx.Response(
        answer.status, headers=headers, content=body, extensions={"truncated": not (complete and whole)}
    )


def inflated(raw: bytes, encoding: str) -> tuple[bytes, bool]:
    """Return at most 64 KiB of a body decoded from its content encoding, and whether that is all of it.

    We ask for none (`Accept-Encoding: identity`); gateways that compress all the same use gzip. One that
    cannot be read is empty and not whole.
    """
    if (name := encoding.strip().lower()) not in _DECODED:
        return b"", False
    if (window := _DECODED[name]) is None:
        return raw, True
    inflater = zlib.decompressobj(wbits=window)
    try:
        body = inflater.decompress(raw, MOST_READ)
    except zlib.error:
        return b"", False
    return body, inflater.eof and not inflater.unconsumed_tail
