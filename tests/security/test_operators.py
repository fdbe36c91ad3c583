"""A value is a value: no operator of a database, quote or wildcard in any filter or name means anything to a store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from inspect import getmembers, isfunction, signature
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from tests.apps.api.world import World, message

from mailadapters.mongo import open_store as open_mongo
from mailadapters.mongo.store import MongoStore
from mailadapters.sqlite import open_store as open_sqlite
from mailadapters.sqlite.store import SqliteStore
from mailcore.errors import EmailNotFoundError
from mailcore.keyring import KeepsKeys
from mailcore.keys import ApiKey
from mailcore.leadership import KeepsLease, Lease
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.ports import Due, EmailStore, Query
from mailcore.retention import KeepsFor, Kept
from mailcore.standing import Mode
from mailcore.stored import Added
from mailcore.suppression import Grounds, Suppression
from mailcore.suppression_list import KeepsSuppressions
from mailcore.switchboard import KeepsSwitches
from mailcore.switches import Switch
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


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("field", ["address", "reason", "source", "expires_at"])
async def test_an_object_in_place_of_a_suppression_is_refused(world: World, field: str, operator: object) -> None:
    """No field of an entry takes an object with an operator in it, nor does an entry or the list itself."""
    sound = {"address": "ann@example.com"}
    async with world.client() as api:
        bodies = [[{**sound, field: operator}], [operator], operator]
        answers = [await api.post("/api/suppressions", json={"suppressions": body}) for body in bodies]
        listed = await api.get("/api/suppressions")

    assert {answer.status_code for answer in answers} == {400}
    assert listed.json()["data"] == []


@pytest.mark.parametrize("spelling", ["{name}={text}", "{name}[$ne]={text}", "{name}[]={text}", "{name}.$gt={text}"])
@pytest.mark.parametrize("name", ["address", "after", "limit"])
async def test_a_query_for_a_suppression_is_text_and_finds_nothing_by_it(
    world: World, name: str, spelling: str
) -> None:
    """Nor does a path: what is no address finds, and lifts, nobody's."""
    async with world.client() as api:
        await api.post("/api/suppressions", json={"suppressions": [{"address": "ann@example.com"}]})
        query = "/api/suppressions?" + spelling
        answers = [await api.get(query.format(name=name, text=quote(text))) for text in TEXTS]
        lifted = [await api.delete(f"/api/suppressions/{quote(text, safe='')}") for text in TEXTS]
        listed = await api.get("/api/suppressions")

    assert [one.text for one in answers if one.status_code != 400 and one.json()["data"]] == []
    assert {one.status_code for one in lifted} == {404}
    assert len(listed.json()["data"]) == 1


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


def named(text: str) -> str:
    """Return a text as a provider may be called, whose name is the operator's own word."""
    return text.replace("\0", "")


