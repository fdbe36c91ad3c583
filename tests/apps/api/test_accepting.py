"""POST /api/emails: one key makes one e-mail, and a 201 is a promise."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailadapters.sqlite import open_store
from mailcore.testing import MemoryStore

KEYED = {"Idempotency-Key": "receipt:42"}


class SilentStore:
    """A store that never answers."""

    async def add(self, *_: object) -> NoReturn:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError

    get = add


@pytest.mark.parametrize("path", ["/api/emails", "/api/email"])
async def test_an_accepted_message_is_told_where_its_email_is(api: httpx.AsyncClient, path: str) -> None:
    """A 201 carries a Location that answers with the e-mail."""
    answer = await api.post(path, json=message())

    shown = await api.get(answer.headers["Location"])
    assert answer.status_code == 201
    assert answer.json()["status"] == "queued"
    assert "Idempotency-Replayed" not in answer.headers
    assert (shown.status_code, shown.json()["id"]) == (200, answer.json()["id"])


async def test_the_summary_says_times_in_utc_with_milliseconds(api: httpx.AsyncClient) -> None:
    """Every time in an answer is RFC 3339, in UTC with Z and milliseconds."""
    answer = await api.post("/api/emails", json=message(scheduled_at="2030-01-02T09:00:00.5+01:00"))

    told = answer.json()
    assert (told["status"], told["scheduled_at"]) == ("scheduled", "2030-01-02T08:00:00.500Z")
    assert told["created_at"] == "2030-01-01T00:00:00.000Z"


async def test_what_is_ours_alone_is_never_shown(api: httpx.AsyncClient) -> None:
    """The token of a save, the fingerprint, the version and the tenant are no business of a caller."""
    answer = await api.post("/api/emails", json=message())

    shown = (await api.get(answer.headers["Location"])).json()
    assert {"saved_by", "fingerprint", "version", "tenant", "needs", "reserved"}.isdisjoint(shown)


async def test_an_attachment_arrives_as_the_bytes_it_was(world: World, api: httpx.AsyncClient) -> None:
    """Base64 in JSON is decoded once, on the way in."""
    file = {"filename": "a.bin", "content": base64.b64encode(b"\x00\xff").decode()}

    answer = await api.post("/api/emails", json=message(attachments=[file]))

    assert world.store.messages[answer.json()["id"]].attachments[0].content == b"\x00\xff"


async def test_a_repeat_is_answered_with_the_email_as_it_is_now(world: World, api: httpx.AsyncClient) -> None:
    """A key that is used again for the same message makes nothing and says so."""
    first = await api.post("/api/emails", json=message(), headers=KEYED)
    await world.attempt(first.json()["id"])

    again = await api.post("/api/emails", json=message(), headers=KEYED)

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "sent")
    assert len(world.store.emails) == 1


async def test_a_key_with_another_message_is_refused(world: World, api: httpx.AsyncClient) -> None:
    """One key, two messages: 422, and nothing is stored (I13)."""
    await api.post("/api/emails", json=message(), headers=KEYED)

    answer = await api.post("/api/emails", json=message(subject="Another"), headers=KEYED)

    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert len(world.store.emails) == 1


async def test_a_refused_message_does_not_use_its_key_up(api: httpx.AsyncClient) -> None:
    """A failed validation leaves the key free (I15)."""
    refused = await api.post("/api/emails", json=message(to="nobody"), headers=KEYED)

    answer = await api.post("/api/emails", json=message(), headers=KEYED)

    assert (refused.status_code, answer.status_code) == (400, 201)
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "a" * 256, "käse"])
async def test_a_wrong_key_is_refused_by_name(world: World, api: httpx.AsyncClient, key: str) -> None:
    """A key is 1 to 255 printable ASCII characters."""
    answer = await api.post("/api/emails", json=message(), headers={b"Idempotency-Key": key.encode()})

    assert answer.status_code == 400
    assert pointers(answer) == [("header:Idempotency-Key", "invalid_key")]
    assert world.store.emails == {}


async def test_a_lost_wake_up_costs_no_201(world: World, api: httpx.AsyncClient) -> None:
    """The queue may be away: the sweep will find the e-mail."""
    world.queue.down = True

    answer = await api.post("/api/emails", json=message())

    assert answer.status_code == 201
    assert len(world.store.emails) == 1


async def test_a_store_that_is_away_is_told_at_once(world: World, api: httpx.AsyncClient) -> None:
    """What cannot be stored is answered 500, to be repeated with the same key (I3)."""
    world.store.down = True

    answer = await api.post("/api/emails", json=message(), headers=KEYED)

    assert (answer.status_code, answer.json()["code"]) == (500, "store_unavailable")
    assert (answer.json()["retryable"], answer.headers["Retry-After"]) == (True, "1")


async def test_after_a_lost_answer_the_key_finds_the_email(world: World, api: httpx.AsyncClient) -> None:
    """A 500 means that nobody knows; the repeat settles it without a second e-mail (I3, I12)."""
    world.store.lose_answers = 1
    lost = await api.post("/api/emails", json=message(), headers=KEYED)

    again = await api.post("/api/emails", json=message(), headers=KEYED)

    assert (lost.status_code, again.status_code) == (500, 201)
    assert len(world.store.emails) == 1


async def test_a_store_that_hangs_is_not_waited_for(world: World) -> None:
    """The API waits for the store so long and no longer."""
    world.store = SilentStore()
    async with world.client(store_within=timedelta(milliseconds=1)) as api:
        answer = await api.post("/api/emails", json=message())

    assert (answer.status_code, answer.json()["code"]) == (500, "store_unavailable")
    assert world.crashes == []


@pytest.fixture(params=["memory", "sqlite"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Return a world around a fake store and around the real one."""
    store = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{tmp_path}/mail.db")
    yield World(store=store)
    await store.aclose()


async def test_fifty_equal_posts_with_one_key_make_one_email(either: World) -> None:
    """However many come at once: one e-mail, one id, one that is not called a repeat (I12)."""
    async with either.client() as api:
        answers = await asyncio.gather(*(api.post("/api/emails", json=message(), headers=KEYED) for _ in range(50)))

        listed = (await api.get("/api/emails")).json()["data"]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {listed[0]["id"]}
    assert len(listed) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
