"""A value is a value: no operator of a database, quote or wildcard in any filter or name means anything to a store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from tests.apps.api.world import World, message

from mailadapters.mongo import open_store as open_mongo
from mailadapters.sqlite import open_store as open_sqlite
from mailcore.errors import EmailNotFoundError
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.ports import Due, Query
from mailcore.testing.contracts.examples import MESSAGE, NOW, attempt, queued

OPERATORS: list[Mapping[str, object]] = [
    {"$ne": ""},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$exists": True},
    {"$in": ["a"]},
    {"$where": "sleep(1000)"},
]
TEXTS = [
    *map(json.dumps, OPERATORS),
    "$ne",
    "$where",
    "metadata.a",
    "' OR '1'='1",
    "'; DROP TABLE emails; --",
    '" OR ""="',
    "%",
    "_",
    ".*",
    "*",
    "\\",
    "a\x00b",
    "{}",
    "null",
]
BODIES: dict[str, Callable[[object], Mapping[str, object]]] = {
    **{field: (lambda value, field=field: message(**{field: value})) for field in ("subject", "text", "html", "lane")},
    **{field: (lambda value, field=field: message(**{field: value})) for field in ("from", "to", "cc", "reply_to")},
    "a tag": lambda value: message(tags=[value]),
    "a pair": lambda value: message(metadata={"a": value}),
    "a header": lambda value: message(headers={"X-A": value}),
    "a file's name": lambda value: message(attachments=[{"filename": value, "content": "QQ=="}]),
    "the time": lambda value: message(scheduled_at=value),
}
FILTERS = ("status", "reason", "to", "tag", "provider", "lane", "metadata", "created_after", "after", "limit")


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("field", BODIES)
async def test_an_object_in_place_of_a_text_is_refused(world: World, field: str, operator: object) -> None:
    """No field of a message takes an object with an operator in it."""
    async with world.client() as api:
        answer = await api.post("/api/emails", json=BODIES[field](operator))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert world.store.emails == {}


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("path", ["/api/dead-letters/redrive", "/api/emails/cancel", "/api/erasures"])
async def test_an_object_in_place_of_a_filter_is_refused(world: World, path: str, operator: object) -> None:
    """A body that asks for many takes typed filters, and does nothing with others."""
    async with world.client() as api:
        email_id = await world.failed(api)
        answers = [await api.post(path, json={name: operator}) for name in ("to", "tag", "reason", "created_after")]

    assert {answer.status_code for answer in answers} == {400}
    assert world.store.emails[email_id].status is Status.FAILED


@pytest.mark.parametrize("key", ["$ne", "$where", "a.b", "a\0", ""])
async def test_a_metadata_key_is_never_an_operator_or_a_path(world: World, key: str) -> None:
    """What would be one in a database is refused before it gets there."""
    async with world.client() as api:
        answer = await api.post("/api/emails", json=message(metadata={key: "x"}))

    assert answer.status_code == 400
    assert {one["code"] for one in answer.json()["errors"]} <= {"invalid_name", "control_character"}


@pytest.mark.parametrize("spelling", ["{name}={text}", "{name}[$ne]={text}", "{name}[]={text}", "{name}.$gt={text}"])
@pytest.mark.parametrize("name", FILTERS)
async def test_a_query_string_is_text_and_finds_nothing_by_it(world: World, name: str, spelling: str) -> None:
    """Every filter, spelt in every way that some framework turns into an object, finds nothing or is refused."""
    async with world.client() as api:
        await world.failed(api)
        answers = [await api.get("/api/emails?" + spelling.format(name=name, text=quote(text))) for text in TEXTS]

    assert {answer.status_code for answer in answers} <= {200, 400}
    assert [answer.text for answer in answers if answer.status_code == 200 and answer.json()["data"]] == []


@pytest.fixture(params=["sqlite", "mongo"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Yield a store with one e-mail that no operator may find."""
    if request.param == "sqlite":
        opened: Any = open_sqlite(f"sqlite:///{tmp_path}/mail.db")
    else:
        opened = open_mongo(f"{request.getfixturevalue('mongo_url')}?timeoutMS=20000")
    await opened.open()
    await opened.add(EMAIL, MESSAGE)
    yield opened
    await opened.aclose()


EMAIL = replace(
    queued("em_a"), recipients=("ann@example.com",), tags=("a",), metadata={"a": "b"}, attempts=(attempt("first"),)
)


@pytest.mark.parametrize("text", TEXTS)
async def test_every_method_of_a_store_takes_a_value_as_a_value(store: Any, text: str) -> None:  # noqa: ANN401
    """Handed an operator, each looks for that very text; nothing is found by it, changed by it, or lost."""
    asked = [
        *(Query(**{name: text}) for name in ("tenant", "to", "tag", "provider")),
        *(Query(metadata=pair) for pair in ({"a": text}, {text: "b"}, {text: text})),
    ]
    due = Due(lane=Lane.BULK, limit=10, hide_for=timedelta(0), closed=frozenset({text}))

    for query in asked:
        assert (await store.list(query, after=None, limit=10)).emails == ()
        assert await store.count(query) == 0
    for method in (store.get, store.content):
        with pytest.raises(EmailNotFoundError):
            await method(text)
    await store.take_due(NOW, due)
    await store.erase_content([text])
    name = text.replace("\0", "")  # a provider's name is the operator's own word
    await store.health.update(name, lambda health: replace(health, not_before=NOW))
    assert await store.load_lease(text) is None

    assert set(await store.health.load()) == {name}
    assert await store.get("em_a") == EMAIL
    assert await store.content("em_a") == MESSAGE


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_stored_under_a_hostile_name_is_found_under_it_alone(store: Any, text: str) -> None:  # noqa: ANN401
    """A value that looks like an operator is kept, found and listed like any other."""
    hostile = replace(EMAIL, id="em_b", tags=(text,), recipients=(text,), metadata={"a": text})
    await store.add(hostile, replace(MESSAGE, subject=text))

    found = [
        await store.list(query, after=None, limit=10)
        for query in (Query(tag=text), Query(to=text), Query(metadata={"a": text}))
    ]

    assert [page.emails for page in found] == [(hostile,)] * 3
    assert (await store.content("em_b")).subject == text


def test_no_adapter_asks_a_server_to_run_code() -> None:
    """No `$where`, no `$function`, no map-reduce: nothing that is text here becomes code there."""
    adapters = "".join(path.read_text(encoding="utf-8") for path in Path("src/mailadapters").rglob("*.py"))

    assert [word for word in ("$where", "$function", "$accumulator", "map_reduce", "eval(") if word in adapters] == []


@pytest.fixture
def world() -> World:
    """Return a world where nothing has happened."""
    return World()