async def found_by_lists(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what lists and counts find by a text in each of their filters."""
    asked = [
        *(Query(**{name: text}) for name in ("tenant", "to", "tag", "provider")),
        *(Query(metadata=pair) for pair in ({"a": text}, {text: "b"}, {text: text})),
    ]
    pages = [await store.list(query, after=None, limit=10) for query in asked]
    counts = [await store.count(query) for query in asked]
    return [email for page in pages for email in page.emails] + [one for one in counts if one]


async def found_by_ids(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what an id finds, gives up or changes."""
    stray = replace(EMAIL, id=text, version=2)
    calls = (
        lambda: store.get(text),
        lambda: store.content(text),
        lambda: store.save(stray),
        lambda: store.entomb(stray),
    )
    return [*[call for call in calls if not await refused(call)], *await store.fetch([text])]


async def refused(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether a call is told that no e-mail has its id."""
    try:
        await call()
    except EmailNotFoundError:
        return True
    return False


async def found_by_taking(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what the sweep takes of another lane while a provider of this name is closed."""
    return list(
        await store.take_due(NOW, Due(lane=Lane.BULK, limit=10, hide_for=timedelta(0), closed=frozenset({text})))
    )


async def found_by_letting_go(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what retention finds or drops; a hostile cursor is refused."""
    late, found = NOW + timedelta(days=9), list[object]()
    await store.erase_content([text])
    with suppress(ValueError):
        found += (await store.find_aged(Kept.CONTENT, late, after=text, limit=10)).emails
    return found + [one for one in [await store.drop_tombstones(late, limit=10)] if one]


async def found_by_leases(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return the lease that a text finds, and those that one put under it is not."""
    before = await store.load_lease(text)
    lease = Lease(name=text, holder=text, until=NOW, term=1)
    other = replace(lease, holder="another", term=2)
    put = [await store.swap_lease(None, lease), not await store.swap_lease(other, other)]
    return [one for one in (before, *(not done for done in put), lease != await store.load_lease(text)) if one]


async def found_by_switches(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return the switches that are not exactly the one that was put under a text."""
    switch = Switch(mode=Mode.STOPPED, since=NOW, reason=text, by=text)
    await store.save_switch(named(text), switch)
    return [one for one in (await store.load_switches()).items() if one != (named(text), switch)]


async def found_by_keys(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return the keys that are not exactly the one that was put under a text, and a pepper that is not the first."""
    key = ApiKey(id=text, digest=text, tenant=text, scopes=(), name=text, senders=(text,), created_at=NOW)
    await store.save_key(key)
    changed = await store.save_key(replace(key, id="key_a", version=2))
    peppers = [await store.keep_pepper(text), await store.keep_pepper("another")]
    odd = [one for one in (await store.load_keys()).items() if one != (text, key)]
    return [*odd, *(one for one in peppers if one != text), *([changed] if changed else [])]


async def found_by_suppressing(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what is found, listed, lifted or dropped although it was not put under a text, or not although it was."""
    mine = Suppression(tenant=text, address=f"{text}@a.example", reason=Grounds.MANUAL, source=text, created_at=NOW)
    other = replace(mine, tenant="shop", address="a@a.example")
    await store.save_suppressions([mine, other])
    there = [
        [*await store.find_suppressions(text, [mine.mailbox, text])] == [mine],
        [*await store.find_suppressions("shop", [text])] == [],
        (await store.list_suppressions(text, after=None, limit=10)).suppressions == (mine,),
        (await store.list_suppressions("shop", after=text, limit=10)).suppressions in {(), (other,)},
        not await store.delete_suppression("shop", text),
        not await store.drop_suppressions(NOW + timedelta(days=999), limit=10),
        await store.delete_suppression(text, mine.mailbox),
        [*await store.find_suppressions("shop", [other.mailbox])] == [other],
    ]
    return [n for n, held in enumerate(there) if not held]


async def found_by_adding(store: Any, text: str) -> list[object]:  # noqa: ANN401 - any store
    """Return what an e-mail that holds a text in every field of ours is answered with, unless it is that e-mail."""
    email = replace(EMAIL, id="em_c", tenant=text, saved_by=text, fingerprint=text)  # an id is our own word
    added = [await store.add(email, MESSAGE), await store.add(email, MESSAGE)]
    return [one for one, fresh in zip(added, (True, False), strict=True) if one != Added(email, fresh=fresh)]


WALK: Mapping[Callable[[Any, str], Awaitable[list[object]]], frozenset[str]] = {
    found_by_lists: frozenset({"list", "count"}),
    found_by_ids: frozenset({"get", "content", "fetch", "save", "entomb"}),
    found_by_taking: frozenset({"take_due"}),
    found_by_letting_go: frozenset({"erase_content", "find_aged", "drop_tombstones"}),
    found_by_leases: frozenset({"load_lease", "swap_lease"}),
    found_by_switches: frozenset({"save_switch"}),
    found_by_keys: frozenset({"save_key", "keep_pepper"}),
    found_by_suppressing: frozenset(
        {"save_suppressions", "find_suppressions", "list_suppressions", "delete_suppression", "drop_suppressions"}
    ),
    found_by_adding: frozenset({"add"}),
}
"""What hands a text to the methods of a store, and returns what was found or changed by it and should not have been."""


@pytest.mark.parametrize("text", TEXTS)
async def test_every_method_of_a_store_takes_a_value_as_a_value(store: Any, text: str) -> None:  # noqa: ANN401
    """Handed an operator, each looks for that very text; nothing is found by it, changed by it, or lost."""
    found = {step.__name__: await step(store, text) for step in WALK}
    await store.health.update(named(text), lambda health: replace(health, not_before=NOW))

    assert {step: one for step, one in found.items() if one} == {}
    assert set(await store.health.load()) == {named(text)}
    assert await store.get("em_a") == EMAIL
    assert await store.content("em_a") == MESSAGE


@pytest.mark.parametrize(
    "kind", [SqliteStore, MongoStore, EmailStore, KeepsFor, KeepsKeys, KeepsLease, KeepsSuppressions, KeepsSwitches]
)
def test_every_method_that_takes_a_value_is_walked(kind: type) -> None:
    """A method that is added to a store or to what is asked of one is walked, or this fails."""
    methods = {name: one for name, one in getmembers(kind, isfunction) if not name.startswith("_")}
    taking = {name for name, one in methods.items() if len(signature(one).parameters) > 1}

    assert sorted(taking - frozenset().union(*WALK.values())) == []
    assert taking


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
