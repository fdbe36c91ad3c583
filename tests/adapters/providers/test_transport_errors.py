"""Every error that the driver can raise has a side: surely not sent, or unknown."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import ssl
from collections.abc import Iterator
from types import ModuleType

import aiohttp
import httpx
import pytest
from aiohttp import client_exceptions, http_exceptions
from tests.adapters.providers.raw_server import Connection, carrying, provider, send, serving

from mailadapters.providers.aiohttp_transport import NETWORK_ERRORS, as_httpx, never_begun
from mailadapters.providers.http import outcome_of_error
from mailcore.outcome import Accepted, Deferred, Outcome, Unknown

# Websockets are never opened here.
NOT_OF_A_REQUEST = frozenset({"WSMessageTypeError", "WebSocketError"})


def exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    """Yield the exception classes that a module holds, warnings left out."""
    for name, value in sorted(vars(module).items()):
        if not inspect.isclass(value) or not issubclass(value, Exception) or issubclass(value, Warning):
            continue
        if name not in NOT_OF_A_REQUEST:
            yield value


DRIVERS = sorted(
    {
        *exceptions_of(aiohttp),
        *exceptions_of(client_exceptions),
        *exceptions_of(http_exceptions),
        *(value for value in vars(ssl).values() if inspect.isclass(value) and issubclass(value, OSError)),
        *OSError.__subclasses__(),
        *(socket.gaierror, socket.herror, asyncio.TimeoutError, asyncio.IncompleteReadError),
    },
    key=lambda kind: (kind.__module__, kind.__name__),
)


def blank(kind: type[Exception]) -> Exception:
    """Return an exception without calling a constructor, each of which wants something else."""

    class Blank(kind):
        def __init__(self) -> None: ...

        def __str__(self) -> str:
            return kind.__name__

    return Blank()


def test_the_walk_sees_the_driver() -> None:
    """A walk that finds nothing would prove nothing."""
    names = {kind.__name__ for kind in DRIVERS}

    assert len(DRIVERS) > 50
    assert {"ServerDisconnectedError", "TransferEncodingError", "SSLCertVerificationError", "gaierror"} <= names


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_of_the_driver_is_caught(kind: type[Exception]) -> None:
    """A new class of error in the driver fails here, before it escapes from a send."""
    assert issubclass(kind, NETWORK_ERRORS)


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_the_side_of_an_error_is_whether_a_connection_was_at_hand(kind: type[Exception]) -> None:
    """What an error is called says nothing of what was written; whether there was a connection does."""
    error = blank(kind)

    before = outcome_of_error(as_httpx(error, connected=False))
    after = outcome_of_error(as_httpx(error, connected=True))

    assert isinstance(before, Deferred)
    assert isinstance(after, Unknown)


def httpx_errors(root: type[httpx.TransportError] = httpx.TransportError) -> Iterator[type[httpx.TransportError]]:
    """Yield every sort of transport error that httpx has."""
    for kind in root.__subclasses__():
        yield kind
        yield from httpx_errors(kind)


NEVER_SENT = {"ConnectTimeout", "PoolTimeout", "ConnectError", "ProxyError", "UnsupportedProtocol"}


@pytest.mark.parametrize("kind", sorted(set(httpx_errors()), key=str), ids=lambda kind: kind.__name__)
def test_of_httpx_errors_only_those_before_the_connection_are_deferred(kind: type[httpx.TransportError]) -> None:
    """Another transport of httpx can stand in for ours, and a class that it adds is unknown until it is known."""
    outcome = outcome_of_error(kind("why"))

    assert isinstance(outcome, Deferred) == (kind.__name__ in NEVER_SENT)
    assert outcome.detail == "why"
    assert outcome.code


ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: id-1\r\nContent-Length: 0\r\n\r\n"


def end(connection: Connection) -> None:
    """Say at once, and not when the event loop comes to it, that no more will be written."""
    with socket.socket(fileno=os.dup(connection.writer.get_extra_info("socket").fileno())) as twin:
        twin.shutdown(socket.SHUT_WR)


async def outcome_on_a_closed_connection(turns: int) -> tuple[Outcome, int]:
    """Return what came of a send over a connection closed while idle, and how often the server read that request.

    Args:
        turns: How often the event loop goes round between the close and the send; whether the driver has seen the
            end of the connection when it writes depends on it, and on the version of Python.
    """
    over = asyncio.Event()

    async def answer_all(connection: Connection) -> None:
        try:
            while True:
                await connection.request()
                await connection.answer(ACCEPTED)
        finally:
            over.set()

    async with serving(answer_all) as server, carrying() as transport:
        account = provider(server.url, transport)
        assert isinstance(await account.send(send()), Accepted)
        end(server.connections[0])
        for _ in range(turns):
            await asyncio.sleep(0)
        outcome = await account.send(send())
        await asyncio.wait_for(over.wait(), timeout=20)
        return outcome, len(server.requests) - 1


@pytest.mark.parametrize("turns", range(4))
async def test_on_a_connection_closed_while_idle_only_what_was_not_written_is_deferred(turns: int) -> None:
    """A connection found closing before the first byte is a clean failure; once a byte went out it is unknown."""
    outcome, read = await outcome_on_a_closed_connection(turns)

    expected = {0: Deferred, 1: Accepted if isinstance(outcome, Accepted) else Unknown}

    assert isinstance(outcome, expected[read])


def failed_write(cause: Exception, errno: int | None = None) -> Exception:
    """Return what the driver raises when it cannot write a request's body."""
    error = aiohttp.ClientOSError(errno, "Can not write request body for http://127.0.0.1/")
    error.__cause__ = cause
    return error


CLOSING = failed_write(aiohttp.ClientConnectionResetError("Cannot write to closing transport"))


def test_a_connection_found_closing_before_the_only_write_is_one_never_begun() -> None:
    """Head and body go out in one piece, and that piece was refused."""
    assert never_begun(CLOSING, httpx.Request("POST", "http://127.0.0.1", content=b"{}"))


@pytest.mark.parametrize(
    "error",
    [
        failed_write(aiohttp.ClientConnectionResetError("Connection lost")),
        failed_write(ConnectionResetError("Cannot write to closing transport")),
        failed_write(ConnectionResetError(104, "Connection reset by peer"), 104),
        aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
        aiohttp.ServerDisconnectedError(),
    ],
    ids=repr,
)
def test_any_other_failed_write_may_have_sent_something(error: Exception) -> None:
    """A connection that is lost while what was written drains away had bytes of the request."""
    assert not never_begun(error, httpx.Request("POST", "http://127.0.0.1", content=b"{}"))


@pytest.mark.parametrize(
    "request_",
    [
        httpx.Request("PUT", "http://127.0.0.1", content=b"{}"),
        httpx.Request("POST", "http://127.0.0.1"),
        httpx.Request("POST", "http://127.0.0.1", content=b"x" * (1024 * 1024 + 1)),
        httpx.Request("POST", "http://127.0.0.1", content=b"{}", headers={"Expect": "100-continue"}),
    ],
    ids=["repeated by the driver", "no body", "many writes", "the head alone first"],
)
def test_a_request_of_more_than_one_write_may_have_begun(request_: httpx.Request) -> None:
    """A later write, or a second go, is refused in the same words as the first."""
    assert not never_begun(CLOSING, request_)
