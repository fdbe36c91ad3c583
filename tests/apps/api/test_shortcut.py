"""The short way to a route: its answers are those of the framework's own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send
from tests.apps.api.world import World, message

from mailcore.secret import Secret

KEY = "k" * 32
JSON = {"content-type": "application/json", "authorization": f"Bearer {KEY}", "x-request-id": "one"}
SOUND = json.dumps(message()).encode()
NESTED = b'{"subject":' + b"[" * 100_000

Asked = tuple[str, Mapping[str, str], bytes]
REQUESTS: Mapping[str, Asked] = {
    "accepted": ("/api/emails", JSON, SOUND),
    "by its other name": ("/api/email", JSON, SOUND),
    "with a key": ("/api/emails", {**JSON, "idempotency-key": "a"}, SOUND),
    "a key that is none": ("/api/emails", {**JSON, "idempotency-key": ""}, SOUND),
    "no key of the service": ("/api/emails", {"content-type": "application/json"}, SOUND),
    "a wrong key of the service": ("/api/emails", {**JSON, "authorization": "Bearer no"}, SOUND),
    "no JSON by its head": ("/api/emails", {**JSON, "content-type": "text/plain"}, SOUND),
    "inflated": ("/api/emails", {**JSON, "content-encoding": "gzip"}, SOUND),
    "no JSON": ("/api/emails", JSON, b"{"),
    "too deep": ("/api/emails", JSON, NESTED),
    "nothing": ("/api/emails", JSON, b""),
    "of another shape": ("/api/emails", JSON, b'{"to": 1, "subjekt": "", "lane": "x"}'),
    "without a sense": ("/api/emails", JSON, b'{"to": "nobody", "from": "a@shop.example", "text": "Hi"}'),
    "too large": ("/api/emails", {**JSON, "content-length": str(2**40)}, b""),
    "a length that is none": ("/api/emails", {**JSON, "content-length": "ten"}, b""),
    "a host that is none": ("/api/emails", {**JSON, "host": "a b"}, SOUND),
    "a slash at the end": ("/api/emails/", JSON, SOUND),
}


def the_framework(app: Litestar) -> ASGIApp:
    """Return the framework's own way into an application."""

    async def long_way(scope: Scope, receive: Receive, send: Send) -> None:
        await Litestar.__call__(app, scope, receive, send)

    return long_way


def mounted(app: Litestar) -> ASGIApp:
    """Return an application as one that it is mounted in would call it."""

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        await app(cast("Scope", {**scope, "root_path": "/below"}), receive, send)

    return below


async def told(app: ASGIApp, asked: Asked, *, method: str = "POST") -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, head and body of an answer."""
    path, heads, body = asked
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8025") as http:
        answer = await http.request(method, path, headers=heads, content=body)
    return answer.status_code, sorted(answer.headers.raw), answer.content


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=list(REQUESTS))
async def test_both_ways_answer_the_same(asked: Asked) -> None:
    """Whatever is asked, twice in a row, status, head and body are the same on the short way and on the long one."""
    short, long = (World().app(admin_key=Secret(KEY)) for _ in range(2))

    for _ in range(2):
        assert await told(short, asked) == await told(the_framework(long), asked)


async def test_both_ways_answer_the_same_when_the_store_is_down(world: World) -> None:
    """An e-mail that could not be stored is the same problem on both."""
    app = world.app(admin_key=Secret(KEY))
    world.store.down = True

    short = await told(app, REQUESTS["accepted"])

    assert short[0] == 500
    assert short == await told(the_framework(app), REQUESTS["accepted"])


async def test_both_ways_tell_of_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is an answer without a word of it, and is told to the operator."""
    app = world.app(admin_key=Secret(KEY))
    monkeypatch.setattr(world.store, "add", lambda *_: 1 / 0)

    short = await told(app, REQUESTS["accepted"])

    assert short[0] == 500
    assert short == await told(the_framework(app), REQUESTS["accepted"])
    assert [type(error) for error in world.crashes] == [ZeroDivisionError] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_other_methods_go_the_long_way(world: World, method: str) -> None:
    """The short way is a POST's alone."""
    app = world.app(admin_key=Secret(KEY))

    assert await told(app, REQUESTS["accepted"], method=method) == await told(
        the_framework(app), REQUESTS["accepted"], method=method
    )


async def test_the_short_way_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain POST does not go through the framework; one below a mount point does."""
    app = world.app(admin_key=Secret(KEY))
    monkeypatch.setattr(app, "asgi_handler", None)

    assert (await told(app, REQUESTS["accepted"]))[0] == 201
    assert (await told(mounted(app), REQUESTS["accepted"]))[0] == 500
