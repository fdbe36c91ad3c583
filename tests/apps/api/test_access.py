"""Who may call what: every route is in the table below, and no secret is compared by ==."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar
from tests.apps.api.rights_table import TABLE, Row
from tests.apps.api.world import World, message

from mailapps.api.local_names import is_local_name
from mailcore.secret import Secret

KEY = Secret("mc_live_0123456789")


def routes_of(app: Litestar) -> set[tuple[str, str]]:
    """Return every method and path that the API answers to."""
    return {
        (method, route.path_format)
        for route in app.routes
        for method in getattr(route, "route_handler_map", {})
        if method != "OPTIONS"
    }


def filled(path: str) -> str:
    """Return a path with something in its places."""
    return path.format(email_id="em_nobody", key_id="key_nobody", name="start.js", lane="bulk", address="a@b.example")


def test_every_route_is_in_the_table(world: World) -> None:
    """A new route says who may call it before it ships."""
    assert routes_of(world.app()) == set(TABLE)


@pytest.mark.parametrize(("route", "row"), TABLE.items())
async def test_only_who_knows_the_key_gets_in(world: World, route: tuple[str, str], row: Row) -> None:
    """Every route under /api asks for the key, and so do the metrics; nothing is answered without it."""
    method, path = route
    async with world.client(admin_key=KEY) as api:
        answer = await api.request(method, filled(path))

    assert (answer.status_code == 401) == (row.needs is not None)
    if row.needs is not None:
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer mc_live_012345678",
        "Bearer mc_live_0123456789x",
        "Bearer MC_LIVE_0123456789",
        "Basic mc_live_0123456789",
        "mc_live_0123456789",
        "Bearer mc_live_0123456789 x",
        "Bearer käse",
    ],
)
async def test_a_wrong_key_is_no_key(world: World, given: str) -> None:
    """Nothing but the whole key, as a bearer token, opens a route."""
    async with world.client(admin_key=KEY) as api:
        answer = await api.post("/api/emails", json=message(), headers={b"Authorization": given.encode("latin-1")})

    assert answer.status_code == 401
    assert world.store.emails == {}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_right_key_opens(world: World, scheme: str) -> None:
    """The scheme's name knows no case (RFC 9110 section 11.1)."""
    async with world.client(admin_key=KEY) as api:
        answer = await api.post("/api/emails", json=message(), headers={"Authorization": f"{scheme} {KEY.reveal()}"})

    assert answer.status_code == 201


async def test_the_key_is_asked_for_before_the_body_is_read(world: World) -> None:
    """A stranger's body is not decoded."""
    async with world.client(admin_key=KEY) as api:
        answer = await api.post("/api/emails", content=b"{", headers={"Content-Type": "application/json"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000"]
)
async def test_without_a_key_a_foreign_name_gets_nothing(api: httpx.AsyncClient, host: str) -> None:
    """A page elsewhere can give 127.0.0.1 a name of its own and read e-mails through it (DNS rebinding)."""
    answer = await api.get("/api/emails", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected")


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST", "app.localhost", "127.0.0.1", "127.0.0.1:80", "[::1]:8000", "[::1]"],
)
def test_local_names_are_known(host: str) -> None:
    """Names that no page elsewhere can point anywhere."""
    assert is_local_name(host)


async def test_with_a_key_any_name_is_answered_to(world: World) -> None:
    """Behind a proxy the service has a name; the key is what guards it."""
    headers = {"Host": "mail.example", "Authorization": f"Bearer {KEY.reveal()}"}
    async with world.client(admin_key=KEY) as api:
        answer = await api.get("/api/emails", headers=headers)

    assert answer.status_code == 200
