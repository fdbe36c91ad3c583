"""Caps on e-mails by the API: of a key in a day, and of a mailbox over all keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailcore.metering import LocalRates
from mailcore.rates import Admission, Bucket, RateLimit
from mailcore.secret import Secret

ROOT = Secret("the key of the settings, long")
MINE = {"Authorization": f"Bearer {ROOT.reveal()}"}
TWO = RateLimit(requests=2, per=timedelta(hours=1))


async def header_of(api: httpx.AsyncClient, **more: object) -> dict[str, str]:
    """Make a key; return the header that shows it."""
    made = await api.post("/api/keys", json={"scopes": ["send", "read"], **more}, headers=MINE)
    return {"Authorization": f"Bearer {made.json()['key']}"}


async def test_a_key_submits_so_many_a_day_and_reads_as_it_likes(world: World) -> None:
    """One too many is told when the next may come; later it may; nothing else is bounded by it."""
    async with world.client(admin_key=ROOT) as api:
        shown = await header_of(api, daily=2)
        answers = [await api.post("/api/emails", json=message(), headers=shown) for _ in range(3)]
        reads = [await api.get("/api/emails", headers=shown) for _ in range(5)]
        other = await api.post("/api/emails", json=message(), headers=await header_of(api, daily=2))
        world.clock.advance(12 * 3600)
        later = [await api.post("/api/emails", json=message(), headers=shown) for _ in range(2)]

    assert [one.status_code for one in answers] == [201, 201, 429]
    told = answers[2].json()
    assert (told["code"], told["detail"]) == ("daily_cap", "this key may submit 2 e-mails a day; wait 43200 s")
    assert (answers[2].headers["Retry-After"], told["retryable"]) == ("43200", True)
    assert {one.status_code for one in reads} == {200}
    assert [other.status_code, *(one.status_code for one in later)] == [201, 201, 429]
    assert len(world.store.emails) == 4


async def test_what_is_refused_for_another_reason_costs_a_key_nothing(world: World) -> None:
    """Only messages that could be accepted count."""
    async with world.client(admin_key=ROOT) as api:
        shown = await header_of(api, daily=1)
        wrong = [await api.post("/api/emails", json=message(to=["nobody"]), headers=shown) for _ in range(3)]
        right = await api.post("/api/emails", json=message(), headers=shown)

    assert [one.status_code for one in [*wrong, right]] == [400, 400, 400, 201]


async def test_a_repeat_is_answered_with_its_e_mail_whatever_the_caps_say(world: World) -> None:
    """A caller who did not hear the 201 hears it now; another message under that key is told to wait."""
    async with world.client(admin_key=ROOT, recipient_limit=TWO) as api:
        shown = {**await header_of(api, daily=1), "Idempotency-Key": "k"}
        first, again = [await api.post("/api/emails", json=message(), headers=shown) for _ in range(2)]
        other = await api.post("/api/emails", json=message(subject="b"), headers=shown)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json()["id"], again.headers["Idempotency-Replayed"]) == (again.json()["id"], "true")
    assert (other.status_code, other.json()["code"]) == (429, "daily_cap")


@pytest.mark.parametrize("daily", [0, -1, 1_000_001, 1.5, "many"])
async def test_a_cap_that_cannot_be_meant_makes_no_key(world: World, daily: object) -> None:
    """It is a whole number, 1 or more."""
    async with world.client() as api:
        answer = await api.post("/api/keys", json={"scopes": ["send"], "daily": daily})

    assert (answer.status_code, pointers(answer)[0][0]) == (400, "/daily")


async def test_a_cap_is_shown_and_goes_on_after_a_rotation(world: World) -> None:
    """Whoever lists keys sees it; a key that replaces another is like it."""
    async with world.client() as api:
        made = (await api.post("/api/keys", json={"scopes": ["send"], "daily": 7})).json()
        new = (await api.post(f"/api/keys/{made['id']}/rotate", json={})).json()
        without = (await api.post("/api/keys", json={"scopes": ["send"]})).json()
        listed = (await api.get("/api/keys")).json()["data"]

    assert [made["daily"], new["daily"], without["daily"]] == [7, 7, None]
    assert sorted(one["daily"] or 0 for one in listed) == [0, 7, 7]


async def test_a_mailbox_is_sent_so_many_over_all_keys(world: World) -> None:
    """However it is spelt, whoever writes; other mailboxes are not touched; later it may be written to again."""
    async with world.client(admin_key=ROOT, recipient_limit=TWO) as api:
        keys = [MINE, await header_of(api, tenant="shop"), await header_of(api, tenant="rival")]
        spelt = ["ann@example.com", "Ann <ANN@Example.com>", "ann@EXAMPLE.com"]
        answers = [
            await api.post("/api/emails", json=message(to=[f"other{n}@example.com", one]), headers=keys[n])
            for n, one in enumerate(spelt)
        ]
        bob = await api.post("/api/emails", json=message(to="bob@example.com"), headers=MINE)
        world.clock.advance(1800)
        later = await api.post("/api/emails", json=message(to="ann@example.com"), headers=MINE)

    assert [one.status_code for one in [*answers, bob, later]] == [201, 201, 429, 201, 201]
    told = answers[2].json()
    assert told["code"] == "recipient_cap"
    assert told["detail"] == "the mailbox at /to/1 is sent 2 e-mails in 3600 s at most; wait 1800 s"
    assert answers[2].headers["Retry-After"] == "1800"
    assert "ann" not in answers[2].text.lower()


async def test_a_domain_sends_so_many_over_all_keys(world: World) -> None:
    """However it is spelt, whoever submits; other domains are not touched; later it may send again."""
    async with world.client(admin_key=ROOT, sender_limit=TWO) as api:
        keys = [MINE, await header_of(api, tenant="shop"), await header_of(api, tenant="rival")]
        spelt = ["a@shop.example", "B <b@SHOP.example>", "c@shop.EXAMPLE"]
        answers = [
            await api.post("/api/emails", json=message(**{"from": one, "to": f"ann{n}@example.com"}), headers=keys[n])
            for n, one in enumerate(spelt)
        ]
        other = await api.post("/api/emails", json=message(**{"from": "a@mail.shop.example"}), headers=MINE)
        world.clock.advance(1800)
        later = await api.post("/api/emails", json=message(**{"from": "a@shop.example"}), headers=MINE)

    assert [one.status_code for one in [*answers, other, later]] == [201, 201, 429, 201, 201]
    told = answers[2].json()
    assert (told["code"], answers[2].headers["Retry-After"]) == ("sender_cap", "1800")
    assert told["detail"] == "the domain at /from sends 2 e-mails in 3600 s at most; wait 1800 s"


async def test_a_message_that_one_recipient_stops_costs_the_others_nothing(world: World) -> None:
    """All are counted or none is, the key's own cap too."""
    async with world.client(admin_key=ROOT, recipient_limit=TWO) as api:
        shown = await header_of(api, daily=4)
        for _ in range(2):
            await api.post("/api/emails", json=message(to="ann@example.com"), headers=MINE)
        stopped = [
            await api.post("/api/emails", json=message(to="bob@example.com", cc=["ann@example.com"]), headers=shown)
            for _ in range(5)
        ]
        bob = [await api.post("/api/emails", json=message(to="bob@example.com"), headers=shown) for _ in range(3)]

    assert [one.status_code for one in [*stopped, *bob]] == [429] * 5 + [201, 201, 429]
    assert "/cc/0" in stopped[0].json()["detail"]


