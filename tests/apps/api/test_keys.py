"""API keys by the API: made, shown once, listed, rotated, revoked, limited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from tests.apps.api.world import World, message, pointers
from tests.e2e.town import until

from mailcore.metering import LocalRates
from mailcore.rates import RateLimit
from mailcore.secret import Secret

ROOT = Secret("the key of the settings, long")
MINE = {"Authorization": f"Bearer {ROOT.reveal()}"}


def bearer(told: dict[str, Any]) -> dict[str, str]:
    """Return the header that shows a key that was just made."""
    return {"Authorization": f"Bearer {told['key']}"}


async def made(api: httpx.AsyncClient, by: dict[str, str] | None = None, **more: object) -> dict[str, Any]:
    """Make a key; return what was answered."""
    answer = await api.post("/api/keys", json={"scopes": ["send"], **more}, headers=by)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_key_is_shown_once(world: World, api: httpx.AsyncClient) -> None:
    """Neither a list nor the store has the secret, nor what is answered to its rotation or its end."""
    told = await made(api, name="web shop")
    secret = told["key"].rpartition("_")[2]

    answers = [await api.get("/api/keys"), await api.post(f"/api/keys/{told['id']}/rotate", json={})]
    answers.append(await api.delete(f"/api/keys/{told['id']}"))

    assert told["key"].startswith(f"mc_live_{told['id'].removeprefix('key_')}_")
    assert len(secret) == 43
    assert not [one for one in answers if secret in one.text]
    assert secret not in repr(world.store.keys)
    assert secret not in str([msgspec.json.encode(one) for one in world.store.keys.values()])


async def test_a_key_is_as_it_was_asked_for(api: httpx.AsyncClient) -> None:
    """Scopes in their order, senders as they are compared, the limit and the end."""
    told = await made(
        api,
        scopes=["read", "send", "read"],
        name="web shop",
        tenant="shop",
        senders=["SHOP.example", "Ann@Other.Example", "@third.example"],
        expires_at="2030-02-01T01:00:00+01:00",
        rate_limit={"requests": 5, "per_s": 60},
    )

    listed = (await api.get("/api/keys")).json()["data"]

    told.pop("key")
    assert listed == [told]
    assert {name: told[name] for name in ("scopes", "name", "tenant", "senders", "expires_at", "rate_limit")} == {
        "scopes": ["send", "read"],
        "name": "web shop",
        "tenant": "shop",
        "senders": ["shop.example", "Ann@other.example", "third.example"],
        "expires_at": "2030-02-01T00:00:00.000Z",
        "rate_limit": {"requests": 5, "per_s": 60},
    }


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, [("/scopes", "required")]),
        ({"scopes": []}, [("/scopes", "required")]),
        ({"scopes": ["everything"]}, [("/scopes/0", "invalid_choice")]),
        ({"scopes": ["send"], "mode": "test"}, [("/mode", "unknown_field")]),
        ({"scopes": ["send"], "rate_limit": {"requests": 0, "per_s": 1}}, [("/rate_limit/requests", "out_of_range")]),
        (
            {
                "scopes": ["send"],
                "name": "a\nb",
                "tenant": "Not/So",
                "senders": ["a@b@c", "Ann <a@shop.example>", "nodots", ""],
                "expires_at": "2030-01-01T00:00:00Z",
            },
            [
                ("/name", "control_character"),
                ("/tenant", "invalid_name"),
                *((f"/senders/{at}", "invalid_address") for at in range(4)),
                ("/expires_at", "out_of_range"),
            ],
        ),
        ({"scopes": ["send"], "senders": ["a.example"] * 51}, [("/senders", "too_many")]),
    ],
)
async def test_what_cannot_be_meant_makes_no_key(
    world: World, api: httpx.AsyncClient, body: dict[str, object], found: list[tuple[str, str]]
) -> None:
    """Every wrong part is told, and no key is made."""
    answer = await api.post("/api/keys", json=body)

    assert (answer.status_code, pointers(answer)) == (400, found)
    assert world.store.keys == {}


async def test_after_a_rotation_both_keys_open_until_the_old_one_ends(world: World) -> None:
    """For 24 hours, or until it is told; the new one is like the old one."""
    async with world.client(admin_key=ROOT) as api:
        old = await made(api, MINE, tenant="shop", senders=["shop.example"])
        new = (await api.post(f"/api/keys/{old['id']}/rotate", json={}, headers=MINE)).json()
        third = await api.post(f"/api/keys/{new['id']}/rotate", json={"until": "2030-01-01T01:00:00Z"}, headers=MINE)
        opened = [await sends(api, one) for one in (old, new, third.json())]
        world.clock.advance(3600)
        later = [await sends(api, one) for one in (old, new, third.json())]
        world.clock.advance(23 * 3600)
        next_day = [await sends(api, one) for one in (old, new, third.json())]

    assert [opened, later, next_day] == [[201] * 3, [201, 401, 201], [401, 401, 201]]
    assert {new[name] == old[name] for name in ("tenant", "senders", "scopes", "name")} == {True}


async def test_a_rotation_that_is_repeated_gives_a_key_that_lasts(world: World) -> None:
    """Who did not hear the answer asks again, and has a key without the end that is only the old one's."""
    async with world.client(admin_key=ROOT) as api:
        old = await made(api, MINE, expires_at="2031-01-01T00:00:00Z")
        new = [(await api.post(f"/api/keys/{old['id']}/rotate", json={}, headers=MINE)).json() for _ in range(2)]
        listed = {one["id"]: one["expires_at"] for one in (await api.get("/api/keys", headers=MINE)).json()["data"]}

    assert {one["expires_at"] for one in new} == {"2031-01-01T00:00:00.000Z"}
    assert listed[old["id"]] == "2030-01-02T00:00:00.000Z"


