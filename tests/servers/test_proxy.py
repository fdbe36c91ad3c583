"""What the proxy does to a connection is what it says it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from tests.servers.proxy import Proxy, Toxic, proxy


@pytest.fixture
async def network() -> AsyncIterator[Proxy]:
    """Yield a proxy in front of a server that says everything back, in capitals."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(1000):
                writer.write(octets.upper())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with proxy(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as between:
        yield between
    server.close()


class Caller:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, question: bytes, within_s: float = 10) -> bytes:
        """Return what is answered in so many bytes as were asked."""
        self.writer.write(question)
        async with asyncio.timeout(within_s):
            return await self.reader.readexactly(len(question))


Dial = Callable[[], Awaitable[Caller]]


@pytest.fixture
async def dial(network: Proxy) -> AsyncIterator[Dial]:
    """Yield what makes connections, and close them all."""
    made = list[Caller]()

    async def connected() -> Caller:
        host, _, port = network.url.removeprefix("tcp://").partition(":")
        made.append(Caller(*await asyncio.open_connection(host, int(port))))
        return made[-1]

    yield connected
    for caller in made:
        caller.writer.transport.abort()


@pytest.fixture
async def caller(dial: Dial) -> Caller:
    """Return a connection."""
    return await dial()


CUT: tuple[Any, ...] = (ConnectionError, asyncio.IncompleteReadError)


async def test_a_clear_network_carries_everything(caller: Caller) -> None:
    """Without a toxic nothing is changed."""
    assert await caller.ask(b"hello") == b"HELLO"


async def test_latency_makes_an_answer_late(network: Proxy, caller: Caller) -> None:
    """Both ways are late."""
    network.toxic = Toxic(latency=0.1)
    began = asyncio.get_running_loop().time()

    assert await caller.ask(b"hello") == b"HELLO"

    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_rate_slows_an_answer_down(network: Proxy, caller: Caller) -> None:
    """So many bytes a second and no more."""
    network.toxic = Toxic(rate=50)
    began = asyncio.get_running_loop().time()

    assert await caller.ask(b"0123456789") == b"0123456789"

    assert asyncio.get_running_loop().time() - began >= 0.18


async def test_an_answer_may_be_cut_in_its_middle(network: Proxy, caller: Caller) -> None:
    """What has come before the reset has come."""
    network.toxic = Toxic(reset_after=2)

    with pytest.raises(CUT):
        await caller.ask(b"hello")

    assert network.lost == 1


async def test_every_so_manieth_answer_may_be_lost(network: Proxy, dial: Dial) -> None:
    """The others come; a lost one takes its connection along."""
    network.toxic = Toxic(cut_every=3)
    answers = list[bytes]()
    for _ in range(6):
        caller = await dial()
        with suppress(*CUT):
            answers.append(await caller.ask(b"a"))

    assert (len(answers), network.lost) == (4, 2)


async def test_a_marked_answer_is_lost_once(network: Proxy, caller: Caller, dial: Dial) -> None:
    """The next one comes."""
    network.lose(b"secret")

    with pytest.raises(CUT):
        await caller.ask(b"a secret")

    assert await (await dial()).ask(b"a secret") == b"A SECRET"


async def test_a_black_hole_keeps_connections_and_swallows_all(network: Proxy, caller: Caller, dial: Dial) -> None:
    """Nothing comes; once it is healed, what has lost something is reset and new connections work."""
    network.toxic = Toxic(blackhole=True)
    with pytest.raises(TimeoutError):
        await caller.ask(b"hello", within_s=0.1)

    await network.heal()

    with pytest.raises(CUT):
        await caller.ask(b"hello")
    assert await (await dial()).ask(b"hello") == b"HELLO"


async def test_a_refused_caller_is_let_in_again_at_the_same_place(network: Proxy, caller: Caller, dial: Dial) -> None:
    """As if the server had gone: no connection is left, none is taken; then it is back."""
    await network.refuse()
    with pytest.raises(CUT):
        await caller.ask(b"hello")
    with pytest.raises(ConnectionError):
        await dial()

    await network.heal()

    assert await (await dial()).ask(b"hello") == b"HELLO"


async def test_a_half_closed_connection_says_its_end(network: Proxy, caller: Caller) -> None:
    """The caller reads an end, though nobody has reset anything."""
    assert await caller.ask(b"hello") == b"HELLO"

    network.half_close()

    assert await caller.reader.read() == b""


async def test_an_idle_connection_may_be_reset(network: Proxy, caller: Caller, dial: Dial) -> None:
    """The caller reads a reset, which is no end; new connections work."""
    assert await caller.ask(b"hello") == b"HELLO"

    await network.reset()

    with pytest.raises(ConnectionResetError):
        await caller.reader.read()
    assert await (await dial()).ask(b"hello") == b"HELLO"
