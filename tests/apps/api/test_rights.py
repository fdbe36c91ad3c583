"""Every route by every kind of key: what opens it, and what a stranger sees of it. A route without a row fails."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from msgspec.structs import replace
from tests.apps.api.rights_table import OPERATE, TABLE, Row
from tests.apps.api.world import World

from mailcore.keys import ApiKey, Scope, revoked
from mailcore.secret import Secret

ROOT = Secret("the key of the settings, long")
GUARDED = {route: row for route, row in TABLE.items() if row.needs is not None}
EVE = "eve@example.com"
STATES = ("active", "wrong tenant", "operator's", "revoked", "expired", "none")


async def fetched(text: str = "# HELP x\n") -> bytes:
    """Return metrics."""
    return text.encode()


async def bearer(world: World, tenant: str, scope: Scope, state: str = "active") -> dict[str, str]:
    """Return the header of a new key in a state."""
    now = world.clock.now()
    draft = ApiKey(id="", digest="", tenant=tenant, scopes=(scope,), created_at=now)
    made = await world.keyring().issue(replace(draft, expires_at=now + timedelta(hours=1)))
    world.clock.advance(1)  # by then every process has heard of it
    if state == "revoked":
        await world.store.save_key(revoked(made.key, now))
    if state == "expired":
        world.clock.advance(3600)
    return {} if state == "none" else {"Authorization": f"Bearer {made.token.reveal()}"}


async def suppress(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Suppress an address."""
    answer = await api.post("/api/suppressions", json={"suppressions": [{"address": EVE}]}, headers=headers)
    assert answer.status_code == 200, answer.text


def expected(row: Row, scope: Scope, state: str) -> int:
    """Return what the table says."""
    if state in {"none", "revoked", "expired"}:
        return 401
    if row.needs is OPERATE:
        return row.own if (scope, state) == (Scope.ADMIN, "operator's") else 403
    if scope not in {row.needs, Scope.ADMIN}:
        return 403
    operated = state == "operator's" and row.foreign == 404 and row.needs is Scope.ADMIN
    return row.own if state == "active" else row.foreign if not operated else 0


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_a_key_opens_what_it_is_for(world: World, route: tuple[str, str], scope: Scope, state: str) -> None:
    """Without a key, with one that has ended: 401; for something else: 403; what is another tenant's: 404."""
    method, path = route
    row = GUARDED[route]
    shop = await bearer(world, "shop", Scope.ADMIN)
    async with world.client(admin_key=ROOT, scrape=fetched) as api:
        email_id = await world.failed(api, headers=shop)
        victim = (await api.get("/api/keys", headers=shop)).json()["data"][0]["id"]
        await suppress(api, shop)
        tenant = {"wrong tenant": "rival", "operator's": "default"}.get(state, "shop")
        headers = await bearer(world, tenant, scope, state)

        filled = path.format(email_id=email_id, key_id=victim, name="first", lane="bulk", address=EVE)
        answer = await api.request(method, filled, headers=headers, json=row.body)

    status = expected(row, scope, state) or (row.own if "/keys/" in path else row.foreign)
    assert answer.status_code == status, answer.text
    if status in {401, 403}:
        assert answer.json()["code"] == {401: "unauthenticated", 403: "forbidden"}[status]


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_the_key_of_the_settings_opens_everything(world: World, route: tuple[str, str]) -> None:
    """It reaches every tenant's e-mails and keys, and all that is nobody's."""
    method, path = route
    row = GUARDED[route]
    root = {"Authorization": f"Bearer {ROOT.reveal()}"}
    shop = await bearer(world, "shop", Scope.ADMIN)
    async with world.client(admin_key=ROOT, scrape=fetched) as api:
        email_id = await world.failed(api, headers=shop)
        victim = (await api.get("/api/keys", headers=root)).json()["data"][0]["id"]

        await suppress(api, root)
        filled = path.format(email_id=email_id, key_id=victim, name="first", lane="bulk", address=EVE)
        answer = await api.request(method, filled, headers=root, json=row.body)

    assert answer.status_code == row.own, answer.text