BOUNDS = {"senders": ["shop.example"], "daily": 5, "rate_limit": {"requests": 10, "per_s": 60}}


async def test_a_key_hands_its_bounds_down(world: World) -> None:
    """Whoever may make keys makes none that may do more: what is not said is as with the key that asks."""
    async with world.client(admin_key=ROOT) as api:
        boss = bearer(await made(api, MINE, tenant="shop", scopes=["admin"], **BOUNDS))
        plain = await api.post("/api/keys", json={"scopes": ["send"]}, headers=boss)
        narrow = {"senders": ["a@shop.example"], "daily": 4, "rate_limit": {"requests": 5, "per_s": 60}}
        narrower = await api.post("/api/keys", json={"scopes": ["send"], **narrow}, headers=boss)

    assert (plain.status_code, narrower.status_code) == (201, 201)
    assert {name: plain.json()[name] for name in BOUNDS} == {**BOUNDS, "rate_limit": {"requests": 10, "per_s": 60.0}}
    assert narrower.json()["senders"] == ["a@shop.example"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("senders", ["rival.example"]),
        ("senders", ["shop.example", "x@rival.example"]),
        ("daily", 6),
        ("rate_limit", {"requests": 11, "per_s": 86_400}),
        ("rate_limit", {"requests": 10, "per_s": 59}),
    ],
)
async def test_a_key_makes_none_that_may_do_more(world: World, name: str, asked: object) -> None:
    """It is told which bound is its own."""
    async with world.client(admin_key=ROOT) as api:
        boss = bearer(await made(api, MINE, tenant="shop", scopes=["admin"], **BOUNDS))
        answer = await api.post("/api/keys", json={"scopes": ["send"], name: asked}, headers=boss)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.json()["detail"] == f"a key may do no more than the key that makes it: {name}"


async def test_a_rotation_to_the_past_is_refused(api: httpx.AsyncClient) -> None:
    """Whoever wants the old one to end now revokes it."""
    told = await made(api)

    answer = await api.post(f"/api/keys/{told['id']}/rotate", json={"until": "2030-01-01T00:00:00Z"})

    assert (answer.status_code, pointers(answer)) == (400, [("/until", "out_of_range")])


async def test_a_revoked_key_opens_nothing_and_says_so(world: World) -> None:
    """Its owner is told why; again is no error; the list still has it."""
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE)
        before = await sends(api, told)
        ended = [await api.delete(f"/api/keys/{told['id']}", headers=MINE) for _ in range(2)]
        refused = await api.post("/api/emails", json=message(), headers=bearer(told))
        listed = (await api.get("/api/keys", headers=MINE)).json()["data"]

    assert before == 201
    assert [(one.status_code, one.json()["state"]) for one in ended] == [(200, "revoked")] * 2
    assert (refused.status_code, refused.json()["detail"]) == (401, "this key is revoked; use another one")
    assert [one["state"] for one in listed] == ["revoked"]


async def test_use_is_shown(world: World, api: httpx.AsyncClient) -> None:
    """Whoever wants to end a key sees whether it is still in use."""
    told = await made(api)
    await sends(api, told)
    world.clock.advance(3)
    await sends(api, told)
    await api.get("/api/providers")

    async def shown() -> str | None:
        return (await api.get("/api/keys")).json()["data"][0]["last_used_at"]

    assert await until("its use is shown", shown)


