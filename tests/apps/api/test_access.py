"""Who may call what: every route is in the table below, and no secret is compared by ==."""

from __future__ import annotations

import ast
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from tests.apps.api.world import World, message

from mailapps.api.access import is_local_name
from mailcore.secret import Secret

KEY = Secret("mc_live_0123456789")
OPEN, KEYED = "open", "keyed"
TABLE = {
    ("GET", "/api/dead-letters"): KEYED,
    ("POST", "/api/dead-letters/redrive"): KEYED,
    ("POST", "/api/dead-letters/{email_id}/redrive"): KEYED,
    ("POST", "/api/email"): KEYED,
    ("GET", "/api/emails"): KEYED,
    ("POST", "/api/emails/cancel"): KEYED,
    ("POST", "/api/emails"): KEYED,
    ("GET", "/api/emails/{email_id}"): KEYED,
    ("POST", "/api/emails/{email_id}/cancel"): KEYED,
    ("GET", "/api/emails/{email_id}/content"): KEYED,
    ("POST", "/api/emails/{email_id}/resolve"): KEYED,
    ("POST", "/api/erasures"): KEYED,
    ("PUT", "/api/lanes/{lane}/pause"): KEYED,
    ("GET", "/api/providers"): KEYED,
    ("PUT", "/api/providers/{name}/mode"): KEYED,
    ("POST", "/api/route/explain"): KEYED,
    ("GET", "/api/switches"): KEYED,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs/{name}"): OPEN,
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): KEYED,
    ("GET", "/schema/openapi.json"): OPEN,
}


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
    return path.replace("{email_id}", "em_nobody").replace("{name}", "start.js").replace("{lane}", "bulk")


def test_every_route_is_in_the_table(world: World) -> None:
    """A new route says who may call it before it ships."""
    assert routes_of(world.app()) == set(TABLE)


@pytest.mark.parametrize(("route", "access"), TABLE.items())
async def test_only_who_knows_the_key_gets_in(world: World, route: tuple[str, str], access: str) -> None:
    """Every route under /api asks for the key, and so do the metrics; nothing is answered without it."""
    method, path = route
    async with world.client(admin_key=KEY) as api:
        answer = await api.request(method, filled(path))

    assert (answer.status_code == 401) == (access is KEYED)
    if access is KEYED:
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


SECRET_WORDS = {"reveal", "admin_key", "api_key", "token_given", "secret", "password"}


def compared_secrets(source: str) -> list[int]:
    """Return the lines on which something that sounds like a secret is compared by == or !=."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            parts = [inner for side in (node.left, *node.comparators) for inner in ast.walk(side)]
            names = {getattr(one, "id", None) or getattr(one, "attr", None) for one in parts}
            lines += [node.lineno] if names & SECRET_WORDS else []
    return lines


def test_no_secret_is_compared_by_equality() -> None:
    """== stops at the first difference and tells by its time where that is; hmac.compare_digest does not."""
    sources = sorted(Path("src").rglob("*.py"))

    found = {str(path): lines for path in sources if (lines := compared_secrets(path.read_text(encoding="utf-8")))}

    assert sources
    assert found == {}


def test_a_secret_compared_by_equality_would_be_found() -> None:
    """The search sees attributes, names and calls, on either side."""
    assert compared_secrets("a == config.admin_key\nkey.reveal() != b\nx == 1") == [1, 2]
