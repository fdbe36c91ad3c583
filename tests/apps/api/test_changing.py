"""What a person may ask of an e-mail: to cancel it, to settle it, to redrive it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailapps.api.reach import PART
from mailcore.outcome import Accepted, Outcome, Unknown
from mailcore.provider import Send


async def accepted(api: httpx.AsyncClient, **more: object) -> str:
    """Return the id of an e-mail that was just accepted."""
    email_id: str = (await api.post("/api/emails", json=message(**more))).json()["id"]
    return email_id


async def held(world: World, api: httpx.AsyncClient) -> str:
    """Return the id of an e-mail whose fate nobody knows."""
    world.provider.script([Unknown(code="timeout", detail="no answer")])
    email_id = await accepted(api, on_unknown="hold")
    await world.attempt(email_id)
    return email_id


async def test_a_waiting_email_is_withdrawn_and_stays_so(world: World, api: httpx.AsyncClient) -> None:
    """Cancel answers 200, again 200, and no provider sees the e-mail (I21)."""
    email_id = await accepted(api)

    answers = [await api.post(f"/api/emails/{email_id}/cancel") for _ in range(2)]
    await world.attempt(email_id)

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "cancelled")] * 2
    assert world.provider.sends == []


async def test_an_email_that_is_being_sent_is_only_marked(world: World, api: httpx.AsyncClient) -> None:
    """While sending, cancel answers 202: the provider may have it already."""
    called, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_: Send) -> Outcome:
        called.set()
        await go_on.wait()
        return Accepted()

    world.provider.script(answer)
    email_id = await accepted(api)
    attempt = asyncio.create_task(world.attempt(email_id))
    await called.wait()

    told = await api.post(f"/api/emails/{email_id}/cancel")

    go_on.set()
    await attempt
    assert (told.status_code, told.json()["status"], told.json()["cancel_requested"]) == (202, "sending", True)


async def test_what_is_sent_cannot_be_withdrawn(world: World, api: httpx.AsyncClient) -> None:
    """Cancel answers 409 once it is too late."""
    email_id = await accepted(api)
    await world.attempt(email_id)

    answer = await api.post(f"/api/emails/{email_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("verdict", "status"), [("sent", "sent"), ("retry", "retrying"), ("failed", "failed"), ("cancelled", "cancelled")]
)
async def test_a_held_email_is_settled_by_a_person(
    world: World, api: httpx.AsyncClient, verdict: str, status: str
) -> None:
    """Each verdict leads to its status, and the note stands in the history."""
    email_id = await held(world, api)

    answer = await api.post(f"/api/emails/{email_id}/resolve", json={"as": verdict, "note": "seen in the log"})

    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert answer.json()["history"][-1]["note"] in {"seen in the log", ""}
    assert answer.json()["possibly_sent"]


async def test_only_a_held_email_is_settled(api: httpx.AsyncClient) -> None:
    """What nobody doubts is not for a person to decide."""
    email_id = await accepted(api)

    answer = await api.post(f"/api/emails/{email_id}/resolve", json={"as": "sent"})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"as": "maybe"}, [("/as", "invalid_choice")]),
        ({}, [("/as", "required")]),
        ({"as": "sent", "note": "a\nb"}, [("/note", "control_character")]),
        ({"as": "sent", "note": "x" * 501}, [("/note", "too_long")]),
        ({"as": "sent", "by": "me"}, [("/by", "unknown_field")]),
    ],
)
async def test_a_settlement_is_checked(
    api: httpx.AsyncClient, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """A note goes into logs and pages: one line, and short."""
    email_id = await accepted(api)

    answer = await api.post(f"/api/emails/{email_id}/resolve", json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)


async def test_a_dead_letter_is_listed_with_its_reason_and_redriven(world: World, api: httpx.AsyncClient) -> None:
    """Redrive starts a new series and keeps the history (I23, I24)."""
    email_id = await world.failed(api)
    dead = (await api.get("/api/dead-letters")).json()["data"]

    answer = await api.post(f"/api/dead-letters/{email_id}/redrive")

    assert [(one["id"], one["reason"]) for one in dead] == [(email_id, "rejected")]
    assert (answer.status_code, answer.json()["status"], answer.json()["redrives"]) == (200, "queued", 1)
    assert len(answer.json()["attempts"]) == 1


async def test_what_has_not_failed_is_not_redriven(api: httpx.AsyncClient) -> None:
    """Redrive is refused for anything but a dead letter (I24)."""
    email_id = await accepted(api)

    answer = await api.post(f"/api/dead-letters/{email_id}/redrive")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_a_dry_run_counts_and_changes_nothing(world: World, api: httpx.AsyncClient) -> None:
    """Dead letters are counted before they are sent again."""
    await world.failed(api, tags=["receipt"])
    await world.failed(api)
    await accepted(api, tags=["receipt"])

    answer = await api.post("/api/dead-letters/redrive", json={"tag": "receipt", "dry_run": True})

    assert answer.json() == {"matched": 1, "redriven": 0, "possibly_sent": 0, "errors": []}
    assert [email.status for email in world.store.emails.values()] == ["failed", "failed", "queued"]


async def test_many_are_redriven_once(world: World, api: httpx.AsyncClient) -> None:
    """The filters find what failed; a second request finds none of them."""
    ids = [await world.failed(api, metadata={"order": "42"}) for _ in range(3)]
    other = await world.failed(api)
    body = {"metadata": {"order": "42"}, "reason": "rejected"}

    answers = [(await api.post("/api/dead-letters/redrive", json=body)).json() for _ in range(2)]

    assert [(answer["matched"], answer["redriven"]) for answer in answers] == [(3, 3), (0, 0)]
    assert {world.store.emails[email_id].status for email_id in ids} == {"queued"}
    assert world.store.emails[other].status == "failed"


async def test_what_may_reach_somebody_twice_is_counted(world: World, api: httpx.AsyncClient) -> None:
    """A dead letter whose fate was unknown once may have been sent before (I24)."""
    email_id = await held(world, api)
    await api.post(f"/api/emails/{email_id}/resolve", json={"as": "failed"})
    await world.failed(api)

    answer = (await api.post("/api/dead-letters/redrive", json={"all": True, "dry_run": True})).json()

    assert (answer["matched"], answer["possibly_sent"]) == (2, 1)


async def test_a_redrive_goes_no_further_than_asked(world: World, api: httpx.AsyncClient) -> None:
    """With a limit the newest come first, and `matched` tells that there are more."""
    ids = [await world.failed(api) for _ in range(3)]

    answer = (await api.post("/api/dead-letters/redrive", json={"all": True, "limit": 2})).json()

    assert (answer["matched"], answer["redriven"]) == (3, 2)
    assert world.store.emails[ids[0]].status == "failed"


async def test_a_redrive_goes_part_by_part(world: World, api: httpx.AsyncClient) -> None:
    """However many there are, each is redriven exactly once."""
    for _ in range(PART + 1):
        await world.failed(api)

    answer = (await api.post("/api/dead-letters/redrive", json={"all": True})).json()

    assert (answer["matched"], answer["redriven"], answer["errors"]) == (PART + 1, PART + 1, [])
    assert {email.redrives for email in world.store.emails.values()} == {1}


async def test_a_redrive_tells_what_it_could_not_do(world: World, api: httpx.AsyncClient) -> None:
    """A failure of one stops none of the others, and is told with its id."""
    ids = [await world.failed(api) for _ in range(3)]
    world.store.lose_answers = 1

    answer = (await api.post("/api/dead-letters/redrive", json={"all": True})).json()

    assert (answer["matched"], answer["redriven"]) == (3, 2)
    assert [one["code"] for one in answer["errors"]] == ["store_unavailable"]
    assert answer["errors"][0]["id"] in ids


@pytest.mark.parametrize("body", [{}, {"all": False}, {"dry_run": True}, {"limit": 3}, {"metadata": {}}, {"tag": None}])
async def test_all_dead_letters_are_redriven_only_if_asked_for(
    world: World, api: httpx.AsyncClient, body: dict[str, object]
) -> None:
    """A body that lost its filters must not queue everything again; it is told what to say."""
    email_id = await world.failed(api)

    answer = await api.post("/api/dead-letters/redrive", json=body)

    assert (answer.status_code, pointers(answer)) == (400, [("", "required")])
    assert '"all": true' in answer.json()["errors"][0]["detail"]
    assert world.store.emails[email_id].status == "failed"


async def test_all_and_a_filter_are_all_that_it_finds(world: World, api: httpx.AsyncClient) -> None:
    """`all` widens no filter."""
    for tag in ("a", "b"):
        await world.failed(api, tags=[tag])

    answer = await api.post("/api/dead-letters/redrive", json={"all": True, "tag": "a"})

    assert (answer.json()["matched"], answer.json()["redriven"]) == (1, 1)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"status": "sent"}, [("/status", "unknown_field")]),
        ({"to": "nobody"}, [("/to", "invalid_address")]),
        ({"limit": 0}, [("/limit", "out_of_range")]),
        ({"created_after": "2030-01-01T00:00:00"}, [("/created_after", "no_offset")]),
        ({"dry_run": "yes", "tagg": "x"}, [("/dry_run", "wrong_type"), ("/tagg", "unknown_field")]),
    ],
)
async def test_a_redrive_never_guesses_its_filters(
    api: httpx.AsyncClient, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """A filter that is misspelt would redrive everything."""
    answer = await api.post("/api/dead-letters/redrive", json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)
