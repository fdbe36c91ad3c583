"""The suppression list by the API: filled, looked at, taken away, lifted, and obeyed."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.apps.api.test_keys import bearer, made
from tests.apps.api.world import World, message, pointers

from mailcore.secret import Secret

ROOT = Secret("the key of the settings, long")
MINE = {"Authorization": f"Bearer {ROOT.reveal()}"}
PATH = "/api/suppressions"
SAID: dict[str, Any] = {
    "address": "Ann@example.com",
    "reason": "bounced",
    "source": "the former provider",
    "expires_at": "2030-02-01T00:00:00Z",
}
"""An entry as it is given and exported."""


async def suppress(api: httpx.AsyncClient, *entries: dict[str, Any] | str, by: dict[str, str] | None = None) -> int:
    """Suppress addresses; return how many were kept."""
    body = {"suppressions": [{"address": one} if isinstance(one, str) else one for one in entries]}
    answer = await api.post(PATH, json=body, headers=by)
    assert answer.status_code == 200, answer.text
    kept: int = answer.json()["kept"]
    return kept


async def listed(api: httpx.AsyncClient, query: str = "", by: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Return what a list shows."""
    answer = await api.get(f"{PATH}?{query}", headers=by)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


async def test_an_address_is_kept_as_it_was_given(api: httpx.AsyncClient) -> None:
    """Normalised, with its reason, source and end in UTC; what was not said has a default, the source the caller."""
    kept = await suppress(
        api, {**SAID, "address": "Ann <Ann@EXAMPLE.com>", "expires_at": "2030-02-01T01:00:00+01:00"}, "bob@example.com"
    )

    assert kept == 2
    assert await listed(api) == [
        {
            "address": "Ann@example.com",
            "reason": "bounced",
            "source": "the former provider",
            "created_at": "2030-01-01T00:00:00.000Z",
            "expires_at": "2030-02-01T00:00:00.000Z",
            "in_force": True,
        },
        {
            "address": "bob@example.com",
            "reason": "manual",
            "source": "anybody",
            "created_at": "2030-01-01T00:00:00.000Z",
            "expires_at": None,
            "in_force": True,
        },
    ]


async def test_a_later_word_replaces_the_one_before(world: World, api: httpx.AsyncClient) -> None:
    """However its mailbox is written; of several in one body the last holds, and counts once."""
    await suppress(api, SAID)
    world.clock.advance(1)

    kept = await suppress(api, {"address": "ann@example.com", "reason": "manual"}, {**SAID, "reason": "complained"})

    assert kept == 1
    (one,) = await listed(api)
    assert (one["reason"], one["created_at"]) == ("complained", "2030-01-01T00:00:01.000Z")


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([], [("/suppressions", "required")]),
        ([{"address": f"{n}@example.com"} for n in range(501)], [("/suppressions", "too_many")]),
        ([{}], [("/suppressions/0/address", "required")]),
        (["ann@example.com"], [("/suppressions/0", "wrong_type")]),
        ([{"address": "ann@example.com", "adress": "x"}], [("/suppressions/0/adress", "unknown_field")]),
        ([SAID, {**SAID, "reason": "spam"}], [("/suppressions/1/reason", "invalid_choice")]),
        ([{**SAID, "expires_at": "2030-02-01T00:00:00"}], [("/suppressions/0/expires_at", "no_offset")]),
        ([{**SAID, "expires_at": "tomorrow"}], [("/suppressions/0/expires_at", "invalid_time")]),
        (
            [
                SAID,
                {**SAID, "address": "ann"},
                {
                    "address": "",
                    "source": "a\nb",
                    "expires_at": "2030-01-01T00:00:00Z",
                },
                {**SAID, "source": "x" * 101, "expires_at": "9999-12-31T23:59:59-01:00"},
            ],
            [
                ("/suppressions/1/address", "invalid_address"),
                ("/suppressions/2/address", "required"),
                ("/suppressions/2/source", "control_character"),
                ("/suppressions/2/expires_at", "out_of_range"),
                ("/suppressions/3/source", "too_long"),
                ("/suppressions/3/expires_at", "out_of_range"),
            ],
        ),
        ([SAID] * 499 + [{"address": 5}], [("/suppressions/499/address", "wrong_type")]),
        ([{"address": "ann"}] * 500, [(f"/suppressions/{n}/address", "invalid_address") for n in range(100)]),
    ],
)
async def test_of_a_body_with_something_wrong_nothing_is_kept(
    api: httpx.AsyncClient, entries: list[Any], found: list[tuple[str, str]]
) -> None:
    """Every wrong entry is named, up to a hundred."""
    answer = await api.post(PATH, json={"suppressions": entries})

    assert (answer.status_code, pointers(answer)) == (400, found)
    assert await listed(api) == []


async def test_as_many_as_may_be_at_once_are_kept(api: httpx.AsyncClient) -> None:
    """Five hundred, with a source of a hundred characters."""
    entries = [{"address": f"{n}@example.com", "source": "x" * 100} for n in range(500)]

    assert await suppress(api, *entries) == 500


