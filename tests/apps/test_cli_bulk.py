"""Sending a file to a service that is busy, away, or loses its answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from mailapps.cli.bulk import Tally, send_all
from mailapps.cli.letters import Letter
from mailapps.cli.options import Reach

LOST = b""
ACCEPTED = b'HTTP/1.1 201 X\r\nContent-Length: 13\r\n\r\n{"id":"em_1"}'
REPLAYED = ACCEPTED.replace(b"\r\n\r\n", b"\r\nIdempotency-Replayed: true\r\n\r\n")


def refused(status: int, code: str, *, wait: str = "") -> bytes:
    """Return an answer of mailcore's that refuses for now."""
    return raw(status, json.dumps({"title": "t", "detail": "d", "code": code, "retryable": True}), wait=wait)


def raw(status: int, body: str = "<html>", *, wait: str = "") -> bytes:
    """Return an answer, by default a reverse proxy's."""
    asked = f"Retry-After: {wait}\r\n" if wait else ""
    return f"HTTP/1.1 {status} X\r\n{asked}Content-Length: {len(body)}\r\n\r\n{body}".encode()


BUSY = refused(429, "rate_limited", wait="10")


@dataclass
class Run:
    """What came of one line."""

    tally: Tally = field(default_factory=Tally)
    waits: list[float] = field(default_factory=list[float])

    @property
    def counts(self) -> tuple[int, int, int]:
        """Accepted, repeated, failed."""
        return self.tally.accepted, self.tally.repeated, len(self.tally.failures)

    async def sleep(self, seconds: float) -> None:
        """Wait no time."""
        self.waits.append(seconds)


@asynccontextmanager
async def answering(answers: Iterator[bytes]) -> AsyncIterator[str]:
    """Serve one answer after the other, each on a connection of its own."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int((head.lower().partition(b"content-length:")[2].split() or [b"0"])[0]))
        writer.write(next(answers).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def sent(answers: Sequence[bytes]) -> Run:
    """Send a file of one line to a service that gives these answers."""
    run, letters = Run(), iter([Letter(line=1, key="k", message={"to": "a@example.com"})])
    async with answering(iter(answers)) as url:
        await send_all(letters, Reach(url=url, key="k" * 30), run.tally, lambda: None, run.sleep)
    return run


@pytest.mark.parametrize("first", [LOST, raw(502), refused(500, "internal_error")], ids=["lost", "502", "500"])
async def test_what_an_earlier_try_of_this_run_brought_was_not_accepted_before(first: bytes) -> None:
    """A replay after a lost answer or a 5xx tells of this run's own try."""
    assert (await sent([first, REPLAYED])).counts == (1, 0, 0)


@pytest.mark.parametrize("before", [[], [BUSY]], ids=["at once", "after 429"])
async def test_what_an_earlier_run_brought_was_accepted_before(before: list[bytes]) -> None:
    """A replay where no try of this run can have been accepted tells of an earlier run."""
    assert (await sent([*before, REPLAYED])).counts == (0, 1, 0)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_reverse_proxy_whose_service_is_away_is_asked_again(status: int) -> None:
    """A proxy's page with such a status is like a lost connection: for a moment only, and four times at most."""
    once, ever = await sent([raw(status), ACCEPTED]), await sent([raw(status)] * 4)

    assert (once.counts, once.waits) == ((1, 0, 0), [0.5])
    assert (ever.counts, ever.waits) == ((0, 0, 1), [0.5, 1.0, 2.0])


async def test_another_page_that_is_not_mailcores_fails_at_once() -> None:
    """A wrong address does not get better by asking again."""
    run = await sent([raw(404)])

    assert (run.counts, run.waits) == ((0, 0, 1), [])


async def test_being_asked_to_slow_down_is_no_try() -> None:
    """A rate limit is waited for as long as it says, more often than anything else is tried."""
    run = await sent([BUSY] * 9 + [ACCEPTED])

    assert (run.counts, run.waits) == ((1, 0, 0), [10.0] * 9)


async def test_a_line_waits_for_a_minute_at_a_time_and_for_five_in_all() -> None:
    """A file comes to its end whatever the service asks for."""
    run = await sent([refused(429, "rate_limited", wait="3600")] * 6)

    assert (run.counts, run.waits) == ((0, 0, 1), [60.0] * 5)


async def test_a_503_is_waited_for_and_is_a_try() -> None:
    """Retry-After of a service that is away says when, and four tries are the end."""
    run = await sent([raw(503, wait="7")] * 4)

    assert (run.counts, run.waits) == ((0, 0, 1), [7.0] * 3)


@pytest.mark.parametrize("cap", ["daily_cap", "sender_cap", "recipient_cap"])
async def test_a_cap_fails_a_line_at_once(cap: str) -> None:
    """What may last until tomorrow is not waited for."""
    run = await sent([refused(429, cap, wait="1")])

    assert (run.counts, run.waits) == ((0, 0, 1), [])
