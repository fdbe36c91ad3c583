"""The ledger: complete, in order, written before the answer, and bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import msgspec
from tests.apps.emulator.calls import BASIC, BEARER, FORM, MAILGUN, NOW, SENDGRID, mail
from tests.apps.emulator.conftest import Clock, Gate

from mailapps.emulator import EmulatorSettings, Running, running_emulator
from mailapps.emulator.ledger import Ledger, Row, Wanted


def row(seq: int, **changes: object) -> Row:
    """Return a row with changes."""
    right = {
        "seq": seq,
        "received_at": NOW,
        "provider": "sendgrid",
        "email_id": None,
        "key": None,
        "sender": "a@shop.example",
        "recipients": ("ann@example.com",),
        "verdict": "accepted",
        "status": 202,
        "fault": None,
        "message_id": "x",
    }
    return Row(**{**right, **changes})


def test_the_oldest_rows_go_and_it_is_said_how_many() -> None:
    """Memory is bounded: of five rows with room for three the latest three stay, and two are counted."""
    ledger = Ledger(limit=3)

    for seq in range(1, 6):
        ledger.write(row(seq))

    assert [one.seq for one in ledger.rows(Wanted())] == [3, 4, 5]
    assert ledger.dropped == 2


def test_rows_are_found_by_provider_id_verdict_and_place() -> None:
    """Every filter leaves only what fits."""
    ledger = Ledger()
    for one in (row(1), row(2, provider="mailgun"), row(3, email_id="em_1"), row(4, verdict="refused")):
        ledger.write(one)

    found = {
        wanted: [one.seq for one in ledger.rows(wanted)]
        for wanted in (
            Wanted(provider="mailgun"),
            Wanted(email_id="em_1"),
            Wanted(verdict="refused"),
            Wanted(after=2),
            Wanted(provider="sendgrid", after=3),
        )
    }

    assert list(found.values()) == [[2], [3], [4], [3, 4], [4]]


def test_a_finished_row_has_its_moment_and_a_lost_one_does_no_harm() -> None:
    """The end of a request is noted where its row still is."""
    ledger = Ledger(limit=1)
    ledger.write(row(1))
    ledger.write(row(2))

    ledger.finish(1, NOW)
    ledger.finish(2, NOW)

    assert [(one.seq, one.finished_at) for one in ledger.rows(Wanted())] == [(2, NOW)]


def test_clearing_keeps_the_numbers_and_the_file(tmp_path: Path) -> None:
    """A test that resets the ledger does not mix up its rows with earlier ones, and the file tells all."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path=path)
    ledger.write(row(ledger.next_seq()))

    ledger.clear()
    ledger.write(row(ledger.next_seq()))
    ledger.close()

    assert [one.seq for one in ledger.rows(Wanted())] == [2]
    assert len(path.read_bytes().splitlines()) == 2


def test_an_existing_file_is_appended_to(tmp_path: Path) -> None:
    """A restarted emulator forgets nothing that the file holds."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"{}\n")

    ledger = Ledger(path=path)
    ledger.write(row(1))
    ledger.close()

    first, second = path.read_bytes().splitlines()
    assert first == b"{}"
    assert msgspec.json.decode(second, type=Row) == row(1)


async def test_a_row_is_in_the_file_before_the_answer(tmp_path: Path, clock: Clock, gate: Gate) -> None:
    """While the sender still waits, ledger, file and inbox know what the provider took."""
    path = tmp_path / "ledger.jsonl"
    settings = EmulatorSettings(port=0, ledger=path)

    async with (
        running_emulator(settings, now=clock, pause=gate) as running,
        httpx.AsyncClient(base_url=running.url) as client,
    ):
        await client.put("/emulator/faults/sendgrid", json={"rules": [{"latency": 60}]})
        body = mail(custom_args={"mailcore_id": "em_1"})
        answering = asyncio.create_task(client.post(SENDGRID, json=body, headers=BEARER))
        await gate.begun()
        written = msgspec.json.decode(path.read_bytes(), type=Row)
        still_waiting = not answering.done()
        gate.open()
        answer = await answering

    assert still_waiting
    assert (written.email_id, written.verdict, written.recipients) == ("em_1", "accepted", ("ann@example.com",))
    assert written.message_id == answer.headers["x-message-id"]


async def test_requests_are_told_in_order_with_their_verdicts(client: httpx.AsyncClient, running: Running) -> None:
    """Accepted, refused and unreadable requests of both kinds are all counted, in the order they came."""
    await client.post(SENDGRID, json=mail(custom_args={"mailcore_id": "em_1"}), headers=BEARER)
    await client.post(MAILGUN, data={**FORM, "to": "nobody", "v:mailcore_id": "em_2"}, headers=BASIC)
    await client.post(SENDGRID, content=b"{", headers={**BEARER, "content-type": "application/json"})
    await client.post("/mailgun/nothing/here")

    told = (await client.get("/emulator/requests")).json()

    rows = [(one["seq"], one["provider"], one["email_id"], one["verdict"], one["status"]) for one in told["requests"]]
    assert rows == [
        (1, "sendgrid", "em_1", "accepted", 202),
        (2, "mailgun", "em_2", "refused", 400),
        (3, "sendgrid", None, "refused", 400),
        (4, "mailgun", None, "refused", 200),
    ]
    assert [bool(one["detail"]) for one in told["requests"]] == [False, True, True, True]
    assert "to parameter is not a valid address" in told["requests"][1]["detail"]
    assert (told["count"], told["accepted"], told["dropped"], told["next_after"]) == (4, 1, 0, 4)
    assert all(one["finished_at"] for one in told["requests"])


async def test_a_row_stays_small(client: httpx.AsyncClient) -> None:
    """A request to a thousand people, or one with a long refusal, takes no more memory than others."""
    people = [{"email": f"a{number}@x.org"} for number in range(1000)]
    await client.post(SENDGRID, json=mail(personalizations=[{"to": people}]), headers=BEARER)
    await client.post(SENDGRID, json=mail(personalizations=[{"to": [{"email": "x"}]}] * 50), headers=BEARER)

    many, long = (await client.get("/emulator/requests")).json()["requests"]

    assert len(many["recipients"]) == 100
    assert len(long["detail"]) == 300


async def test_a_page_of_requests_says_where_the_next_begins(client: httpx.AsyncClient) -> None:
    """`count` is of all that fit, `next_after` leads on."""
    for _ in range(3):
        await client.post(SENDGRID, json=mail(), headers=BEARER)

    first = (await client.get("/emulator/requests", params={"limit": 2})).json()
    second = (await client.get("/emulator/requests", params={"after": first["next_after"]})).json()

    assert ([one["seq"] for one in first["requests"]], first["count"]) == ([1, 2], 3)
    assert [one["seq"] for one in second["requests"]] == [3]


async def test_deleted_requests_are_gone(client: httpx.AsyncClient) -> None:
    """A test starts from nothing."""
    await client.post(SENDGRID, json=mail(), headers=BEARER)

    await client.delete("/emulator/requests")

    assert (await client.get("/emulator/requests")).json()["count"] == 0
