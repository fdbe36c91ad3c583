"""The shared call over raw sockets: each failure on its right side, surely not sent or unknown."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.providers.raw_server import Connection, Script, carrying, provider, send, serving

from mailadapters.providers.aiohttp_transport import MOST_READ
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Unknown

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: id-1\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(name="http")
async def _http() -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Return the transport under test."""
    async with carrying() as opened:
        yield opened


async def accept(connection: Connection) -> None:
    """Take every request on a connection."""
    while True:
        await connection.request()
        await connection.answer(ACCEPTED)


def after_reading(*pieces: bytes) -> Script:
    """Return a script that reads a request, answers with these bytes and closes."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(*pieces)

    return script


async def close_at_once(_: Connection) -> None:
    """Close before a byte is read."""


async def reset_at_once(connection: Connection) -> None:
    """Reset before a byte is read."""
    connection.reset()


async def reset_after_reading(connection: Connection) -> None:
    """Reset when the request was read: the case of V5."""
    await connection.request()
    connection.reset()


async def silence(connection: Connection) -> None:
    """Read the request and never answer."""
    await connection.request()
    await asyncio.Event().wait()


async def drip(connection: Connection) -> None:
    """Answer one byte at a time, for ever: the case of N3."""
    await connection.request()
    await connection.answer(b"HTTP/1.1 202 Accepted\r\nX-Drip: ")
    while True:
        await connection.answer(b"a")
        await asyncio.sleep(0.02)


async def endless_continue(connection: Connection) -> None:
    """Promise an answer for ever."""
    await connection.request()
    while True:
        await connection.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.005)


MAYBE_SENT = {
    "closed after accept": (close_at_once, "connection_lost"),
    "reset after accept": (reset_at_once, "connection_lost"),
    "closed after reading": (after_reading(), "connection_lost"),
    "reset after reading (V5)": (reset_after_reading, "connection_lost"),
    "garbage": (after_reading(b"\x00\x01garbage\r\n\r\n"), "unreadable_answer"),
    "not HTTP": (after_reading(b"220 smtp.example.com ESMTP\r\n"), "unreadable_answer"),
    "head cut": (after_reading(b"HTTP/1.1 202 Acc"), "connection_lost"),
    "headers cut": (after_reading(b"HTTP/1.1 202 Accepted\r\nX-Message-"), "connection_lost"),
    "huge header": (after_reading(b"HTTP/1.1 202 Accepted\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"), "unreadable_answer"),
    "silence (V4)": (silence, "no_answer"),
    "drip (N3)": (drip, "no_answer"),
    "endless 100": (endless_continue, "no_answer"),
}


def deadline_for(code: str) -> float:
    """Return a deadline that is met only where that is the point, however busy the machine is."""
    return 0.5 if code == "no_answer" else 10.0


@pytest.mark.parametrize(("script", "code"), MAYBE_SENT.values(), ids=MAYBE_SENT)
async def test_a_failure_once_connected_is_unknown(http: httpx.AsyncBaseTransport, script: Script, code: str) -> None:
    """Once a connection is made only the provider knows what it took, so the outcome is open."""
    async with serving(script) as server:
        outcome = await provider(server.url, http).send(send(deadline_s=deadline_for(code)))

    assert isinstance(outcome, Unknown)
    assert outcome.code == code


@pytest.mark.parametrize(("script", "code"), MAYBE_SENT.values(), ids=MAYBE_SENT)
async def test_a_failed_call_is_made_once(http: httpx.AsyncBaseTransport, script: Script, code: str) -> None:
    """Nothing beneath mailcore repeats a request: a repeat that nobody recorded could be a second e-mail."""
    async with serving(script) as server:
        await provider(server.url, http).send(send(deadline_s=deadline_for(code)))

        assert len(server.connections) == 1
        assert len(server.requests) <= 1


async def test_the_deadline_ends_a_call_whatever_the_server_does(http: httpx.AsyncBaseTransport) -> None:
    """I34: a call never takes longer than its deadline."""
    loop = asyncio.get_running_loop()
    async with serving(drip) as server:
        started = loop.time()

        await provider(server.url, http).send(send(deadline_s=0.3))

        assert 0.25 < loop.time() - started < 3


def refused_url() -> str:
    """Return a URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    "url", [refused_url(), "http://nonexistent.invalid", "http://[::1]:9"], ids=["refused", "DNS (N4)", "refused IPv6"]
)
async def test_a_connection_that_was_never_made_is_deferred(http: httpx.AsyncBaseTransport, url: str) -> None:
    """Nothing can have been sent without a connection, so another provider may be asked at once."""
    outcome = await provider(url, http).send(send())

    assert isinstance(outcome, Deferred)
    assert outcome.code in {"connect_failed", "connect_timeout"}


