"""The store for many machines when its server, the network or an answer is gone: it fails closed, in clear words."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from bson import errors as bson_errors
from msgspec.structs import replace
from pymongo import errors
from tests.servers.proxy import Proxy, Toxic, proxy
from tests.servers.running import Server

from mailadapters.mongo import MongoStore, open_store
from mailadapters.mongo.faults import WHY, unavailable
from mailadapters.mongo.writing import Mark, _verdict, next_version
from mailcore.errors import (
    EmailNotFoundError,
    HealthUnavailableError,
    SettingsError,
    StaleEmailError,
    StoreUnavailableError,
)
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.ports import Due, Query
from mailcore.stored import SMALL
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued

INSERT, UPDATE = b"\x02insert\x00", b"\x02update\x00"
LONG = replace(MESSAGE, text="a" * SMALL)
DUE = Due(lane=Lane.TRANSACTIONAL, limit=10, hide_for=MINUTE, closed=frozenset())


@pytest.fixture
async def network(mongo_url: str) -> AsyncIterator[Proxy]:
    """Yield the network between a store and its server."""
    async with proxy(mongo_url) as between:
        yield between


@pytest.fixture
async def store(mongo_url: str, network: Proxy) -> AsyncIterator[MongoStore]:
    """Yield a store behind that network, which has been in use."""
    store = open_store(f"{network.url}/{mongo_url.rpartition('/')[2]}")
    await store.add(queued("em_0"), MESSAGE)
    yield store
    await store.aclose()


async def opened(url: str) -> MongoStore:
    """Return a store on a server that has just been started, and may take its time with the first calls."""
    store = open_store(url)
    for _ in range(5):
        try:
            await store.open()
        except StoreUnavailableError:
            continue
        break
    return store


def classes(of: type[Exception]) -> Iterator[type[Exception]]:
    """Yield a class of errors and all below it that the driver lets out."""
    if not of.__name__.startswith("_"):
        yield of
    for below in of.__subclasses__():
        yield from classes(below)


def test_every_error_of_the_driver_has_its_sentence() -> None:
    """A new release of the driver with an error of a new kind is noticed here."""
    raised = {*classes(errors.PyMongoError), *classes(bson_errors.BSONError)}

    assert raised - WHY.keys() == set()


def test_no_document_gets_into_an_error() -> None:
    """A refused write is told without what it would have written, for that holds addresses."""
    error = errors.BulkWriteError({"writeErrors": [{"code": 9, "op": {"_id": "em_a", "doc": "ann@example.com"}}]})

    told = str(unavailable(error, "MongoDB database mail"))

    assert "ann@example.com" not in told
    assert "MongoDB database mail" in told


@pytest.mark.parametrize(("code", "remedy"), [(13, "readWrite"), (18, "password"), (99, "refused the command")])
def test_a_refusal_says_what_to_do(code: int, remedy: str) -> None:
    """What the operator can mend is told with how."""
    error = errors.OperationFailure("no", code)

    assert remedy in str(unavailable(error, "MongoDB database mail"))


async def test_an_insert_whose_answer_was_lost_is_told_as_it_was(store: MongoStore, network: Proxy) -> None:
    """The e-mail is there, so its caller is told that it is, and that he put it there (M3)."""
    network.lose(INSERT + b"\x07\x00\x00\x00emails")

    added = await store.add(queued(), MESSAGE)

    assert network.lost == 1
    assert added.fresh
    assert await store.content("em_a") == MESSAGE


async def test_after_a_lost_answer_a_repeat_finds_the_first_ones_email(store: MongoStore, network: Proxy) -> None:
    """Who is told that it is not known, and asks again, makes no second e-mail (M3)."""
    network.lose(INSERT + b"\x09\x00\x00\x00contents")
    with pytest.raises(StoreUnavailableError):
        await store.add(queued(), LONG)

    added = await store.add(queued(), LONG)

    assert added.email == queued()
    assert await store.content("em_a") == LONG
    assert await store.count(Query()) == 2


async def test_saves_whose_answer_was_lost_are_told_as_they_were(store: MongoStore, network: Proxy) -> None:
    """Each caller of a flight whose answer was lost learns what became of his own save (M4, M5)."""
    await asyncio.gather(*(store.add(queued(f"em_{n}"), MESSAGE) for n in range(1, 6)))
    saves = [next_of(queued(f"em_{n}"), status=Status.SENDING) for n in range(6)]
    saves[3] = next_of(saves[3])
    network.lose(UPDATE)

    told = await asyncio.gather(*(store.save(save) for save in saves), return_exceptions=True)

    assert network.lost == 1
    assert [type(one) for one in told[:3] + told[4:]] == [type(None)] * 5
    assert isinstance(told[3], StoreUnavailableError | StaleEmailError)
    assert await store.get("em_1") == saves[1]
    assert await store.get("em_3") == queued("em_3")


async def test_what_was_taken_without_an_answer_is_due_again_later(store: MongoStore, network: Proxy) -> None:
    """Losing the answer to a sweep delays e-mails by their hiding, and loses none."""
    network.lose(UPDATE)
    with pytest.raises(StoreUnavailableError):
        await store.take_due(NOW, DUE)

    hidden = await store.take_due(NOW, DUE)
    again = await store.take_due(NOW + MINUTE, DUE)

    assert (list(hidden), list(again)) == ([], ["em_0"])


async def test_nobody_waits_for_a_frozen_server(own_mongo: Server) -> None:
    """However many wait, and for whatever: all are told within the budget, and served again after the thaw (M2)."""
    store = await opened(f"{own_mongo.url}/mail")
    await store.add(queued(), MESSAGE)
    own_mongo.freeze()

    async with asyncio.timeout(2.5):
        told = await asyncio.gather(
            *(store.get("em_a") for _ in range(300)),
            store.add(queued("em_b"), MESSAGE),
            store.save(next_of(queued())),
            store.content("em_a"),
            store.take_due(NOW, DUE),
            return_exceptions=True,
        )

    own_mongo.thaw()
    assert {type(one) for one in told} == {StoreUnavailableError}
    assert (await store.get("em_a")).id == "em_a"
    await store.aclose()


async def test_a_killed_server_is_told_at_once_and_used_again(own_mongo: Server) -> None:
    """Nothing that was answered is lost with the server, and nobody restarts the service for it (M1)."""
    store = await opened(f"{own_mongo.url}/mail?serverSelectionTimeoutMS=300")
    await store.add(queued(), MESSAGE)

    own_mongo.kill()
    with pytest.raises(StoreUnavailableError):
        await store.get("em_a")
    own_mongo.restart()

    assert await store.get("em_a") == queued()
    assert await store.content("em_a") == MESSAGE
    await store.aclose()


async def test_what_waits_is_written_before_the_store_closes(mongo_url: str) -> None:
    """A shutdown loses nothing that was asked for, and nothing can be asked for after it."""
    store = open_store(mongo_url)
    await store.open()
    adds = [asyncio.ensure_future(store.add(queued(f"em_{n}"), MESSAGE)) for n in range(5)]
    await asyncio.sleep(0)

    await store.aclose()

    assert [added.fresh for added in await asyncio.gather(*adds)] == [True] * 5
    for closed in (store.get("em_0"), store.count(Query()), store.take_due(NOW, DUE)):
        with pytest.raises(StoreUnavailableError, match="closed"):
            await closed


async def test_whoever_gives_up_is_gone_at_once(mongo_url: str) -> None:
    """A caller that is cancelled does not go on, wherever the driver was; it loses some cancellations itself."""
    store = open_store(mongo_url)
    await store.open()
    asked = [asyncio.ensure_future(store.take_due(NOW, DUE)) for _ in range(150)]

    given_up: list[asyncio.Future[Any]] = []
    for one in asked:
        await asyncio.sleep(0)
        given_up += [one] if one.cancel() else []
    await asyncio.gather(*asked, return_exceptions=True)

    assert all(one.cancelled() for one in given_up)
    assert len(given_up) > len(asked) / 2
    await store.aclose()


async def test_what_a_caller_has_given_up_fails_without_a_complaint(store: MongoStore, network: Proxy) -> None:
    """A sweep that is cancelled while the server is silent leaves no error behind that nobody asked for."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    network.toxic = Toxic(blackhole=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(store.take_due(NOW, DUE), timeout=0.01)

    with pytest.raises(StoreUnavailableError):
        await store.take_due(NOW, DUE)
    gc.collect()

    assert complaints == []