async def test_a_strangers_lists_are_empty(world: World) -> None:
    """What another tenant has is in no list, count, filter, erasure, redrive or cancellation."""
    shop, rival = [await bearer(world, tenant, Scope.ADMIN) for tenant in ("shop", "rival")]
    async with world.client(admin_key=ROOT) as api:
        await world.failed(api, headers=shop)
        await submit(api, shop, "waits")
        await suppress(api, shop)
        before = dict(world.store.emails), dict(world.store.messages)

        paths = ("/api/emails", "/api/dead-letters", "/api/suppressions", f"/api/suppressions?address={EVE}")
        lists = [await api.get(path, headers=rival) for path in paths]
        export = await api.get("/api/suppressions/export", headers=rival)
        filtered = await api.get("/api/emails?to=ann@example.com&status=failed", headers=rival)
        redriven = await api.post("/api/dead-letters/redrive", json={"lane": "transactional"}, headers=rival)
        erased = await api.post("/api/erasures", json={"recipient": "ann@example.com"}, headers=rival)
        cancelled = await api.post("/api/emails/cancel", json={"to": "ann@example.com"}, headers=rival)
        keys = await api.get("/api/keys", headers=rival)
        own = await api.get("/api/emails", headers=shop)

    assert [one.json()["data"] for one in (*lists, filtered)] == [[]] * 5
    assert (export.status_code, export.text) == (200, "")
    assert [one.json()["matched"] for one in (redriven, erased, cancelled)] == [0, 0, 0]
    assert [one["tenant"] for one in keys.json()["data"]] == ["rival"]
    assert len(own.json()["data"]) == 2
    assert (dict(world.store.emails), dict(world.store.messages)) == before


async def test_a_cursor_of_one_tenant_shows_another_nothing(world: World) -> None:
    """A place in a list is no right to what stands behind it."""
    shop, rival = [await bearer(world, tenant, Scope.ADMIN) for tenant in ("shop", "rival")]
    async with world.client(admin_key=ROOT) as api:
        for _ in range(2):
            await world.failed(api, headers=shop)
        cursor = (await api.get("/api/emails?limit=1", headers=shop)).json()["next_cursor"]

        answer = await api.get("/api/emails", params={"after": cursor}, headers=rival)

    assert (answer.status_code, answer.json()["data"]) == (200, [])


async def test_one_idempotency_key_under_two_tenants_is_two_keys(world: World) -> None:
    """Neither learns that the other used it, nor is refused for another message under it (I13)."""
    shop, rival = [await bearer(world, tenant, Scope.SEND) for tenant in ("shop", "rival")]
    async with world.client(admin_key=ROOT) as api:
        answers = [
            await submit(api, {**who, "Idempotency-Key": "order-42"}, subject)
            for who, subject in ((shop, "a"), (rival, "b"), (shop, "a"))
        ]

    assert [one.status_code for one in answers] == [201, 201, 201]
    assert answers[0].json()["id"] == answers[2].json()["id"] != answers[1].json()["id"]
    assert ["Idempotency-Replayed" in one.headers for one in answers] == [False, False, True]
    assert [email.tenant for email in world.store.emails.values()] == ["shop", "rival"]


async def test_two_keys_of_one_tenant_share_its_idempotency_keys(world: World) -> None:
    """So a client that was given a new key in mid-repeat sends nothing twice."""
    old, new = [await bearer(world, "shop", Scope.SEND) for _ in range(2)]
    async with world.client(admin_key=ROOT) as api:
        answers = [await submit(api, {**who, "Idempotency-Key": "order-42"}, "a") for who in (old, new)]

    assert answers[0].json()["id"] == answers[1].json()["id"]


async def submit(api: httpx.AsyncClient, headers: dict[str, str], subject: str) -> httpx.Response:
    """Submit a message."""
    body = {"from": "a@shop.example", "to": "ann@example.com", "subject": subject, "text": "x"}
    return await api.post("/api/emails", json=body, headers=headers)