async def test_a_connection_that_hangs_is_deferred(http: httpx.AsyncBaseTransport) -> None:
    """N2: a black hole at connecting ends at the deadline, and surely nothing was sent."""
    with socket.socket() as hole, socket.socket() as waiting:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        waiting.connect(hole.getsockname())  # fills the backlog; Linux drops what comes next

        outcome = await provider(f"http://127.0.0.1:{hole.getsockname()[1]}", http).send(send(deadline_s=0.3))

    assert isinstance(outcome, Deferred)
    assert outcome.code == "connect_timeout"


@pytest.mark.parametrize("certificate", ["self_signed.pem", "wrong_host.pem", "expired.pem"])
async def test_a_server_that_is_not_who_it_says_is_refused(http: httpx.AsyncBaseTransport, certificate: str) -> None:
    """V11: TLS is verified always and never downgraded; no byte of the message leaves."""
    async with serving(accept, certificate) as server:
        outcome = await provider(server.url, http).send(send())

        assert isinstance(outcome, Deferred)
        assert "certificate" in outcome.detail.lower()
        assert server.requests == []


async def test_public_authorities_are_the_default() -> None:
    """V11: one who was told nothing about authorities does not trust one that it does not know."""
    async with carrying(authority=None) as http, serving(accept, "good.pem") as server:
        outcome = await provider(server.url, http).send(send())

        assert isinstance(outcome, Deferred)
        assert server.requests == []


async def test_a_verified_server_gets_the_message(http: httpx.AsyncBaseTransport) -> None:
    """The refusals above are about certificates: with a right one the same call succeeds."""
    async with serving(accept, "good.pem") as server:
        outcome = await provider(server.url, http).send(send())

    assert outcome == Accepted(provider_id="id-1")


async def test_https_to_a_plain_server_is_deferred(http: httpx.AsyncBaseTransport) -> None:
    """A handshake that fails for any reason carries no message."""
    async with serving(after_reading(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        outcome = await provider(server.url.replace("http:", "https:"), http).send(send(deadline_s=0.5))

        assert isinstance(outcome, Deferred)
        assert server.requests == []


ANSWERS: dict[str, tuple[bytes, type[Outcome]]] = {
    "2xx cut, id read": (b"HTTP/1.1 202 A\r\nX-Message-Id: id-1\r\nContent-Length: 9\r\n\r\nab", Accepted),
    "2xx cut, no id": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Unknown),
    "2xx cut before its body, no id": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Unknown),
    "2xx bad chunks, no id": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Unknown),
    "2xx not gzip": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", Unknown),
    "2xx unknown encoding": (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nab", Unknown),
    "400 cut": (b"HTTP/1.1 400 Bad\r\nContent-Length: 900\r\n\r\n{", Rejected),
    "500 cut": (b"HTTP/1.1 500 Oops\r\nContent-Length: 900\r\n\r\n{", Deferred),
    "502": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", Unknown),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", Misconfigured),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_a_broken_answer_counts_by_its_status(
    http: httpx.AsyncBaseTransport, answer: bytes, expected: type[Outcome]
) -> None:
    """I33: an answer that cannot be parsed is unknown if the status was 2xx, else it means what the status means."""
    async with serving(after_reading(answer)) as server:
        outcome = await provider(server.url, http).send(send(deadline_s=1))

    assert isinstance(outcome, expected)


