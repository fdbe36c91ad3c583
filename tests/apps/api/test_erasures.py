"""One person's e-mails are erased: content, addresses and metadata go, what became of them stays."""

from __future__ import annotations

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

PATH = "/api/erasures"


async def sent(world: World, api: httpx.AsyncClient, **more: object) -> str:
    """Return the id of an e-mail that was sent."""
    email_id: str = (await api.post("/api/emails", json=message(**more))).json()["id"]
    await world.attempt(email_id)
    return email_id


async def test_a_person_is_erased_and_what_became_of_the_emails_stays(world: World, api: httpx.AsyncClient) -> None:
    """Nothing tells of the person any more, nor of others in the same e-mail; other e-mails are untouched."""
    recipient = {"recipient": "ann@example.com"}
    both = await sent(world, api, cc=["ben@example.com"], metadata={"order": "42"})
    other = await sent(world, api, to="ben@example.com")

    told = await api.post(PATH, json=recipient)
    again = await api.post(PATH, json=recipient)

    email = (await api.get(f"/api/emails/{both}")).json()
    assert (told.status_code, told.json()) == (
        200,
        {"matched": 1, "erased": 1, "unfinished": [], "errors": [], "next_cursor": None},
    )
    assert again.json()["matched"] == 0
    assert (email["status"], email["recipients"], email["metadata"]) == ("sent", [], {})
    assert "ann@" not in str(email)
    assert (await api.get(f"/api/emails/{both}/content")).status_code == 404
    assert (await api.get(f"/api/emails/{other}/content")).status_code == 200


async def test_a_repeat_of_an_erased_emails_key_sends_nothing(world: World, api: httpx.AsyncClient) -> None:
    """The key outlives what it named."""
    key = {"Idempotency-Key": "receipt:42"}
    first = (await api.post("/api/emails", json=message(), headers=key)).json()["id"]
    await world.attempt(first)
    await api.post(PATH, json={"recipient": "ann@example.com"})

    again = await api.post("/api/emails", json=message(), headers=key)

    assert (again.status_code, again.json()["id"], again.headers["Idempotency-Replayed"]) == (201, first, "true")
    assert len(world.provider.sends) == 1


async def test_what_is_on_its_way_is_listed_and_left_alone(world: World, api: httpx.AsyncClient) -> None:
    """Who asked for a password still gets it."""
    waiting = (await api.post("/api/emails", json=message())).json()["id"]

    told = (await api.post(PATH, json={"recipient": "ann@example.com"})).json()

    assert (told["matched"], told["erased"], told["unfinished"]) == (1, 0, [waiting])
    assert world.store.emails[waiting].recipients == ("ann@example.com",)


async def test_what_is_on_its_way_is_withdrawn_if_wanted(world: World, api: httpx.AsyncClient) -> None:
    """With the flag nothing is left."""
    waiting = (await api.post("/api/emails", json=message())).json()["id"]

    told = (await api.post(PATH, json={"recipient": "ann@example.com", "cancel_unfinished": True})).json()

    assert (told["erased"], told["unfinished"]) == (1, [])
    assert (world.store.emails[waiting].status, world.store.emails[waiting].recipients) == ("cancelled", ())
    assert waiting not in world.store.messages


async def test_a_dry_run_only_finds(world: World, api: httpx.AsyncClient) -> None:
    """What would be erased is known before it is."""
    email_id = await sent(world, api)
    await api.post("/api/emails", json=message())

    told = (
        await api.post(PATH, json={"recipient": "ann@example.com", "dry_run": True, "cancel_unfinished": True})
    ).json()

    assert (told["matched"], told["erased"], len(told["unfinished"])) == (2, 0, 1)
    assert email_id in world.store.messages


async def test_it_goes_on_from_where_it_was(world: World, api: httpx.AsyncClient) -> None:
    """With a limit it takes several requests, and in the end all are erased, whatever is left alone between them."""
    for number in range(5):
        await (sent(world, api) if number % 2 else api.post("/api/emails", json=message()))
    after, erased = None, 0

    while True:
        told = (await api.post(PATH, json={"recipient": "ann@example.com", "limit": 2, "after": after})).json()
        after, erased = told["next_cursor"], erased + told["erased"]
        if after is None:
            break

    assert erased == 2
    assert sum(not email.recipients for email in world.store.emails.values()) == 2


async def test_it_tells_what_it_could_not_erase(world: World, api: httpx.AsyncClient) -> None:
    """A failure of one stops none of the others, and is made up for by the next request: it is still found."""
    ids = [await sent(world, api) for _ in range(3)]
    world.store.lose_answers = 1

    told = (await api.post(PATH, json={"recipient": "ann@example.com"})).json()
    again = (await api.post(PATH, json={"recipient": "ann@example.com"})).json()

    assert (told["matched"], told["erased"]) == (3, 2)
    assert [(one["code"], one["id"] in ids) for one in told["errors"]] == [("store_unavailable", True)]
    assert (again["matched"], again["erased"], world.store.messages) == (1, 1, {})


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, [("/recipient", "required")]),
        ({"recipient": "ann"}, [("/recipient", "invalid_address")]),
        ({"recipient": "ann@example.com", "after": "?"}, [("/after", "invalid_cursor")]),
        ({"recipient": "ann@example.com", "cancel": True}, [("/cancel", "unknown_field")]),
    ],
)
async def test_whom_to_erase_is_checked(
    api: httpx.AsyncClient, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """Nothing is erased by mistake."""
    answer = await api.post(PATH, json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)