async def test_the_list_is_read_part_by_part(api: httpx.AsyncClient) -> None:
    """By mailbox, each once, and the end is told."""
    await suppress(api, *(f"{name}@example.com" for name in ("c", "A", "e", "b", "D")))
    seen, query = list[str](), "limit=2"

    while True:
        told = (await api.get(f"{PATH}?{query}")).json()
        seen += [one["address"][0] for one in told["data"]]
        assert told["has_more"] == (told["next_cursor"] is not None)
        if not told["has_more"]:
            break
        assert "@" not in told["next_cursor"]
        query = f"limit=2&after={quote(told['next_cursor'])}"

    assert seen == ["A", "b", "c", "D", "e"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("after=x", [("query:after", "invalid_cursor")]),
        ("after=Y!Q==", [("query:after", "invalid_cursor")]),
        ("after=%FF", [("query:after", "invalid_cursor")]),
        ("after=" + "YQ==" * 300, [("query:after", "out_of_range")]),
        ("limit=0", [("query:limit", "out_of_range")]),
        ("limit=101", [("query:limit", "out_of_range")]),
        ("address=ann", [("query:address", "invalid_address")]),
        ("adress=ann@example.com", [("query:adress", "unknown_field")]),
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused(
    api: httpx.AsyncClient, query: str, found: list[tuple[str, str]]
) -> None:
    """Every wrong parameter is told."""
    answer = await api.get(f"{PATH}?{query}")

    assert (answer.status_code, pointers(answer)) == (400, found)


@pytest.mark.parametrize(
    "written", ["ANN@b\u00fccher.example", "ann@xn--bcher-kva.example", "\uff41nn@b\u00fccher.example"]
)
async def test_a_mailbox_is_found_however_it_is_written(api: httpx.AsyncClient, written: str) -> None:
    """Case, A-labels and other forms of its letters are one mailbox: listed, obeyed and lifted by any of them."""
    await suppress(api, "Ann@B\u00fccher.example", "bob@example.com")

    found = [one["address"] for one in await listed(api, f"address={quote(written)}")]
    refused = await api.post("/api/emails", json=message(to=written))
    lifted = await api.delete(f"{PATH}/{quote(written, safe='')}")

    assert found == ["Ann@b\u00fccher.example"]
    assert (refused.status_code, pointers(refused)) == (422, [("/to", "suppressed")])
    assert (lifted.status_code, lifted.json()["address"]) == (200, "Ann@b\u00fccher.example")


async def test_a_mailbox_that_nobody_suppressed_is_not_found(api: httpx.AsyncClient) -> None:
    """The list of it is empty, which is no error."""
    await suppress(api, "ann@example.com")

    assert await listed(api, "address=ann@sub.example.com") == []


async def test_what_has_ended_is_shown_as_ended(world: World, api: httpx.AsyncClient) -> None:
    """It keeps nobody from being written to, and is in no export."""
    await suppress(api, {**SAID, "expires_at": "2030-01-01T00:00:10Z"})
    before = await api.post("/api/emails", json=message())
    world.clock.advance(10)

    (one,) = await listed(api)
    export = await api.get(f"{PATH}/export")
    after = await api.post("/api/emails", json=message())

    assert (one["in_force"], one["expires_at"]) == (False, "2030-01-01T00:00:10.000Z")
    assert (export.status_code, export.text) == (200, "")
    assert (before.status_code, after.status_code) == (422, 201)


@pytest.mark.parametrize("local", ["ann", "a/b", "a/./b", "a//b", "a+b%", "a?b#c", "b\u00fccher"])
async def test_a_suppression_is_lifted_by_its_address(api: httpx.AsyncClient, local: str) -> None:
    """Whatever letters it has; once it is, it is not there any more, and may be written to."""
    address = f"{local}@example.com"
    await suppress(api, address, "another@example.com")
    path = f"{PATH}/{quote(address, safe='')}"

    first, second = await api.delete(path), await api.delete(path)

    assert (first.status_code, first.json()["address"]) == (200, address)
    assert (second.status_code, second.json()["code"]) == (404, "suppression_not_found")
    assert [one["address"] for one in await listed(api)] == ["another@example.com"]
    assert (await api.post("/api/emails", json=message(to=address))).status_code == 201


@pytest.mark.parametrize("address", ["ann", "%FF%FE", "%00", "ann@example.com/", "em_1", "a" * 2000, "%20"])
async def test_what_is_no_address_is_suppressed_by_nobody(api: httpx.AsyncClient, address: str) -> None:
    """It is not found, and no crash."""
    await suppress(api, "ann@example.com")

    answer = await api.delete(f"{PATH}/{address}")

    assert (answer.status_code, answer.json()["code"]) == (404, "suppression_not_found")


async def test_a_refusal_and_a_log_name_no_address(api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """A problem shows the route and not the path; a line says who did it, and to how many."""
    caplog.set_level(logging.INFO, "mailcore.api")
    await suppress(api, "ann@example.com", "bob@example.com")
    await api.delete(f"{PATH}/bob@example.com")

    answers = [
        await api.delete(f"{PATH}/eve@example.com"),
        await api.get(f"{PATH}/eve@example.com"),
        await api.get("/api/nothing/eve@example.com"),
        await api.post("/api/emails", json=message()),
    ]

    assert [answer.json()["instance"] for answer in answers] == [f"{PATH}/{{address}}", "/", "/", "/api/emails"]
    assert [answer.text for answer in answers if "@example" in answer.text] == []
    assert caplog.messages == [
        "anybody suppressed 2 addresses of tenant default",
        "anybody lifted a suppression of tenant default",
    ]


async def test_each_tenant_has_a_list_of_its_own(world: World) -> None:
    """What one has suppressed, listed, exported or lifted is nothing to the other, nor to the key of the settings."""
    async with world.client(admin_key=ROOT) as api:
        keys = [bearer(await made(api, MINE, scopes=["admin"], tenant=name)) for name in ("shop", "rival")]
        world.clock.advance(1)
        shop, rival = keys
        await suppress(api, "ann@example.com", by=shop)
        await suppress(api, {**SAID, "reason": "complained"}, by=rival)

        lists = [[one["reason"] for one in await listed(api, by=who)] for who in (shop, rival, MINE)]
        exports = [(await api.get(f"{PATH}/export", headers=who)).text.count("\n") for who in (shop, rival, MINE)]
        lifted = [(await api.delete(f"{PATH}/ann@example.com", headers=who)).status_code for who in (MINE, rival)]
        sent = [(await api.post("/api/emails", json=message(), headers=who)).status_code for who in (shop, rival, MINE)]

    assert lists == [["manual"], ["complained"], []]
    assert exports == [1, 1, 0]
    assert lifted == [404, 200]
    assert sent == [422, 201, 201]


async def test_an_erasure_leaves_suppressions(world: World, api: httpx.AsyncClient) -> None:
    """Who is forgotten would otherwise be written to again."""
    await world.failed(api)
    await suppress(api, "ann@example.com")

    erased = await api.post("/api/erasures", json={"recipient": "ann@example.com"})

    assert erased.json()["erased"] == 1
    assert [one["address"] for one in await listed(api)] == ["ann@example.com"]


@pytest.mark.parametrize(
    ("first", "then", "ends"),
    [
        (None, "2030-01-02T00:00:00Z", None),
        ("2030-03-01T00:00:00Z", "2030-01-02T00:00:00Z", "2030-03-01T00:00:00.000Z"),
        ("2030-01-02T00:00:00Z", "2030-03-01T00:00:00Z", "2030-03-01T00:00:00.000Z"),
        ("2030-01-02T00:00:00Z", None, None),
    ],
)
async def test_only_who_may_lift_a_suppression_ends_it_sooner(
    world: World, first: str | None, then: str | None, ends: str | None
) -> None:
    """By a key that only sends the later end stands; by one with `admin` the later word."""
    async with world.client(admin_key=ROOT) as api:
        key = bearer(await made(api, MINE))
        world.clock.advance(1)
        await suppress(api, {"address": "ann@example.com", "expires_at": first}, by=MINE)

        await suppress(api, {"address": "ann@example.com", "expires_at": then, "source": "x"}, by=key)
        (by_key,) = await listed(api, by=MINE)
        await suppress(api, {"address": "ann@example.com", "expires_at": "2030-01-02T00:00:00Z"}, by=MINE)
        (by_admin,) = await listed(api, by=MINE)

    assert (by_key["source"], by_key["expires_at"]) == ("x", ends)
    assert by_admin["expires_at"] == "2030-01-02T00:00:00.000Z"


async def test_the_source_is_the_key_if_nobody_is_named(world: World) -> None:
    """By it is known who suppressed whom."""
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE)
        world.clock.advance(1)
        await suppress(api, "ann@example.com", by=bearer(told))
        await suppress(api, "bob@example.com", by=MINE)

        assert [one["source"] for one in await listed(api, by=MINE)] == [told["id"], "admin"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("GET", f"{PATH}?address=a@example.com"),
        ("GET", f"{PATH}/export"),
        ("DELETE", f"{PATH}/a@example.com"),
        ("POST", PATH),
    ],
)
async def test_while_the_store_is_away_nobody_knows(world: World, method: str, path: str) -> None:
    """A problem that may be over soon; no export begins."""
    world.store.down = True
    body = {"suppressions": [SAID]} if method == "POST" else None
    async with world.client() as api:
        answer = await api.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (500, "store_unavailable")
    assert answer.headers["Retry-After"] == "1"


async def test_a_rate_limit_counts_these_routes_too(world: World) -> None:
    """The list is no way round it, nor is its export."""
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE, scopes=["read"], rate_limit={"requests": 2, "per_s": 3600})
        world.clock.advance(1)
        key = bearer(told)

        statuses = [(await api.get(path, headers=key)).status_code for path in (PATH, f"{PATH}/export", PATH)]

    assert statuses == [200, 200, 429]
