"""Stop switches by the API: said, kept, shown, and obeyed by whoever sends."""

from __future__ import annotations

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailcore.health import Health
from mailcore.standing import Mode
from mailcore.switches import Switch

STOP = "/api/providers/first/mode"
PAUSE = "/api/lanes/transactional/pause"


async def accepted(api: httpx.AsyncClient, **more: object) -> str:
    """Return the id of an e-mail that was just accepted."""
    email_id: str = (await api.post("/api/emails", json=message(**more))).json()["id"]
    return email_id


async def test_a_stopped_provider_gets_nothing_until_it_is_left_to_itself(world: World, api: httpx.AsyncClient) -> None:
    """The word is obeyed at once where it was said, and taken back by another."""
    email_id = await accepted(api)
    await api.put(STOP, json={"mode": "stopped", "reason": "they bounce everything"})
    await world.attempt(email_id)
    stopped = world.store.emails[email_id].status, len(world.provider.sends)

    await api.put(STOP, json={"mode": "auto"})
    world.clock.advance(30)
    await world.attempt(email_id)

    assert stopped == ("retrying", 0)
    assert (world.store.emails[email_id].status, len(world.provider.sends)) == ("sent", 1)


async def test_a_stop_says_who_why_and_until_when(world: World, api: httpx.AsyncClient) -> None:
    """What is kept is what is shown, by the answer, the list of switches and the list of providers alike."""
    word = {"mode": "stopped", "until": "2030-01-01T07:00:00+01:00", "reason": "they bounce everything"}
    told = await api.put(STOP, json=word, headers={"X-Request-Id": "req_ann"})

    listed = (await api.get("/api/switches")).json()["data"]
    provider = (await api.get("/api/providers")).json()["data"][0]

    assert (told.status_code, told.json()) == (
        200,
        {
            "kind": "provider",
            "name": "first",
            "mode": "stopped",
            "in_force": True,
            "since": "2030-01-01T00:00:00.000Z",
            "until": "2030-01-01T06:00:00.000Z",
            "reason": "they bounce everything",
            "by": "req_ann",
        },
    )
    assert listed == [told.json()]
    assert (provider["override"], provider["obstacle"]) == (told.json(), "stopped")
    assert world.store.switches["provider:first"].mode is Mode.STOPPED


async def test_a_stop_ends_by_itself(world: World, api: httpx.AsyncClient) -> None:
    """Once its time is over a switch is still listed, and not in force."""
    await api.put(STOP, json={"mode": "stopped", "until": "2030-01-01T00:00:10Z"})
    world.clock.advance(10)

    listed = (await api.get("/api/switches")).json()["data"]
    provider = (await api.get("/api/providers")).json()["data"][0]

    assert [one["in_force"] for one in listed] == [False]
    assert provider["obstacle"] is None


@pytest.mark.parametrize("lane", ["transactional", "all"])
async def test_a_paused_lane_begins_nothing_until_it_is_resumed(
    world: World, api: httpx.AsyncClient, lane: str
) -> None:
    """Its e-mails stay as they are, due, whoever wakes them up; resumed, they are sent."""
    email_id = await accepted(api)
    told = await api.put(f"/api/lanes/{lane}/pause", json={"paused": True, "by": "ann"})
    before = world.store.emails[email_id]
    await world.attempt(email_id)
    unchanged = world.store.emails[email_id] == before

    resumed = await api.put(f"/api/lanes/{lane}/pause", json={"paused": False})
    await world.attempt(email_id)

    shown = [(one["kind"], one["name"], one["mode"], one["in_force"]) for one in (told.json(), resumed.json())]
    assert shown == [("lane", lane, "paused", True), ("lane", lane, "auto", False)]
    assert told.json()["by"] == "ann"
    assert unchanged
    assert world.store.emails[email_id].status == "sent"


async def test_a_pause_of_one_lane_leaves_the_others(world: World, api: httpx.AsyncClient) -> None:
    """Bulk mail with wrong prices is stopped, and passwords go on."""
    email_id = await accepted(api, lane="urgent")
    await api.put("/api/lanes/bulk/pause", json={"paused": True})

    await world.attempt(email_id)

    assert world.store.emails[email_id].status == "sent"


async def test_a_switch_of_another_process_is_obeyed_within_seconds(world: World, api: httpx.AsyncClient) -> None:
    """What stands in the store counts, and is looked for every two seconds."""
    await api.get("/api/switches")
    world.store.switches["lane:all"] = Switch(mode=Mode.STOPPED, since=world.clock.now())
    world.clock.advance(2)

    await world.attempt(email_id := await accepted(api))

    assert world.store.emails[email_id].status == "queued"


async def test_a_word_says_nothing_to_the_shared_health(world: World, api: httpx.AsyncClient) -> None:
    """Switches are in the store alone: what the workers share may be flushed or frozen."""
    await api.put(STOP, json={"mode": "forced"})

    assert world.health.known.get("first", Health()).override is None


@pytest.mark.parametrize("path", ["/api/providers/nobody/mode", "/api/lanes/express/pause"])
async def test_what_there_is_not_cannot_be_switched(api: httpx.AsyncClient, path: str) -> None:
    """A misspelt name must not look as if it had been stopped."""
    answer = await api.put(path, json={"mode": "stopped"} if "providers" in path else {"paused": True})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await api.get("/api/switches")).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        (STOP, {}, [("/mode", "required")]),
        (STOP, {"mode": "off"}, [("/mode", "invalid_choice")]),
        (STOP, {"mode": "stopped", "until": "2030-01-01T00:00:00Z"}, [("/until", "out_of_range")]),
        (STOP, {"mode": "stopped", "until": "9999-12-31T23:59:59-01:00"}, [("/until", "out_of_range")]),
        (STOP, {"mode": "stopped", "until": "2031-01-01T00:00:00"}, [("/until", "no_offset")]),
        (PAUSE, {}, [("/paused", "required")]),
        (PAUSE, {"paused": "yes", "mode": "x"}, [("/paused", "wrong_type"), ("/mode", "unknown_field")]),
        (
            PAUSE,
            {"paused": True, "reason": "a\nb", "by": "x" * 101},
            [("/reason", "control_character"), ("/by", "too_long")],
        ),
    ],
)
async def test_a_word_is_checked(
    world: World, api: httpx.AsyncClient, path: str, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """What cannot be meant is refused, and switches nothing."""
    answer = await api.put(path, json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)
    assert world.store.switches == {}


async def test_with_the_store_gone_a_word_is_not_taken(world: World, api: httpx.AsyncClient) -> None:
    """A stop that may not have been kept is told to be so: say it again."""
    world.store.down = True

    answer = await api.put(STOP, json={"mode": "stopped"})

    world.store.down = False
    assert (answer.status_code, answer.json()["code"]) == (500, "store_unavailable")
