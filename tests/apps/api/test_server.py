"""The API behind a real socket: limits, keep-alive, and an end that leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar
from tests.apps.api.world import JSON, World, message

from mailapps.api import server
from mailcore.lifecycle import Email
from mailcore.message import LIMITS, Message
from mailcore.stored import Added
from mailcore.testing import MemoryStore


@dataclass
class Running:
    """A server that runs, and the way to stop it."""

    url: str
    stop: asyncio.Event
    task: asyncio.Task[None]

    @property
    def port(self) -> int:
        """The port it listens at."""
        return int(self.url.rpartition(":")[2])

    def client(self) -> httpx.AsyncClient:
        """Return a client of the server."""
        return httpx.AsyncClient(base_url=self.url, timeout=20, trust_env=False)


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[Running]:
    """Run a server on a free port for as long as the context lasts."""
    stop, urls = asyncio.Event(), asyncio.Queue[str]()
    task = asyncio.create_task(server.serve(app, "127.0.0.1", 0, ready=urls.put_nowait, stop=stop))
    try:
        yield Running(await urls.get(), stop, task)
    finally:
        stop.set()
        await task


@pytest.fixture
async def served(world: World) -> AsyncIterator[Running]:
    """Run the API around the world."""
    async with running(world.app()) as here:
        yield here


@dataclass
class GatedStore:
    """A store whose `add` waits for the test."""

    inner: MemoryStore = field(default_factory=MemoryStore)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, email: Email, message: Message) -> Added:
        """Wait for the test, then store."""
        self.asked.set()
        await self.gate.wait()
        return await self.inner.add(email, message)


async def talk(port: int, *parts: bytes) -> bytes:
    """Send bytes over a connection of its own and return all that comes back until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def post_head(length: int) -> bytes:
    """Return the head of a POST of so many bytes, on a connection that ends with it."""
    head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return b"POST /api/emails HTTP/1.1\r\n" + head.encode()


async def test_the_real_address_is_told(served: Running) -> None:
    """Port 0 picks a free one, and `ready` hears which."""
    async with served.client() as api:
        answer = await api.post("/api/emails", json=message())

    assert served.port > 0
    assert answer.status_code == 201


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(served: Running) -> None:
    """25 MiB are read (and found to be no message); more is 413, as a problem."""
    sound = json.dumps(message(text="")).encode()
    full = sound.replace(b'"text": ""', b'"text": "' + b"x" * (LIMITS.request_bytes - len(sound)) + b'"')
    async with served.client() as api:
        read = await api.post("/api/emails", content=full, headers=JSON)
        refused = await api.post("/api/emails", content=full + b" ", headers=JSON)

    assert (len(full), read.status_code, read.json()["errors"][0]["code"]) == (LIMITS.request_bytes, 400, "too_large")
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["Content-Type"] == "application/problem+json"


async def test_a_body_of_untold_length_is_counted(served: Running) -> None:
    """Chunked bodies have the same limit."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LIMITS.request_bytes // 1_000_000 + 2):
            yield b" " * 1_000_000

    async with served.client() as api:
        answer = await api.post("/api/emails", content=chunks(), headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_body_that_does_not_arrive_is_not_waited_for(world: World) -> None:
    """A caller that stops in the middle of a body is told so, and frees its connection."""
    async with running(world.app(body_within=timedelta(milliseconds=20))) as here:
        answer = await talk(here.port, post_head(100), b'{"to"')

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_timeout"' in answer


async def test_a_head_that_does_not_arrive_is_not_waited_for(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that asks for nothing, or never ends its head, is closed (slowloris)."""
    monkeypatch.setattr(server, "HEAD_WITHIN", timedelta(milliseconds=20))

    answers = [await talk(served.port), await talk(served.port, b"GET /health/live HTTP/1.1\r\nHost: ")]

    assert answers == [b"", b""]


async def test_each_head_of_a_connection_has_its_own_time(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two requests nothing is late, and a second head that never ends is not waited for either."""
    monkeypatch.setattr(server, "HEAD_WITHIN", timedelta(milliseconds=20))
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for _ in range(2):
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        assert await talk(served.port) == b""  # and by then a head would have been late
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: ")

    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_connection_that_asks_for_nothing_more_is_closed(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an answer the next request has its time to begin, and no more."""
    monkeypatch.setattr(server, "HEAD_WITHIN", timedelta(milliseconds=20))
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.02)

    answer = await asyncio.wait_for(talk(served.port, b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 10)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"}")