async def test_of_fifty_at_once_ten_pass_over_two_processes_that_count_together(world: World) -> None:
    """Two APIs by one count: exactly the cap, in whatever order they come."""
    rates = LocalRates(world.clock.monotonic)
    apps = [world.app(admin_key=ROOT, rates=rates) for _ in range(2)]
    async with world.client(apps[0]) as one, world.client(apps[1]) as other:
        shown = await header_of(one, daily=10)
        posts = ((one, other)[n % 2].post("/api/emails", json=message(), headers=shown) for n in range(50))
        statuses = [answer.status_code for answer in await asyncio.gather(*posts)]

    assert (statuses.count(201), statuses.count(429), len(world.store.emails)) == (10, 40, 10)


async def test_all_recipients_are_counted_in_one_go(world: World) -> None:
    """However many there are, who counts is asked once, and hears no address."""
    asked: list[Sequence[Bucket]] = []

    class Listening(LocalRates):
        async def admit_together(self, buckets: Sequence[Bucket]) -> Sequence[Admission]:
            asked.append(buckets)
            return await super().admit_together(buckets)

    many = [f"ann{n}@example.com" for n in range(20)]
    async with world.client(rates=Listening(world.clock.monotonic), recipient_limit=TWO) as api:
        answer = await api.post("/api/emails", json=message(to=many, cc=["ann0@example.com"]))

    assert (answer.status_code, len(asked), len(asked[0])) == (201, 1, 20)
    assert not [one for one in asked[0] if "ann" in one.name]
