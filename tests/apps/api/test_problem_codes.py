"""The closed list of codes: documented, complete, and each one reachable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from tests.apps.api.world import JSON, World, message

from mailapps.api.problems import KINDS, ApiCode, ShapeCode
from mailcore.errors import InvalidMessageError
from mailcore.keys import ApiKey, Scope
from mailcore.message import LIMITS, Message
from mailcore.outcome import Accepted
from mailcore.problems import ProblemCode
from mailcore.provider import Capabilities
from mailcore.rates import RateLimit
from mailcore.secret import Secret
from mailcore.testing import ScriptedProvider
from mailcore.validation import checked

PAGE = Path("docs/reference/problem-codes.md")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Provoke = Callable[[World], Awaitable[httpx.Response]]


def posting(body: object = None, *, headers: dict[str, str] | None = None, content: bytes | None = None) -> Provoke:
    """Return what posts a message, or something like it."""

    async def provoke(world: World) -> httpx.Response:
        async with world.client() as api:
            if content is not None:
                return await api.post("/api/emails", content=content, headers={**JSON, **(headers or {})})
            return await api.post("/api/emails", json=body or message(), headers=headers)

    return provoke


def asking(method: str, path: str, **headers: str) -> Provoke:
    """Return what asks for a path."""

    async def provoke(world: World) -> httpx.Response:
        async with world.client() as api:
            return await api.request(method, path, headers=headers)

    return provoke


async def without_a_key(world: World) -> httpx.Response:
    """Ask without the key that is needed."""
    async with world.client(admin_key=Secret("k")) as api:
        return await api.get("/api/emails")


async def without_an_end(world: World) -> httpx.Response:
    """Post a body that never ends."""

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with world.client(body_within=timedelta(milliseconds=5)) as api:
        return await api.post("/api/emails", content=body(), headers=JSON)


async def too_late(world: World) -> httpx.Response:
    """Cancel what is sent."""
    world.provider.script([Accepted()])
    async with world.client() as api:
        path = (await api.post("/api/emails", json=message())).headers["Location"]
        await world.attempt(path.rpartition("/")[2])
        return await api.post(f"{path}/cancel")


async def twice(world: World) -> httpx.Response:
    """Use a key for two messages."""
    async with world.client() as api:
        await api.post("/api/emails", json=message(), headers={"Idempotency-Key": "k"})
        return await api.post("/api/emails", json=message(subject="b"), headers={"Idempotency-Key": "k"})


async def to_nobody(world: World) -> httpx.Response:
    """Post what the only provider cannot carry."""
    nothing = Capabilities(max_bytes=0, max_recipients=0, features=frozenset())
    world.provider = ScriptedProvider("none", capabilities=nothing)
    return await posting()(world)


async def to_the_suppressed(world: World) -> httpx.Response:
    """Post to whom one must not write."""
    async with world.client() as api:
        await api.post("/api/suppressions", json={"suppressions": [{"address": "ann@example.com"}]})
        return await api.post("/api/emails", json=message())


async def without_a_store(world: World) -> httpx.Response:
    """Post while the store is away."""
    world.store.down = True
    return await posting()(world)


async def with_key(world: World, path: str, *, times: int = 1, **more: object) -> httpx.Response:
    """Submit with a key that may send from a.example only, unless it is told otherwise; return the last answer."""
    draft = ApiKey(id="", digest="", tenant="shop", scopes=(Scope.SEND,), created_at=world.clock.now())
    made = await world.keyring().issue(replace(draft, **{"senders": ("a.example",), **more}))
    async with world.client(headers={"Authorization": f"Bearer {made.token.reveal()}"}) as api:
        return [await api.post(path, json=message()) for _ in range(times)][-1]


async def for_something_else(world: World) -> httpx.Response:
    """Use a key that may only send."""
    return await with_key(world, "/api/keys")


async def from_elsewhere(world: World) -> httpx.Response:
    """Send as somebody that the key may not send as."""
    return await with_key(world, "/api/emails")


async def too_often(world: World) -> httpx.Response:
    """Ask twice where one may ask once."""
    return await with_key(world, "/api/emails", limit=RateLimit(requests=1, per=timedelta(hours=1)), times=2)


async def too_many_a_day(world: World) -> httpx.Response:
    """Submit twice where one may submit once a day."""
    return await with_key(world, "/api/emails", senders=(), daily=1, times=2)


async def too_many_from_one(world: World) -> httpx.Response:
    """Write twice from a domain that may write once."""
    async with world.client(sender_limit=RateLimit(requests=1, per=timedelta(hours=1))) as api:
        return [await api.post("/api/emails", json=message(to=f"{n}@example.com")) for n in range(2)][-1]


async def too_many_to_one(world: World) -> httpx.Response:
    """Write twice to whom one may write once."""
    async with world.client(recipient_limit=RateLimit(requests=1, per=timedelta(hours=1))) as api:
        return [await api.post("/api/emails", json=message()) for _ in range(2)][-1]


async def rotated_too_late(world: World) -> httpx.Response:
    """Rotate a key that was revoked."""
    async with world.client() as api:
        key_id = (await api.post("/api/keys", json={"scopes": ["send"]})).json()["id"]
        await api.delete(f"/api/keys/{key_id}")
        return await api.post(f"/api/keys/{key_id}/rotate", json={})


async def without_keys(world: World) -> httpx.Response:
    """Ask a service that can have no keys."""
    async with world.client(keyring=None) as api:
        return await api.get("/api/keys")


async def with_a_fault(world: World) -> httpx.Response:
    """Ask an API that is broken."""
    world.store.get = None
    return await asking("GET", "/api/emails/em_x")(world)


PROVOKE: dict[ApiCode, Provoke] = {
    ApiCode.MALFORMED_JSON: posting(content=b"{"),
    ApiCode.INVALID_REQUEST: posting({"to": 1}),
    ApiCode.UNAUTHENTICATED: without_a_key,
    ApiCode.FORBIDDEN: for_something_else,
    ApiCode.SENDER_NOT_ALLOWED: from_elsewhere,
    ApiCode.SUPPRESSION_NOT_FOUND: asking("DELETE", "/api/suppressions/ann@example.com"),
    ApiCode.KEY_NOT_FOUND: asking("DELETE", "/api/keys/key_nobody00"),
    ApiCode.KEY_ENDED: rotated_too_late,
    ApiCode.KEYS_OFF: without_keys,
    ApiCode.RATE_LIMITED: too_often,
    ApiCode.DAILY_CAP: too_many_a_day,
    ApiCode.SENDER_CAP: too_many_from_one,
    ApiCode.RECIPIENT_CAP: too_many_to_one,
    ApiCode.NOT_FOUND: asking("GET", "/nothing"),
    ApiCode.EMAIL_NOT_FOUND: asking("GET", "/api/emails/em_x"),
    ApiCode.METHOD_NOT_ALLOWED: asking("DELETE", "/api/emails"),
    ApiCode.BODY_TIMEOUT: without_an_end,
    ApiCode.CONFLICT: too_late,
    ApiCode.BODY_TOO_LARGE: posting(content=b" " * (LIMITS.request_bytes + 1)),
    ApiCode.UNSUPPORTED_MEDIA_TYPE: posting(content=b"{}", headers={"Content-Type": "text/plain"}),
    ApiCode.UNSUPPORTED_ENCODING: posting(content=b"{}", headers={"Content-Encoding": "gzip"}),
    ApiCode.MISDIRECTED: asking("GET", "/api/emails", host="evil.example"),
    ApiCode.KEY_REUSED: twice,
    ApiCode.NO_PROVIDER: to_nobody,
    ApiCode.SUPPRESSED: to_the_suppressed,
    ApiCode.STORE_UNAVAILABLE: without_a_store,
    ApiCode.INTERNAL_ERROR: with_a_fault,
}


FAR = "2999-01-01T00:00:00Z"
FILE = {"filename": "a.txt", "content": "QQ=="}


def of_file(**wrong: object) -> Provoke:
    """Return what posts a message whose file is wrong."""
    return posting(message(attachments=[{**FILE, **wrong}]))


async def halved(_world: World) -> httpx.Response:
    """Hand the library half a character, which no JSON can hold: the code is for its callers alone."""
    with pytest.raises(InvalidMessageError) as caught:
        checked(Message(from_="a@b.example", to="a@b.example", subject="\ud800", text="x"), now=NOW)
    return httpx.Response(400, json={"errors": [{"code": one.code} for one in caught.value.problems]})


PARTS: dict[str, Provoke] = {
    "required": posting(message(to=[])),
    "unknown_field": posting(message(note="x")),
    "wrong_type": posting(message(subject=1)),
    "invalid_choice": posting(message(lane="fast")),
    "invalid_base64": of_file(content="Q"),
    "invalid_time": posting(message(scheduled_at="tomorrow")),
    "no_offset": posting(message(scheduled_at="2030-01-01T00:00:00")),
    "out_of_range": posting(message(scheduled_at=FAR)),
    "too_long": posting(message(subject="x" * (LIMITS.subject_length + 1))),
    "too_large": posting(message(text="x" * (LIMITS.body_bytes + 1))),
    "too_many": posting(message(tags=[str(n) for n in range(LIMITS.tags + 1)])),
    "control_character": posting(message(subject="a\r\nBcc: eve@evil.example")),
    "not_unicode": halved,
    "bidi_override": posting(message(to=["Ann\u202e <ann@example.com>"])),
    "encoded_word": posting(message(subject="=?utf-8?q?a?=")),
    "invalid_address": posting(message(to=["ann@"])),
    "mixed_scripts": posting(message(to=["ann@p\u0430ypal.example"])),
    "invalid_filename": of_file(filename="../a"),
    "invalid_content_type": of_file(content_type="text"),
    "invalid_content_id": of_file(content_id="a b"),
    "invalid_name": posting(message(metadata={"$ne": "x"})),
    "reserved_header": posting(message(headers={"Bcc": "x"})),
    "reserved_key": posting(message(metadata={"mailcore_id": "x"})),
    "duplicate": posting(message(tags=["a", "a"])),
    "repeated": asking("GET", "/api/emails?limit=1&limit=1"),
    "invalid_key": posting(headers={"Idempotency-Key": "x" * 256}),
    "invalid_cursor": asking("GET", "/api/emails?after=x"),
    "cannot_carry": to_nobody,
    "suppressed": to_the_suppressed,
}


@pytest.mark.parametrize("code", PARTS)
async def test_each_code_of_a_part_can_be_met(world: World, code: str) -> None:
    """What the documentation says of a part is what the request in the table is told."""
    answer = await PARTS[code](world)

    assert {one["code"] for one in answer.json()["errors"]} == {code}


@pytest.mark.parametrize("code", ApiCode)
async def test_each_code_can_be_met(world: World, code: ApiCode) -> None:
    """A code that nothing answers with is a lie in the documentation; each has its status and title."""
    answer = await PROVOKE[code](world)

    told, kind = answer.json(), KINDS[code]
    assert (told["code"], told["status"], answer.status_code) == (code, kind.status, kind.status)
    assert (told["title"], told["retryable"]) == (kind.title, kind.retryable)
    assert told["type"] == f"urn:mailcore:problem:{code}"
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Content-Type"] == "application/problem+json"


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table in a section of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\| `.*$", text, re.MULTILINE)]


def test_every_code_is_documented_as_it_is() -> None:
    """The page and the code know the same codes, with the same status."""
    documented = {code.strip("`"): (int(status), retryable == "yes") for code, status, retryable, *_ in rows("Codes")}

    assert documented == {str(code): (kind.status, kind.retryable) for code, kind in KINDS.items()}
    assert set(KINDS) == set(ApiCode)


def test_every_code_of_a_part_is_documented() -> None:
    """The page knows the codes of mailcore and those of the API, and no others."""
    documented = [row[0].strip("`") for row in rows("Codes of parts")]

    assert sorted(documented) == sorted({*map(str, ProblemCode), *map(str, ShapeCode)})


def test_every_code_has_a_request_that_meets_it() -> None:
    """A code that is added to the page gets its row in the tables above."""
    assert {row[0].strip("`") for row in rows("Codes")} == set(PROVOKE)
    assert {row[0].strip("`") for row in rows("Codes of parts")} == set(PARTS)