async def test_a_body_that_drips_keeps_its_status(http: httpx.AsyncBaseTransport) -> None:
    """I34: the deadline ends a body too, and what its head said is not forgotten."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await connection.answer(b"x")
            await asyncio.sleep(0.02)

    async with serving(script) as server:
        outcome = await provider(server.url, http).send(send(deadline_s=0.3))

    assert isinstance(outcome, Rejected)


async def test_of_a_long_answer_64_kib_are_read(http: httpx.AsyncBaseTransport) -> None:
    """I34, V6: an answer of 10 MB costs 64 KiB, and the connection it came over is dropped."""
    written = 0
    piece = b"x" * 65536

    async def script(connection: Connection) -> None:
        nonlocal written
        await connection.request()
        await connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
        for _ in range(160):
            await connection.answer(piece)
            written += len(piece)

    async with serving(script) as server:
        answer = await http.handle_async_request(httpx.Request("POST", server.url))

        assert len(answer.content) == MOST_READ
        assert answer.extensions["truncated"] is True
        assert written < 10485760


@pytest.mark.parametrize("length", [MOST_READ, MOST_READ + 1])
async def test_the_bound_of_an_answer_is_exact(http: httpx.AsyncBaseTransport, length: int) -> None:
    """I34: 64 KiB are read whole, and one byte more is too much."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    async with serving(after_reading(head, b"x" * length)) as server:
        answer = await http.handle_async_request(httpx.Request("POST", server.url))

    assert len(answer.content) == MOST_READ
    assert answer.extensions["truncated"] is (length > MOST_READ)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate"])