async def test_who_dawdles_over_a_body_that_nobody_reads_is_not_waited_for(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer may come before the body; what comes of that afterwards keeps no connection open."""
    monkeypatch.setattr(server, "HEAD_WITHIN", timedelta(milliseconds=20))
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.02)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    writer.write(b"1")

    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.endswith(b"}"), "the answer's own body, and then the end"
    writer.close()


class Wire(asyncio.Transport):
    """A transport that remembers what was written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[list[bytes]] = []
        self.closed = False

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Remember what was written together."""
        self.written.append([bytes(piece) for piece in list_of_data])

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.closed = True


async def test_head_and_body_are_one_write() -> None:
    """What is written in one turn of the loop by two is not two packets; a body in pieces goes on piece by piece."""
    wire = Wire()
    transport = server.OneWrite(wire, asyncio.get_running_loop())

    transport.write(b"head")
    transport.write(b"body")
    await asyncio.sleep(0)
    transport.write(b"more")
    await asyncio.sleep(0)

    assert wire.written == [[b"head", b"body"], [b"more"]]


@pytest.mark.parametrize(("gone", "written"), [(False, [[b"head"]]), (True, [])])
async def test_what_is_held_is_written_before_the_end(gone: bool, written: list[list[bytes]]) -> None:
    """Closing loses nothing, and once the caller is gone nothing more is written."""
    wire = Wire()
    transport = server.OneWrite(wire, asyncio.get_running_loop())

    transport.write(b"head")
    wire.closed = gone
    transport.close()
    await asyncio.sleep(0)

    assert wire.written == written
    assert wire.closed


@pytest.mark.parametrize("end", [b"X-A: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
async def test_a_head_of_any_length_is_not_read(served: Running, end: bytes) -> None:
    """Headers without number, or one without an end: the caller is told, and nothing more is kept of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")

    with suppress(ConnectionError):
        for _ in range(2_000):
            writer.write(end)
            await writer.drain()
    with suppress(ConnectionError):
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 400")

    writer.close()


async def test_a_caller_that_leaves_in_mid_body_is_no_crash(world: World) -> None:
    """A broken connection is the network's, not ours."""
    async with running(world.app()) as here:
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(post_head(100) + b'{"to"')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with here.client() as api:
            answer = await api.get("/health/live")

    assert answer.status_code == 200
    assert world.crashes == []


async def test_idle_connections_do_not_stop_health(served: Running) -> None:
    """500 connections that ask for nothing cost nobody an answer."""
    idle = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(500)]
    async with served.client() as api:
        answer = await api.get("/health/live")
    for _, writer in idle:
        writer.close()

    assert answer.status_code == 200


async def test_a_connection_is_used_again(served: Running) -> None:
    """Keep-alive: a second request needs no second connection, after a refusal either."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    statuses = []
    for path in (b"/nothing", b"/health/live", b"/health/live"):
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        statuses.append(head.split()[1])
    writer.close()

    assert statuses == [b"404", b"200", b"200"]


async def test_the_server_does_not_say_what_it_is(served: Running) -> None:
    """No name and version for whoever collects them."""
    async with served.client() as api:
        answer = await api.get("/health/live")

    assert "Server" not in answer.headers
    assert "Date" in answer.headers


async def test_no_proxy_is_believed(served: Running) -> None:
    """Forwarded headers of anybody change nothing: the name that was asked for counts."""
    async with served.client() as api:
        answer = await api.get(
            "/api/emails", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.1.1.1"}
        )

    assert answer.status_code == 200


async def test_what_was_accepted_is_answered_before_the_end(world: World) -> None:
    """Stop closes the listener, and the request under way gets its 201 all the same (I38)."""
    store = GatedStore()
    world.store = store
    async with running(world.app(store_within=timedelta(seconds=20))) as here, here.client() as api:
        under_way = asyncio.create_task(api.post("/api/emails", json=message()))
        await store.asked.wait()
        here.stop.set()
        await refused_at(here.port)
        store.gate.set()
        answer = await under_way
        await here.task

    assert answer.status_code == 201
    assert len(store.inner.emails) == 1


async def test_an_idle_connection_does_not_hold_the_end_up(served: Running) -> None:
    """Kept-alive connections without a request are closed at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    served.stop.set()

    await asyncio.wait_for(served.task, 5)

    assert await reader.read() == b""
    writer.close()


async def test_an_address_in_use_is_an_error_of_the_caller(served: Running, world: World) -> None:
    """The command line says what is wrong; nothing exits from within."""
    nobody: Callable[[str], None] = [].append

    with pytest.raises(OSError, match="in use"):
        await server.serve(world.app(), "127.0.0.1", served.port, ready=nobody, stop=asyncio.Event())


async def test_signals_are_left_to_the_caller(served: Running) -> None:
    """Uvicorn would raise them again at the end, and the exit code would be the signal's."""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not served.task.done()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("mail.example", "http://mail.example:80"),
    ],
)
def test_the_address_is_one_that_a_browser_takes(host: str, url: str) -> None:
    """What is printed can be clicked on."""
    assert server.url_of(host, 80) == url


async def refused_at(port: int) -> None:
    """Wait until nobody listens at a port any more."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except (ConnectionRefusedError, ConnectionResetError):  # reset: it waited in the backlog as the listener closed
            return
        writer.close()
        await asyncio.sleep(0)
