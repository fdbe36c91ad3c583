"""What the store for many machines says to its server: durable, few, and nothing that a shard could not do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from tests.adapters.mongo_commands import Command, Commands

from mailadapters.documents import suppression_row
from mailadapters.mongo import MongoStore, open_store
from mailadapters.mongo.shape import SPARSE, WAKE
from mailcore.errors import StaleEmailError, StoreUnavailableError
from mailcore.lifecycle import Reason, Status
from mailcore.message import Attachment, Lane
from mailcore.ports import Due, Query
from mailcore.retention import tombstone
from mailcore.stock import Batches
from mailcore.stored import SMALL
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued
from mailcore.testing.contracts.leasing import MINE
from mailcore.testing.contracts.locking import KEY
from mailcore.testing.contracts.provider_health import later
from mailcore.testing.contracts.suppressing import BOUNCED, suppressed
from mailcore.testing.contracts.switching import STOP

Raw = AsyncDatabase[dict[str, Any]]
LONG = replace(MESSAGE, text="a" * SMALL)
DUE = Due(lane=Lane.TRANSACTIONAL, limit=10, hide_for=MINUTE, closed=frozenset())
HOT = {"_id", *WAKE.values(), "parked", "lapse"}
"""What a query may go by that runs all the time."""
WHOLE = {"health", "switches"}
"""What has a handful of documents, is read whole, and is not sharded."""
GLANCE = {"find": "suppressions", "filter": {}, "projection": {"_id": 1}, "limit": 1}
"""What a process asks every two seconds of all shards: whether there is any one."""


@pytest.fixture
def commands() -> Commands:
    """Return what will be written down."""
    return Commands()


@pytest.fixture
async def store(mongo_url: str, commands: Commands) -> AsyncIterator[MongoStore]:
    """Yield a store that is open, and of which nothing has been written down yet."""
    store = open_store(mongo_url, event_listeners=[commands])
    await store.open()
    commands.forget()
    yield store
    await store.aclose()


@pytest.fixture
async def raw(mongo_url: str) -> AsyncIterator[Raw]:
    """Yield the database as another program sees it."""
    async with AsyncMongoClient[dict[str, Any]](mongo_url, tz_aware=True) as client:
        yield client.get_default_database()


async def everything(store: MongoStore) -> None:
    """Do all that is done all the time, with repeats, stale saves, and e-mails that wait for providers."""
    emails = [queued(f"em_{n}") for n in range(5)] + [queued("em_p", blocked_on=("a",))]
    await asyncio.gather(*(store.add(email, MESSAGE) for email in [*emails, emails[0]]))
    await store.add(emails[0], MESSAGE)
    await store.add(
        queued("em_large"), replace(MESSAGE, attachments=(Attachment(filename="a", content=b"x" * 13_000_000),))
    )
    saves = [next_of(emails[0], status=Status.SENT, settled_at=NOW), next_of(emails[1]), queued("em_2", version=7)]
    await asyncio.gather(*(store.save(save) for save in saves), return_exceptions=True)
    with pytest.raises(StaleEmailError):
        await store.save(queued("em_3", version=9))
    await asyncio.gather(*(store.get(email.id) for email in emails))
    await asyncio.gather(store.content("em_large"), *(store.content(email.id) for email in emails))
    await store.take_due(NOW, replace(DUE, closed=frozenset({"a"})))
    await store.take_due(NOW + 3 * MINUTE, DUE)
    await store.health.update("p", later)
    await store.health.load()
    await store.load_switches()
    await store.has_suppressions()
    await asyncio.gather(*(store.find_suppressions(tenant, [BOUNCED.mailbox]) for tenant in ("shop", "bank")))


async def the_rest(store: MongoStore, raw: Raw) -> None:
    """Do what is done now and then: switches, leases, keys, suppressions, what comes to its end, ids that are taken."""
    await store.save_switch("lane:bulk", STOP)
    await store.swap_lease(None, MINE)
    await store.swap_lease(MINE, replace(MINE, term=MINE.term + 1))
    await store.save_key(KEY)
    await store.save_key(replace(KEY, version=2))
    await store.keep_pepper("p" * 32)
    await store.save_suppressions([BOUNCED, suppressed("bob", expires_at=NOW)])
    await store.delete_suppression(BOUNCED.tenant, BOUNCED.mailbox)
    await store.drop_suppressions(NOW + MINUTE, limit=10)
    await raw.contents.insert_one({"_id": "em_x", "doc": b"of somebody who died"})
    await asyncio.gather(*(store.add(queued(email_id), LONG) for email_id in ("em_x", "em_y")))
    await raw.contents.delete_one({"_id": "em_y"})
    await store.add(queued("em_y"), LONG)
    sent = [next_of(queued(email_id), status=Status.SENT, settled_at=NOW) for email_id in ("em_x", "em_y")]
    await asyncio.gather(*(store.save(email) for email in sent))
    await store.erase_content(["em_x"])
    await store.entomb(tombstone(sent[1]))
    await store.drop_tombstones(NOW + MINUTE, limit=10)


async def test_every_write_is_in_most_journals_before_its_answer(
    store: MongoStore, commands: Commands, raw: Raw
) -> None:
    """`w: majority, j: true` goes with every write, so that no failover takes back what was answered (M7)."""
    await everything(store)
    often = commands.named("insert", "update", "delete", "findAndModify")
    commands.forget()
    await the_rest(store, raw)
    seldom = commands.named("insert", "update", "delete", "findAndModify")

    assert written(often) == {("insert", "emails"), ("insert", "contents"), ("update", "emails"), ("update", "health")}
    assert written(seldom) >= {("update", name) for name in ("switches", "leases", "keys", "pepper", "suppressions")}
    assert written(seldom) >= {("delete", name) for name in ("emails", "contents", "suppressions")}
    assert all(write["writeConcern"] == {"w": "majority", "j": True} for write in [*often, *seldom])


def written(writes: Sequence[Command]) -> set[tuple[str, str]]:
    """Return what was done to which collection."""
    return {(name, write[name]) for write in writes for name in [next(iter(write))]}


async def test_the_driver_retries_what_is_safe_to_retry(store: MongoStore) -> None:
    """Retryable writes and reads are on, so that a failover is not even noticed (M7)."""
    options = store._access._client.options

    assert options.retry_writes
    assert options.retry_reads


async def test_every_command_has_a_time_limit(store: MongoStore, commands: Commands) -> None:
    """The server gives up with the caller: `timeoutMS` is 2 s, unless the URL says otherwise (M2)."""
    await everything(store)

    limits = [command.get("maxTimeMS", 0) for command in commands.named("find", "insert", "update", "delete")]
    assert min(limits) > 0
    assert max(limits) <= 5000
    assert store._access._client.options.timeout == 2


async def test_every_hot_query_has_an_id_or_wakes(store: MongoStore, commands: Commands) -> None:
    """What runs all the time goes to one shard by `_id`, or is served by a small index of what wakes."""
    await everything(store)

    glances = [command for command in commands.sent if GLANCE.items() <= command.items()]
    commands.sent = [command for command in commands.sent if command not in glances]

    assert len(glances) == 1
    assert len(list(commands.filters())) > 10
    for collection, condition in commands.filters():
        assert HOT & condition.keys() or collection in WHOLE, (collection, condition)


async def test_nothing_is_used_that_a_shard_or_an_old_server_has_not(store: MongoStore, commands: Commands) -> None:
    """No transactions, change streams, pipeline updates, and no operators but the plainest."""
    await everything(store)
    await store.list(Query(tag="a"), after=None, limit=5)
    await store.count(Query())

    assert {next(iter(command)) for command in commands.sent} == {"find", "insert", "update", "aggregate"}
    for command in commands.sent:
        assert not {"startTransaction", "autocommit", "$changeStream"} & command.keys()
        assert all(isinstance(update["u"], dict) for update in command.get("updates", []))
        assert all(update["u"].keys() <= {"$set", "$unset", "$max"} for update in command.get("updates", []))


async def test_nothing_is_unique_but_the_id(store: MongoStore, raw: Raw) -> None:
    """Every collection can be sharded by a hashed `_id` as it is: no unique, partial or expiring index hinders."""
    await everything(store)

    for name in ("emails", "contents", "health", "suppressions"):
        indexes = await raw[name].index_information()
        for index, options in indexes.items():
            assert not {"partialFilterExpression", "expireAfterSeconds"} & options.keys()
            assert not options.get("unique") or index == "_id_"
            assert len(options["key"]) == 1
    sparse = {name for name, options in (await raw.emails.index_information()).items() if options.get("sparse")}
    assert sparse == set(SPARSE)


@pytest.mark.parametrize("lane", Lane)
async def test_what_is_settled_is_in_no_index_of_the_sweep(store: MongoStore, raw: Raw, lane: Lane) -> None:
    """When it wakes is unset, not null, once an e-mail is settled: a null would be in a sparse index."""
    await store.add(queued(lane=lane), MESSAGE)
    await store.take_due(NOW, replace(DUE, lane=lane))
    assert set(await raw.emails.find_one()) & HOT == {"_id", WAKE[lane]}

    await store.save(next_of(queued(lane=lane), status=Status.SENT, settled_at=NOW))

    assert set(await raw.emails.find_one()) & {*SPARSE, "taken_by"} == {"kept_content"}


async def test_a_parked_email_is_in_another_index(store: MongoStore, raw: Raw) -> None:
    """What waits for providers is not among those that wait for time alone, and comes back there when it does not."""
    await store.add(queued(blocked_on=("a", "b")), MESSAGE)
    parked = set(await raw.emails.find_one()) & HOT

    await store.save(next_of(queued()))

    assert parked == {"_id", "parked", "lapse"}
    assert set(await raw.emails.find_one()) & HOT == {"_id", "wake_t"}


async def test_a_sweep_reads_nothing_of_a_parked_backlog(store: MongoStore, commands: Commands) -> None:
    """However many wait for closed providers, a sweep looks at one of each set of providers, and takes the others."""
    sets = [("a",), ("a", "c"), ("c",)]
    backlog = [queued(f"em_{n}", blocked_on=sets[n % 3], due_at=NOW - MINUTE) for n in range(120)]
    await asyncio.gather(*(store.add(email, MESSAGE) for email in [*backlog, queued("em_free")]))
    commands.forget()

    taken = await store.take_due(NOW, replace(DUE, closed=frozenset({"a", "c"})))

    assert list(taken) == ["em_free"]
    assert commands.found <= len(taken) + len(sets) + 1


async def test_taking_costs_two_or_three_round_trips(store: MongoStore, commands: Commands) -> None:
    """What is due is found by one command for those that wait for time, seen not to be parked, and hidden by one."""
    await asyncio.gather(*(store.add(queued(f"em_{n:03d}"), MESSAGE) for n in range(200)))
    commands.forget()

    taken = await store.take_due(NOW, replace(DUE, limit=200))

    assert len(taken) == 200
    assert [next(iter(command)) for command in commands.sent] == ["find", "find", "update"]


async def test_calls_at_once_share_a_round_trip(store: MongoStore, commands: Commands) -> None:
    """Sixty-four e-mails cost as many commands as one: to add with their messages, to get, to read, to save."""
    emails = [queued(f"em_{n:03d}") for n in range(64)]

    await asyncio.gather(*(store.add(email, MESSAGE) for email in emails))
    await asyncio.gather(*(store.get(email.id) for email in emails))
    await asyncio.gather(*(store.content(email.id) for email in emails))
    await asyncio.gather(*(store.save(next_of(email)) for email in emails))

    assert [next(iter(command)) for command in commands.sent] == ["insert", "find", "find", "update"]


async def test_what_is_fetched_is_one_round_trip_and_counted_as_such(store: MongoStore, commands: Commands) -> None:
    """E-mails with their small messages come by one command, and the metrics say so."""
    emails = [queued(f"em_{n:03d}") for n in range(150)]
    await asyncio.gather(*(store.add(email, MESSAGE) for email in emails))
    commands.forget()

    await store.fetch([email.id for email in emails])

    assert [next(iter(command)) for command in commands.sent] == ["find"]
    assert store.batches()["fetch"] == Batches(150, 1)


async def test_a_long_message_is_there_before_its_email(store: MongoStore, commands: Commands) -> None:
    """Whoever finds an e-mail finds its message: what lies apart is written first, for all of a flight at once."""
    emails = [queued(f"em_{n:03d}") for n in range(20)]

    await asyncio.gather(*(store.add(email, LONG if n % 2 else MESSAGE) for n, email in enumerate(emails)))

    inserts = [(command["insert"], len(command["documents"])) for command in commands.named("insert")]
    assert inserts == [("contents", 10), ("emails", 20)]


async def test_rivals_of_one_flight_cost_no_round_trip_each(store: MongoStore, commands: Commands) -> None:
    """When one of fifty saves of a version has won, the others need not ask."""
    await store.add(queued(), MESSAGE)
    commands.forget()

    await asyncio.gather(*(store.save(next_of(queued())) for _ in range(50)), return_exceptions=True)

    assert len(commands.sent) == 1


async def test_a_save_writes_no_content(store: MongoStore, commands: Commands) -> None:
    """The message is written once; a save changes the small document alone."""
    await store.add(queued(), MESSAGE)
    commands.forget()

    await store.save(next_of(queued()))

    assert [command["update"] for command in commands.sent] == ["emails"]
    assert MESSAGE.text not in str(commands.sent)


async def test_reading_an_email_reads_no_content(store: MongoStore, commands: Commands) -> None:
    """The hot document is small, whatever is attached."""
    attachments = (Attachment(filename="a", content=b"x" * 200_000),)
    await store.add(queued(), replace(MESSAGE, attachments=attachments))
    commands.forget()

    await store.get("em_a")

    assert [command["find"] for command in commands.sent] == ["emails"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query(), "listed"),
        (Query(status=Status.FAILED, reason=Reason.REJECTED), "failed"),
        (Query(status=Status.HELD), "held"),
        (Query(possible_duplicate=True), "doubtful"),
        (Query(status=Status.SENT, created_after=NOW - timedelta(days=1)), "listed"),
    ],
)
async def test_lists_go_by_an_index(store: MongoStore, commands: Commands, query: Query, field: str) -> None:
    """What operators look for is found by an index of just those e-mails, in the order of the list."""
    await store.list(query, after=None, limit=5)

    (command,) = commands.sent
    assert command["sort"] == {field: -1}
    assert command["filter"][field]["$gte"] is not None


async def test_stock_is_taken_at_one_glance(store: MongoStore, commands: Commands) -> None:
    """One query, by the indexes of what wakes: an e-mail that is parked meanwhile is not counted twice (I39)."""
    await store.add(queued(), MESSAGE)
    await store.add(queued("em_b", blocked_on=("a",)), MESSAGE)
    commands.forget()

    piles = await store.stock()

    (command,) = commands.sent
    fields = {field for one in command["pipeline"][0]["$match"]["$or"] for field in one}
    assert fields == {*WAKE.values(), "parked"}
    assert [pile.count for pile in piles] == [2]


async def test_suppressions_of_many_emails_share_a_round_trip(store: MongoStore, commands: Commands) -> None:
    """Whoever asks at the same time, for whichever tenant, goes by `_id` in one command."""
    await store.save_suppressions([BOUNCED])
    commands.forget()

    found = await asyncio.gather(
        *(store.find_suppressions(f"t{n}", [BOUNCED.mailbox, "b@example.com"]) for n in range(200)),
        store.find_suppressions(BOUNCED.tenant, [BOUNCED.mailbox]),
    )

    assert [len(one) for one in found] == [*[0] * 200, 1]
    (command,) = commands.sent
    assert len(command["filter"]["_id"]["$in"]) == 401


async def test_a_refused_suppression_is_written_once_more(store: MongoStore, commands: Commands, raw: Raw) -> None:
    """Of two who say the first word on a mailbox one may be refused; what is refused again is told."""
    await raw.suppressions.create_index("doc", unique=True)  # refuses what it has, as `_id` does in a race
    await raw.suppressions.insert_one({"_id": "x", "doc": suppression_row(BOUNCED).doc})

    with pytest.raises(StoreUnavailableError, match="refused to write"):
        await store.save_suppressions([BOUNCED, suppressed("bob")])

    assert len(commands.named("update")) == 2
    assert [one.mailbox for one in (await store.list_suppressions("shop", after=None, limit=5)).suppressions] == [
        "bob@example.com"
    ]


async def test_a_list_of_suppressions_is_a_span_of_ids(store: MongoStore, commands: Commands) -> None:
    """A page costs what is on it, whatever other tenants have, and what has ended is found by an index of its own."""
    await store.save_suppressions([suppressed(f"a{n}", tenant=f"t{n % 3}") for n in range(30)])
    commands.forget()

    await store.list_suppressions("t1", after="a1@example.com", limit=4)
    await store.drop_suppressions(NOW, limit=10)

    page, ended, _ = commands.sent
    assert (page["filter"]["_id"], page["sort"], page["limit"]) == (
        {"$gt": "2.t1.a1@example.com", "$lt": "2.t1/"},
        {"_id": 1},
        5,
    )
    assert (list(ended["filter"]), ended["sort"], ended["limit"]) == (["ends"], {"ends": 1}, 10)
