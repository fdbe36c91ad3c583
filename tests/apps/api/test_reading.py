"""GET: one e-mail, its content, and lists by filters and cursors."""

from __future__ import annotations

import httpx
import pytest
from tests.apps.api.world import World, message, pointers

from mailcore.outcome import Deferred


async def accepted(api: httpx.AsyncClient, **more: object) -> str:
    """Return the id of an e-mail that was just accepted."""
    email_id: str = (await api.post("/api/emails", json=message(**more))).json()["id"]
    return email_id


async def listed(api: httpx.AsyncClient, query: str) -> list[str]:
    """Return the ids that a list gives."""
    answer = await api.get(f"/api/emails?{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


async def test_an_email_tells_why_each_attempt_went_where_it_went(world: World, api: httpx.AsyncClient) -> None:
    """Attempts come with provider, outcome, code, the reason of the choice, and times."""
    world.provider.script([Deferred(code="503", detail="busy")])
    email_id = await accepted(api)
    await world.attempt(email_id)

    told = (await api.get(f"/api/emails/{email_id}")).json()

    (attempt,) = told["attempts"]
    assert (attempt["n"], attempt["provider"], attempt["outcome"], attempt["code"]) == (1, "first", "deferred", "503")
    assert attempt["why"]["strategy"] == "preferred_band"
    assert attempt["why"]["passed_over"] == []
    assert (attempt["started_at"], attempt["latency_ms"]) == ("2030-01-01T00:00:00.000Z", 0)
    assert [entry["status"] for entry in told["history"]] == ["queued", "sending", "retrying"]


async def test_content_is_shown_as_it_was_accepted(api: httpx.AsyncClient) -> None:
    """Addresses apart, attachments in base64."""
    file = {"filename": "a.txt", "content_type": "text/plain", "content": "QQ=="}
    email_id = await accepted(api, bcc="Bob <bob@example.com>", attachments=[file])

    told = (await api.get(f"/api/emails/{email_id}/content")).json()

    assert told["from"] == {"email": "no-reply@shop.example", "name": "Shop"}
    assert told["bcc"] == [{"email": "bob@example.com", "name": "Bob"}]
    assert told["attachments"] == [{**file, "content_id": None}]


async def test_content_that_is_gone_is_not_found(world: World, api: httpx.AsyncClient) -> None:
    """Content expires before the record does."""
    email_id = await accepted(api)
    world.store.messages.clear()

    answer = await api.get(f"/api/emails/{email_id}/content")

    assert (answer.status_code, answer.json()["code"]) == (404, "email_not_found")


@pytest.mark.parametrize(
    "query",
    [
        "status=failed",
        "reason=rejected",
        "to=mia@example.com",
        "to=Mia%20%3Cmia@EXAMPLE.com%3E",
        "tag=receipt",
        "provider=first",
        "lane=bulk",
        "metadata=order:42",
        "metadata=order:42&metadata=shop:a:b",
        "created_after=2030-01-01T00:00:05Z",
        "created_after=2030-01-01T01:00:05+01:00",
        "created_after=2030-01-01T01:00:05%2B01:00",
        "status=failed&lane=bulk&tag=receipt&limit=1",
    ],
)
async def test_each_filter_finds_what_it_says(world: World, api: httpx.AsyncClient, query: str) -> None:
    """Every filter that is given must hold."""
    await accepted(api)
    world.clock.advance(5)
    metadata = {"order": "42", "shop": "a:b"}
    wanted = await world.failed(api, to="mia@example.com", tags=["receipt"], lane="bulk", metadata=metadata)

    found = await listed(api, query)

    assert found == [wanted]


@pytest.mark.parametrize("query", ["created_before=2030-01-01T00:00:05Z", "possible_duplicate=false&status=queued"])
async def test_filters_leave_the_others_out(world: World, api: httpx.AsyncClient, query: str) -> None:
    """The end of a span does not belong to it; false is not the same as nothing."""
    wanted = await accepted(api)
    world.clock.advance(5)
    await world.failed(api)

    found = await listed(api, query)

    assert found == [wanted]


async def test_a_cursor_goes_on_where_the_part_before_ended(world: World, api: httpx.AsyncClient) -> None:
    """A list stays whole while e-mails are added at its head."""
    ids = [await accepted(api) for _ in range(5)]
    first = (await api.get("/api/emails?limit=2")).json()
    world.clock.advance(1)
    await accepted(api)

    rest = await listed(api, f"limit=100&after={first['next_cursor']}")

    assert first["has_more"]
    assert [one["id"] for one in first["data"]] + rest == ids[::-1]


async def test_the_last_part_says_so(api: httpx.AsyncClient) -> None:
    """At the end there is no cursor."""
    await accepted(api)

    told = (await api.get("/api/emails")).json()

    assert (len(told["data"]), told["has_more"], told["next_cursor"]) == (1, False, None)


async def test_every_wrong_parameter_is_told_at_once(api: httpx.AsyncClient) -> None:
    """A misspelt filter is refused: left out, it would list what was not asked for."""
    answer = await api.get(
        "/api/emails?limit=101&status=null&stauts=sent&possible_duplicate=maybe&metadata=order&lane=bulk&lane=urgent"
        "&created_after=1893456000&created_before=2030-01-01T00:00:00"
    )

    assert answer.status_code == 400
    assert sorted(pointers(answer)) == [
        ("query:created_after", "invalid_time"),
        ("query:created_before", "no_offset"),
        ("query:lane", "repeated"),
        ("query:limit", "out_of_range"),
        ("query:metadata", "wrong_type"),
        ("query:possible_duplicate", "wrong_type"),
        ("query:status", "invalid_choice"),
        ("query:stauts", "unknown_field"),
    ]


async def test_a_query_of_too_many_parameters_is_refused(world: World, api: httpx.AsyncClient) -> None:
    """A hundred will do for everybody; one more is no fault of the service."""
    answer = await api.get("/api/emails?" + "&".join(["metadata=a:0"] * 101))

    assert (answer.status_code, pointers(answer)) == (400, [("query:", "too_many")])
    assert world.crashes == []


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("stauts=sent", "query:stauts", "unknown_field"),
        ("limit=0", "query:limit", "out_of_range"),
        ("limit=ten", "query:limit", "wrong_type"),
        ("limit=1e1", "query:limit", "wrong_type"),
        ("after=nonsense", "query:after", "invalid_cursor"),
        ("to=nobody", "query:to", "invalid_address"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "query:created_after", "out_of_range"),
        ("tag=" + "x" * 999, "query:tag", "out_of_range"),
    ],
)
async def test_a_wrong_parameter_is_pointed_at(api: httpx.AsyncClient, query: str, pointer: str, code: str) -> None:
    """Bounds, forms and cursors are each refused by name."""
    answer = await api.get(f"/api/emails?{query}")

    assert (answer.status_code, pointers(answer)) == (400, [(pointer, code)])


async def test_providers_tell_how_they_stand(api: httpx.AsyncClient) -> None:
    """Score, obstacle and room of each, for the operator."""
    answer = await api.get("/api/providers")

    (told,) = answer.json()["data"]
    assert (told["name"], told["obstacle"], told["in_flight"], told["probing"]) == ("first", None, 0, False)
    assert 0.9 < told["score"] <= 1


async def test_a_route_is_explained_without_sending(world: World, api: httpx.AsyncClient) -> None:
    """A dry run says what would happen and stores nothing."""
    answer = await api.post("/api/route/explain", json=message())

    assert (answer.status_code, answer.json()["provider"]) == (200, "first")
    assert world.store.emails == {}
    assert world.provider.sends == []
