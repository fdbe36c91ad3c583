"""Faults as a client meets them: every kind, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from tests.apps.emulator.calls import BASIC, BEARER, FORM, MAILGUN, SENDGRID, mail
from tests.apps.emulator.conftest import Clock, Gate

from mailapps.emulator import Running
from mailapps.emulator.ledger import Wanted


async def scripted(client: httpx.AsyncClient, *rules: dict[str, Any], provider: str = "sendgrid") -> None:
    """Script rules."""
    answer = await client.put(f"/emulator/faults/{provider}", json={"rules": rules})
    assert answer.status_code == 200, answer.text


async def post(client: httpx.AsyncClient) -> httpx.Response:
    """Send a right message to SendGrid."""
    return await client.post(SENDGRID, json=mail(), headers=BEARER)


@asynccontextmanager
async def raw(running: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send a right message over a bare connection and give its two ends."""
    body = msgspec.json.encode(mail())
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {SENDGRID} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nAccept: */*\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503, 504])
async def test_a_status_comes_with_body_and_headers(client: httpx.AsyncClient, running: Running, status: int) -> None:
    """A scripted status is answered as scripted, and nothing arrives."""
    await scripted(client, {"action": {"kind": "status", "status": status, "body": "no", "headers": {"X-A": "b"}}})

    answer = await post(client)

    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (status, "no", "b")
    assert len(running.emulator.inbox) == 0


@pytest.mark.parametrize("accept", [False, True])
async def test_a_reset_is_a_tcp_reset_without_a_byte(client: httpx.AsyncClient, running: Running, accept: bool) -> None:
    """The client sees ECONNRESET, not an orderly end; only after an accept is the message there."""
    await scripted(client, {"action": {"kind": "reset", "accept": accept}})

    async with raw(running) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()

    assert len(running.emulator.inbox) == accept


async def test_a_hang_says_nothing_and_then_closes(client: httpx.AsyncClient, running: Running, gate: Gate) -> None:
    """For the scripted seconds there is no answer; then the connection ends without one."""
    await scripted(client, {"action": {"kind": "hang", "seconds": 30, "accept": True}})

    async with raw(running) as (reader, _):
        await gate.begun()
        before = (gate.asked, len(running.emulator.inbox), reader.at_eof())
        gate.open()
        received = await reader.read()

    assert before == ([30], 1, False)
    assert received == b""


async def test_a_hang_for_ever_ends_when_the_client_goes(client: httpx.AsyncClient, running: Running) -> None:
    """No task is left behind by a client that gave up."""
    await scripted(client, {"action": {"kind": "hang"}})

    with pytest.raises(httpx.ReadTimeout):
        await client.post(SENDGRID, json=mail(), headers=BEARER, timeout=0.05)

    while not (await client.get("/emulator/requests")).json()["requests"][0]["finished_at"]:
        pass  # each look lets the server go on; the test's own time limit ends it
    (row,) = running.emulator.ledger.rows(Wanted())
    assert (row.fault, row.verdict, row.status) == ("hang", "refused", None)


async def test_a_drip_sends_a_byte_at_a_time(client: httpx.AsyncClient, running: Running, gate: Gate) -> None:
    """Between two bytes lies the scripted pause, from the status line on."""
    await scripted(client, {"action": {"kind": "drip", "seconds_per_byte": 1}})

    async with raw(running) as (reader, _):
        bytes_in_turn = []
        for _byte in range(8):
            bytes_in_turn.append(await reader.readexactly(1))
            await gate.begun()
            gate.open()
        gate.open(10_000)
        rest = await reader.read()

    assert b"".join(bytes_in_turn) == b"HTTP/1.1"
    assert rest.startswith(b" 202 Accepted\r\n")
    assert b"X-Message-Id: " in rest
    assert set(gate.asked) == {1}
    assert len(running.emulator.inbox) == 1


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("bad_json", b'{"id": "<cut off in the mid'),
        ("empty", b""),
        ("wrong_type", b'["Queued. Thank you."]'),
        ("missing_id", b'{"message":"Queued. Thank you."}'),
    ],
)
async def test_garbage_is_an_unreadable_success(
    client: httpx.AsyncClient, running: Running, shape: str, body: bytes
) -> None:
    """The message is taken, and the answer does not say so in a way that can be trusted."""
    await scripted(client, {"action": {"kind": "garbage", "shape": shape}}, provider="mailgun")

    answer = await client.post(MAILGUN, data=FORM, headers=BASIC)

    assert (answer.status_code, answer.content) == (200, body)
    assert len(running.emulator.inbox) == 1


async def test_a_huge_answer_is_sent_whole(client: httpx.AsyncClient) -> None:
    """Ten megabytes come after a 2xx."""
    await scripted(client, {"action": {"kind": "garbage", "shape": "huge"}})

    assert len((await post(client)).content) > 10_000_000


async def test_latency_comes_before_the_answer_and_after_the_verdict(
    client: httpx.AsyncClient, running: Running, gate: Gate
) -> None:
    """A slow provider has taken the message before it says so."""
    await scripted(client, {"latency": 0.3})

    answering = asyncio.create_task(post(client))
    await gate.begun()
    before = (gate.asked, len(running.emulator.inbox), answering.done())
    gate.open()

    assert before == ([0.3], 1, False)
    assert (await answering).status_code == 202


async def test_over_a_rate_there_is_429_with_retry_after(client: httpx.AsyncClient, clock: Clock) -> None:
    """Two a second pass, the third is told when to come again, and a second later it passes."""
    await scripted(client, {"action": {"kind": "rate", "max_per_second": 2, "retry_after": 7}})

    at_once = [await post(client) for _ in range(3)]
    clock.advance(seconds=1)
    later = await post(client)

    assert [answer.status_code for answer in at_once] == [202, 202, 429]
    assert at_once[-1].headers["retry-after"] == "7"
    assert at_once[-1].json()["errors"][0]["message"] == "too many requests"
    assert later.status_code == 202


async def test_a_fault_of_one_provider_leaves_the_others_alone(client: httpx.AsyncClient) -> None:
    """Scripts are by name, so that two accounts of one kind can differ."""
    await scripted(client, {"action": {"kind": "status", "status": 503}}, provider="sendgrid-eu")

    broken = await client.post("/sendgrid-eu/v3/mail/send", json=mail(), headers=BEARER)

    assert broken.status_code == 503
    assert (await post(client)).status_code == 202


async def test_a_deleted_script_does_nothing(client: httpx.AsyncClient) -> None:
    """After DELETE the provider works again."""
    await scripted(client, {"action": {"kind": "reset"}})

    await client.delete("/emulator/faults/sendgrid")

    assert (await post(client)).status_code == 202