async def test_an_email_that_no_document_can_hold_fails_alone(mongo_url: str) -> None:
    """Those that share its round trips are stored and saved."""
    store = open_store(mongo_url)
    emails = [queued("em_a"), queued("em_b", version=2**70), queued("em_c")]

    added = await asyncio.gather(*(store.add(email, MESSAGE) for email in emails), return_exceptions=True)
    saved = await asyncio.gather(*(store.save(next_of(email)) for email in emails), return_exceptions=True)

    assert [getattr(one, "fresh", type(one)) for one in added] == [True, StoreUnavailableError, True]
    assert [type(one) for one in saved] == [type(None), StoreUnavailableError, type(None)]
    assert await store.count(Query()) == 2
    await store.aclose()


async def test_the_health_fails_as_a_health(own_mongo: Server) -> None:
    """Whoever asks for the providers' health learns that it is not to be had, not that the store is not."""
    store = await opened(f"{own_mongo.url}/mail?serverSelectionTimeoutMS=300")
    own_mongo.kill()

    with pytest.raises(HealthUnavailableError):
        await store.health.load()
    with pytest.raises(HealthUnavailableError):
        await store.health.update("p", lambda health: health)
    await store.aclose()


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("mongodb://127.0.0.1:1", "names no database"),
        ("mongodb://127.0.0.1:1/", "names no database"),
        ("mongodb://127.0.0.1:1/mail?w=1", "leave it out"),
        ("mongodb://127.0.0.1:1/mail?journal=false", "leave it out"),
        ("mongodb://127.0.0.1:1/mail?retryWrites=false", "leave it out"),
        ("mongodb://127.0.0.1:port/mail", "refuses the URL"),
        ("mongodb://127.0.0.1:1/mail?nonsense=1", "nonsense"),
        ("mongodb://127.0.0.1:1/ma il", "refuses the URL"),
    ],
)
def test_a_wrong_url_is_refused_with_the_remedy(url: str, remedy: str) -> None:
    """What is wrong with the setting shows at the start, and says what to write."""
    with pytest.raises(SettingsError, match=remedy):
        open_store(url)


def test_a_wrong_url_does_not_tell_the_password() -> None:
    """A password with a special character makes a URL that cannot be read, and is not repeated when that is said."""
    with pytest.raises(SettingsError) as told:
        open_store("mongodb://ann:se:cr@et@127.0.0.1:1/mail")

    assert "et@" not in str(told.value)
    assert "se:cr" not in str(told.value)


@pytest.mark.parametrize(
    ("mark", "known", "told"),
    [
        (Mark(2, "mine"), False, type(None)),
        (Mark(2, "theirs"), False, StaleEmailError),
        (Mark(3, "theirs"), False, StaleEmailError),
        (Mark(1, "first"), False, StoreUnavailableError),
        (Mark(1, "first"), True, StaleEmailError),
        (Mark(None, "mine"), True, type(None)),
        (Mark(None, "theirs"), True, EmailNotFoundError),
        (None, True, EmailNotFoundError),
    ],
)
def test_a_save_is_judged_by_whose_version_is_stored(
    mark: Mark | None, known: bool, told: type[Exception] | type[None]
) -> None:
    """What is not there after a lost answer is not known, for it may be on its way; the rest is certain (M4, M5)."""
    save = next_version(next_of(queued()), "mine")

    assert type(_verdict(save, mark, known=known)) is told