@pytest.mark.parametrize(
    ("sender", "status"),
    [("Shop <a@shop.example>", 201), ("a@SHOP.example", 201), ("a@rival.example", 403), (None, 403), ("nobody", 400)],
)
async def test_a_key_sends_only_as_its_senders(world: World, sender: str | None, status: int) -> None:
    """Whatever stands beside the address; who names nobody is the service's default author."""
    world.default_from = "default@rival.example"
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE, senders=["shop.example"])

        answer = await api.post("/api/emails", json=message(**{"from": sender}), headers=bearer(told))

    assert answer.status_code == status, answer.text
    assert len(world.store.emails) == (status == 201)


async def test_a_tenants_admin_makes_keys_for_its_tenant_alone(world: World) -> None:
    """Another tenant's are made by the operator."""
    async with world.client(admin_key=ROOT) as api:
        shop = bearer(await made(api, MINE, scopes=["admin"], tenant="shop"))
        own = await made(api, shop)
        foreign = await api.post("/api/keys", json={"scopes": ["send"], "tenant": "rival"}, headers=shop)
        default = await made(api, bearer(await made(api, MINE, scopes=["admin"])), tenant="rival")

    assert (own["tenant"], foreign.status_code, default["tenant"]) == ("shop", 403, "rival")


async def test_a_key_that_asks_too_often_is_told_to_wait(world: World) -> None:
    """The limit's headers on every answer, Retry-After on the one too many, and nothing done."""
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE, rate_limit={"requests": 2, "per_s": 60})
        answers = [await api.post("/api/emails", json=message(), headers=bearer(told)) for _ in range(3)]
        world.clock.advance(30)
        later = await sends(api, told)

    assert [one.status_code for one in answers] == [201, 201, 429]
    assert [one.headers["RateLimit-Policy"] for one in answers] == ['"key";q=2;w=60'] * 3
    assert [one.headers["RateLimit"] for one in answers] == ['"key";r=1;t=30', '"key";r=0;t=60', '"key";r=0;t=60']
    assert (answers[2].headers["Retry-After"], answers[2].json()["retryable"]) == ("30", True)
    assert later == 201
    assert len(world.store.emails) == 3


async def test_a_key_without_a_limit_has_the_services(world: World) -> None:
    """Its own counts more; the key of the settings has none."""
    once = RateLimit(requests=1, per=timedelta(minutes=1))
    async with world.client(admin_key=ROOT, rate_limit=once, rates=LocalRates(world.clock.monotonic)) as api:
        usual, own = await made(api, MINE), await made(api, MINE, rate_limit={"requests": 2, "per_s": 60})

        statuses = [[await sends(api, one) for _ in range(3)] for one in (usual, own)]
        root = await api.get("/api/keys", headers=MINE)

    assert statuses == [[201, 429, 429], [201, 201, 429]]
    assert (root.status_code, "RateLimit" in root.headers) == (200, False)


async def test_without_a_limit_nothing_is_told_of_one(world: World, api: httpx.AsyncClient) -> None:
    """Headers about limits are for those who have one."""
    told = await made(api)

    answer = await api.post("/api/emails", json=message(), headers=bearer(told))

    assert not [name for name in answer.headers if name.startswith("ratelimit")]


async def test_where_nobody_is_asked_a_key_that_is_shown_counts(api: httpx.AsyncClient) -> None:
    """On a developer's machine scopes and tenants can be tried out; a wrong key is no key."""
    told = await made(api, tenant="shop")

    answers = [await api.get("/api/emails"), await api.get("/api/emails", headers=bearer(told))]
    answers.append(await api.get("/api/emails", headers={"Authorization": "Bearer mc_live_x"}))

    assert [one.status_code for one in answers] == [200, 403, 401]


async def test_while_the_store_is_silent_nobody_knows_whether_a_key_is_right(world: World) -> None:
    """Neither 401, which would make a client give up, nor in."""
    async with world.client(admin_key=ROOT) as api:
        told = await made(api, MINE)
        world.store.down = True

        answer = await api.get("/health/live"), await api.post("/api/emails", json=message(), headers=bearer(told))

    assert [one.status_code for one in answer] == [200, 500]
    assert answer[1].json()["code"] == "store_unavailable"


async def sends(api: httpx.AsyncClient, told: dict[str, Any]) -> int:
    """Submit a message with a key; return the status."""
    return (await api.post("/api/emails", json=message(**{"from": "a@shop.example"}), headers=bearer(told))).status_code
