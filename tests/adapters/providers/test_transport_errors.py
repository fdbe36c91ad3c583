"""Every error that the driver can raise has a side: surely not sent, or unknown."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Iterator
from types import ModuleType

import aiohttp
import httpx
import pytest
from aiohttp import client_exceptions, http_exceptions

from mailadapters.providers.aiohttp_transport import NETWORK_ERRORS, as_httpx
from mailadapters.providers.http import outcome_of_error
from mailcore.outcome import Deferred, Unknown

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