async def test_a_gzip_bomb_is_not_inflated(http: httpx.AsyncBaseTransport, encoding: str) -> None:
    """An answer is bounded after decoding too: 10 KB that inflate to 10 MB cost 64 KiB."""
    bomb = gzip.compress(bytes(10_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    async with serving(after_reading(head, bomb)) as server:
        answer = await http.handle_async_request(httpx.Request("POST", server.url))

    assert len(answer.content) == MOST_READ
    assert answer.extensions["truncated"] is True


async def test_a_compressed_answer_is_read(http: httpx.AsyncBaseTransport) -> None:
    """A gateway that compresses unasked does not turn a refusal into a riddle."""
    body = gzip.compress(b'{"errors":[{"message":"Does not contain a valid address."}]}')
    head = f"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(after_reading(head, body)) as server:
        outcome = await provider(server.url, http).send(send())

    assert outcome == Rejected(code="400", detail="Does not contain a valid address.")


async def test_a_kept_connection_that_closes_under_a_request_is_unknown(http: httpx.AsyncBaseTransport) -> None:
    """A server that closes an idle connection just as we write may have read the request: it is not repeated."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(ACCEPTED)
        await connection.reader.read(1)

    async with serving(script) as server:
        first = await provider(server.url, http).send(send())
        second = await provider(server.url, http).send(send())

        assert isinstance(first, Accepted)
        assert isinstance(second, Unknown)
        assert len(server.connections) == 1


async def test_a_kept_connection_seen_closed_is_not_used(http: httpx.AsyncBaseTransport) -> None:
    """A connection that the server closed while it was idle costs nobody an unknown outcome."""
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(ACCEPTED)
        connection.writer.write_eof()
        await connection.reader.read()  # until the other side has seen that and closed
        closed.set()

    async with serving(script) as server:
        await provider(server.url, http).send(send())
        await closed.wait()
        outcome = await provider(server.url, http).send(send())

        assert isinstance(outcome, Accepted)
        assert len(server.connections) == 2


async def test_connections_are_kept(http: httpx.AsyncBaseTransport) -> None:
    """A drain pays for a handshake once per slot, not once per e-mail."""
    async with serving(accept) as server:
        for _ in range(5):
            await provider(server.url, http).send(send())

        assert len(server.connections) == 1
        assert len(server.requests) == 5


async def test_an_idle_connection_is_ours_to_close(http: httpx.AsyncBaseTransport) -> None:
    """Servers drop an idle connection after 5 s or more; one that we drop sooner is never dropped under a request."""
    session = http._opened()

    assert session.connector._keepalive_timeout < 5
    assert session.timeout.connect == 3


async def test_as_many_calls_run_at_once_as_are_made(http: httpx.AsyncBaseTransport) -> None:
    """The pool never queues: 200 calls that are answered only once all have come are all answered."""
    come = 0
    all_come = asyncio.Event()

    async def script(connection: Connection) -> None:
        nonlocal come
        await connection.request()
        come += 1
        if come == 200:
            all_come.set()
        await all_come.wait()
        await connection.answer(ACCEPTED)

    async with serving(script) as server:
        account = provider(server.url, http)
        outcomes = await asyncio.gather(*(account.send(send()) for _ in range(200)))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


async def test_a_cancelled_call_leaves_nothing_behind(http: httpx.AsyncBaseTransport) -> None:
    """Cancellation passes through, closes the connection of its call, and the next call is as good as the first."""
    reading, gone = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        reading.set()
        await connection.reader.read()
        gone.set()

    async with serving(script) as server:
        task = asyncio.create_task(provider(server.url, http).send(send()))
        await reading.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 2)


async def test_fifty_cancelled_calls_leave_no_connection(http: httpx.AsyncBaseTransport) -> None:
    """A stop in mid-flight leaks nothing, however many calls it meets and wherever they are."""
    read, half_read = 0, asyncio.Event()

    async def script(connection: Connection) -> None:
        nonlocal read
        await connection.request()
        read += 1
        if read == 25:
            half_read.set()
        await asyncio.Event().wait()

    async with serving(script) as server:
        account = provider(server.url, http)
        tasks = [asyncio.create_task(account.send(send())) for _ in range(50)]
        await half_read.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        connector = http._session.connector
        assert all(task.cancelled() for task in tasks)
        assert not connector._acquired
        assert not any(connector._conns.values())


async def test_a_redirect_is_not_followed(http: httpx.AsyncBaseTransport) -> None:
    """A key goes to the configured URL and nowhere else: a redirect is a wrong base URL."""
    async with serving(accept) as elsewhere:
        head = f"HTTP/1.1 307 T\r\nLocation: {elsewhere.url}/v3/mail/send\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(after_reading(head)) as server:
            outcome = await provider(server.url, http).send(send())

            assert isinstance(outcome, Misconfigured)
            assert outcome.scope == "account"
            assert elsewhere.connections == []


async def test_a_cookie_is_not_kept(http: httpx.AsyncBaseTransport) -> None:
    """No answer has a say in a later request, to this provider or another."""
    cookie = ACCEPTED.replace(b"\r\n\r\n", b"\r\nSet-Cookie: track=1; Path=/\r\n\r\n")

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(cookie)

    async with serving(script) as server:
        for _ in range(2):
            await provider(server.url, http).send(send())

        assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_the_environment_has_no_say(http: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy set for other programs on the machine does not see our mail."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, refused_url())

    async with serving(accept) as server, carrying() as fresh:
        outcome = await provider(server.url, fresh).send(send())

    assert isinstance(outcome, Accepted)


async def test_a_long_body_arrives_whole(http: httpx.AsyncBaseTransport) -> None:
    """A message with megabytes of attachments is written without a warning and with its length."""
    text = "x" * 3_000_000

    async with serving(accept) as server:
        outcome = await provider(server.url, http).send(send(text=text))

        assert isinstance(outcome, Accepted)
        assert text.encode() in server.requests[0]
        assert b"chunked" not in server.requests[0][:1000].lower()


async def test_a_request_says_who_asks_and_nothing_else(http: httpx.AsyncBaseTransport) -> None:
    """Only headers that we chose leave; nothing tells the versions of what we run on."""
    async with serving(accept) as server:
        await provider(server.url, http).send(send())

        head = server.requests[0].partition(b"\r\n\r\n")[0].lower()
        names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n")[1:]]
        assert sorted(names) == [
            "accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent",
        ]  # fmt: skip
        assert b"aiohttp" not in head
        assert b"python" not in head


async def test_the_driver_adds_no_header_of_its_own(http: httpx.AsyncBaseTransport) -> None:
    """What the request does not say is not said, whichever driver carries it."""
    async with serving(accept) as server:
        await http.handle_async_request(httpx.Request("POST", server.url))

        head = server.requests[0].lower()
        assert head.split(b"\r\n")[1:] == [
            b"host: " + server.url.removeprefix("http://").encode(),
            b"content-length: 0",
            b"",
            b"",
        ]


@settings(max_examples=150, deadline=None)
@given(
    status=st.sampled_from([b"", b"HTTP/1.1 202 Accepted\r\n", b"HTTP/1.1 400 Bad\r\n", b"HTTP/1.1 200 OK\r\n"]),
    headers=st.sampled_from(
        [b"", b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"Retry-After: \xff\r\n"]
    ),
    rest=st.binary(max_size=200),
)
async def test_no_answer_makes_a_call_raise(status: bytes, headers: bytes, rest: bytes) -> None:
    """Whatever bytes come back, a call ends with an outcome, and without an id never with an acceptance."""
    async with serving(after_reading(status + headers + b"\r\n" + rest)) as server, carrying() as http:
        outcome = await provider(server.url, http).send(send(deadline_s=0.5))

    assert isinstance(outcome, Outcome)
    assert not (isinstance(outcome, Accepted) and outcome.provider_id)
