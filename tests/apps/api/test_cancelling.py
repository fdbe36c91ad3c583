"""Many e-mails are withdrawn by filters: counted first, bounded, and as often as one likes."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailapps.api.reach import PART
from mailcore.outcome import Accepted, Outcome, Unknown
from mailcore.provider import Send

PATH = "/api/emails/cancel"


async def accepted(api: httpx.AsyncClient, **more: object) -> str:
    """Return the id of an e-mail that was just accepted."""
    email_id: str = (await api.post("/api/emails", json=message(**more))).json()["id"]
    return email_id


async def test_a_dry_run_counts_and_changes_nothing(world: World, api: httpx.AsyncClient) -> None:
    """What would be withdrawn is known before it is."""
    await accepted(api, tags=["news"])
    await accepted(api, tags=["news"], scheduled_at="2030-02-01T00:00:00Z")
    await accepted(api)

    answer = await api.post(PATH, json={"tag": "news", "dry_run": True})

    assert answer.json() == {"matched": 2, "cancelled": 0, "requested": 0, "possibly_sent": 0, "errors": []}
    assert {email.status for email in world.store.emails.values()} == {"queued", "scheduled"}


async def test_whatever_waits_is_withdrawn_once(world: World, api: httpx.AsyncClient) -> None:
    """Waiting e-mails of every status go, settled and other ones stay; a second request finds none."""
    world.provider.script([Accepted(), Unknown(code="timeout", detail="no answer")])
    sent, held = await accepted(api, tags=["news"]), await accepted(api, tags=["news"], on_unknown="hold")
    await world.attempt(sent)
    await world.attempt(held)
    await accepted(api, tags=["news"])
    await accepted(api, tags=["news"], scheduled_at="2030-02-01T00:00:00Z")
    other = await accepted(api)

    answers = [(await api.post(PATH, json={"tag": "news"})).json() for _ in range(2)]

    assert [(one["matched"], one["cancelled"], one["possibly_sent"]) for one in answers] == [(3, 3, 1), (0, 0, 0)]
    assert world.store.emails[sent].status == "sent"
    assert world.store.emails[other].status == "queued"


async def test_what_is_being_sent_is_only_marked(world: World, api: httpx.AsyncClient) -> None:
    """A provider may have it already: it is withdrawn should this attempt fail."""
    called, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_: Send) -> Outcome:
        called.set()
        await go_on.wait()
        return Accepted()

    world.provider.script(answer)
    attempt = asyncio.create_task(world.attempt(await accepted(api)))
    await called.wait()

    told = (await api.post(PATH, json={"lane": "transactional"})).json()

    go_on.set()
    await attempt
    assert (told["matched"], told["cancelled"], told["requested"]) == (1, 0, 1)


async def test_it_goes_no_further_than_asked(world: World, api: httpx.AsyncClient) -> None:
    """The limit holds over all statuses, and `matched` tells that there are more."""
    for at in (None, None, "2030-02-01T00:00:00Z", "2030-02-01T00:00:00Z"):
        await accepted(api, scheduled_at=at)

    told = (await api.post(PATH, json={"to": "ann@example.com", "limit": 3})).json()

    assert (told["matched"], told["cancelled"]) == (4, 3)


async def test_it_goes_part_by_part(world: World, api: httpx.AsyncClient) -> None:
    """However many there are, each is withdrawn exactly once."""
    for _ in range(PART + 1):
        await accepted(api)

    told = (await api.post(PATH, json={"status": "queued"})).json()

    assert (told["matched"], told["cancelled"], told["errors"]) == (PART + 1, PART + 1, [])


async def test_it_tells_what_it_could_not_do(world: World, api: httpx.AsyncClient) -> None:
    """A failure of one stops none of the others."""
    ids = [await accepted(api) for _ in range(3)]
    world.store.lose_answers = 1

    told = (await api.post(PATH, json={"status": "queued"})).json()

    assert (told["matched"], told["cancelled"]) == (3, 2)
    assert [(one["code"], one["id"] in ids) for one in told["errors"]] == [("store_unavailable", True)]


async def test_a_settled_status_finds_nothing(world: World, api: httpx.AsyncClient) -> None:
    """What is over cannot be withdrawn, and asking for it is no error."""
    await world.failed(api)

    told = (await api.post(PATH, json={"status": "failed"})).json()

    assert told["matched"] == 0


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, [("", "required")]),
        ({"dry_run": True, "limit": 5, "metadata": {}}, [("", "required")]),
        ({"tagg": "news"}, [("/tagg", "unknown_field")]),
        ({"to": "nobody"}, [("/to", "invalid_address")]),
        ({"tag": "x", "limit": 1001}, [("/limit", "out_of_range")]),
    ],
)
async def test_nothing_is_withdrawn_by_mistake(
    api: httpx.AsyncClient, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """Without a filter, or with a misspelt one, everything would be withdrawn."""
    answer = await api.post(PATH, json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)
