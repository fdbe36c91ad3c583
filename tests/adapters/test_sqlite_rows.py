"""What stands in the file: the tables, the plans of the queries that must stay quick, and rows of other releases."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailadapters.documents import UnreadableError
from mailadapters.sqlite import SqliteStore, listing, open_store, taking
from mailadapters.sqlite.coalescing import TOGETHER
from mailadapters.sqlite.rows import COLUMNS, PORTION, filled, flat, portions, row, run, size_of
from mailadapters.sqlite.schema import MIGRATIONS
from mailadapters.sqlite.writing import New, Next, add_all, save_all
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane
from mailcore.ports import Due, Query
from mailcore.testing import ManualClock
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, SECOND, emails, next_of, queued
from mailcore.testing.contracts.provider_health import later

RELEASED = ["f962783766638b05", "4d1839687f29c4d5", "edd1759aa80a914c", "207cdc43c037f4e6"]
"""The beginnings of the migrations' digests: a new one is added, no other is changed."""

DUE = Due(lane=Lane.TRANSACTIONAL, limit=10, hide_for=MINUTE, closed=frozenset())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file is."""
    return tmp_path / "mail.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store that is open."""
    store = open_store(f"sqlite:///{path}")
    await store.open()
    yield store
    await store.aclose()


def seen(path: Path, sql: str) -> object:
    """Return what another program sees in the file, or do something to it."""
    db = apsw.Connection(str(path))
    got: object = db.execute(sql).get
    db.close()
    return got


def plan(path: Path, sql: str) -> str:
    """Return how SQLite would go about a query."""
    bindings = (1,) * (sql.count("?") if "?1" not in sql else 1)
    db = apsw.Connection(str(path))
    lines = [line[3] for line in db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]
    db.close()
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            taking._WAITING,
            "SEARCH emails USING INDEX emails_waking (lane=? AND blocked_on=? AND wake_at>? AND wake_at<?)",
        ),
        (taking._GIVEN_UP, "SEARCH emails USING INDEX emails_given_up (lane=? AND give_up_at<?)"),
        (taking._SETS, "SEARCH emails USING COVERING INDEX emails_waking (lane=? AND blocked_on>?)"),
        (listing._END.format(where=" WHERE (created_at, id) < (?, ?)"), "COVERING INDEX emails_newest"),
        (listing._LINES.format(where=" WHERE status = 'failed'"), "INDEX emails_failed"),
        (listing._LINES.format(where=" WHERE status = 'held' AND (created_at, id) < (?, ?)"), "INDEX emails_held"),
        (listing._LINES.format(where=" WHERE possible_duplicate = 1"), "INDEX emails_doubtful"),
    ],
)
async def test_queries_use_their_index(store: SqliteStore, path: Path, sql: str, index: str) -> None:
    """What runs all the time, and what operators look for, looks at no row that it does not return."""
    steps = plan(path, sql)

    assert index in steps
    assert "TEMP B-TREE" not in steps


async def test_what_is_settled_is_in_no_index_of_the_sweep(store: SqliteStore, path: Path) -> None:
    """`wake_at` is NULL once an e-mail is settled, so the sweep's indexes are as large as the unfinished work."""
    await store.add(queued(), MESSAGE)

    await store.save(next_of(queued(), status=Status.SENT, settled_at=NOW))

    assert seen(path, "SELECT wake_at IS NULL FROM emails") == 1


async def test_a_save_writes_no_content(store: SqliteStore, path: Path) -> None:
    """The message is written once; a save replaces the small row alone."""
    await store.add(queued(), MESSAGE)
    seen(path, "CREATE TRIGGER forbid BEFORE UPDATE ON contents BEGIN SELECT raise(ABORT, 'rewritten'); END")

    await store.save(next_of(queued()))

    assert await store.content("em_a") == MESSAGE


async def test_the_file_is_durable_before_an_answer(store: SqliteStore, path: Path) -> None:
    """The file is in WAL mode, and every commit is flushed to the disk."""

    def settings(db: apsw.Connection, asked: Sequence[None]) -> Sequence[tuple[object, object]]:
        return [(db.pragma("journal_mode"), db.pragma("synchronous"))] * len(asked)

    journal, synchronous = await store._access.write(settings, None)

    assert (journal, synchronous) == ("wal", 2)


async def test_an_unknown_status_is_passed_over_and_counted(store: SqliteStore, path: Path) -> None:
    """An e-mail that a newer release wrote stops neither sweep nor list (I42)."""
    await store.add(queued("em_new", due_at=NOW - MINUTE), MESSAGE)
    await store.add(queued("em_old"), MESSAGE)
    seen(
        path, """UPDATE emails SET status = 'paused', doc = replace(doc, '"queued"', '"paused"') WHERE id = 'em_new'"""
    )

    taken = await store.take_due(NOW, DUE)
    page = await store.list(Query(), after=None, limit=10)

    assert list(taken) == ["em_old"]
    assert page.emails == (queued("em_old"),)
    assert store.unreadable == 2


async def test_unknown_ones_do_not_use_up_the_limit(store: SqliteStore, path: Path) -> None:
    """However many a newer release left at the head, the e-mails behind them are found by one call."""
    await asyncio.gather(*(store.add(queued(f"em_{n:02d}", due_at=NOW - MINUTE), MESSAGE) for n in range(30)))
    await store.add(queued("em_old", created_at=NOW - MINUTE), MESSAGE)
    seen(
        path, "UPDATE emails SET reason = 'moonlight', doc = replace(doc, 'accepted', 'moonlight') WHERE id <> 'em_old'"
    )

    taken = await store.take_due(NOW, replace(DUE, limit=3))
    page = await store.list(Query(), after=None, limit=3)

    assert list(taken) == ["em_old"]
    assert [email.id for email in page.emails] == ["em_old"]


async def test_unreadable_ones_can_be_asked_for_in_vain(store: SqliteStore, path: Path) -> None:
    """Asking for one by its id says why not; one beside it in the same round trip is read."""
    await asyncio.gather(*(store.add(queued(email_id), MESSAGE) for email_id in ("em_a", "em_b")))
    seen(path, "UPDATE emails SET doc = replace(doc, 'queued', 'paused') WHERE id = 'em_b'")
    seen(path, "UPDATE contents SET doc = x'93' WHERE seq = (SELECT seq FROM emails WHERE id = 'em_b')")

    got = await asyncio.gather(
        store.get("em_a"), store.get("em_b"), store.content("em_b"), store.add(queued("em_b"), MESSAGE),
        return_exceptions=True,
    )  # fmt: skip

    assert got[0] == queued("em_a")
    assert [type(one) for one in got[1:]] == [UnreadableError] * 3
    assert store.unreadable == 2


async def test_an_unreadable_health_is_passed_over(store: SqliteStore, path: Path) -> None:
    """A provider whose health a newer release wrote in words of its own counts as one that nobody knows."""
    await store.health.update("p", later)
    await store.health.update("q", later)
    seen(path, """UPDATE health SET doc = replace(doc, '"closed"', '"ajar"') WHERE provider = 'p'""")
    other = open_store(f"sqlite:///{path}")

    loaded = await other.health.load()

    assert set(loaded) == {"q"}
    assert other.health.unreadable == 1
    await other.aclose()


async def test_health_is_read_again_after_a_quarter_of_a_second(store: SqliteStore, path: Path) -> None:
    """Another process's change is seen within 250 ms, and until then the file is left in peace."""
    clock = ManualClock()
    mine = type(store.health)(store._access, clock.monotonic)
    await mine.load()
    await store.health.update("p", later)

    clock.advance(0.249)
    before = await mine.load()
    clock.advance(0.001)
    after = await mine.load()

    assert (set(before), set(after)) == (set(), {"p"})


async def test_a_list_longer_than_a_span_is_whole(store: SqliteStore) -> None:
    """A filter is looked for span by span, and nothing is lost where two of them meet."""
    count = listing.SPAN * 2 + 7
    newest = count - 1
    rare = [newest, newest - listing.SPAN + 1, newest - listing.SPAN, newest - 2 * listing.SPAN + 1, 6, 0]
    for start in range(0, count, 2500):
        some = range(start, min(start + 2500, count))
        tags = {n: ("rare",) if n in rare else () for n in some}
        await asyncio.gather(*(store.add(queued(f"em_{n:05d}", tags=tags[n]), MESSAGE) for n in some))

    page = await store.list(Query(tag="rare"), after=None, limit=100)

    assert [email.id for email in page.emails] == [f"em_{n:05d}" for n in rare]
    assert page.after is None


def test_migrations_are_as_they_were_released() -> None:
    """A released migration is never edited: files in the field have already run it."""
    digests = [hashlib.sha256(one.encode()).hexdigest()[:16] for one in MIGRATIONS]

    assert digests == RELEASED


@given(email=emails())
def test_a_row_says_what_its_email_says(email: Email) -> None:
    """The columns that queries compare are the e-mail's own fields."""
    made = row(email)

    assert made._fields == COLUMNS
    assert (made.wake_at is None) is (email.wake_at is None)
    assert (made.blocked_on == "") is (email.blocked_on == ())
    assert (made.status, made.reason, made.lane) == (email.status, email.reason, email.lane)


@given(many=st.lists(st.integers(), max_size=300))
def test_portions_are_small_and_lose_nothing(many: list[int]) -> None:
    """Few different statements are prepared, whatever the number of rows, and no more of them run than must."""
    parts = list(portions(many))

    assert [one for part in parts for one in part] == many
    assert all(len(part) == PORTION for part in parts[:-1])
    assert all(0 < len(part) <= PORTION for part in parts)


@given(rows=st.lists(st.tuples(st.integers(), st.text()), min_size=1, max_size=300))
def test_a_statement_of_few_sizes_takes_any_number_of_rows(rows: list[tuple[int, str]]) -> None:
    """What a statement has room for beyond the rows is filled with NULLs, and is less than the rows and a portion."""
    size = size_of(len(rows))
    values = filled(rows)

    assert values[: 2 * len(rows)] == flat(rows)
    assert set(values[2 * len(rows) :]) <= {None}
    assert len(values) == 2 * size
    assert len(rows) <= size < len(rows) + min(len(rows), PORTION)


def test_there_are_few_sizes_of_statements() -> None:
    """Each is prepared once and kept: the cache of a connection has room for those of every kind."""
    assert len({size_of(rows) for rows in range(1, TOGETHER + 1)}) <= 12


async def test_a_batch_is_few_steps(store: SqliteStore, path: Path) -> None:
    """However many e-mails it has: after each step the thread waits for the interpreter, and all slots wait for it."""
    await store.open()
    some = [queued(f"em_{n:03d}", recipients=("ann@example.com",)) for n in range(TOGETHER)]
    steps: list[str] = []
    db = apsw.Connection(str(path))
    db.trace_v2(apsw.SQLITE_TRACE_STMT, lambda traced: steps.append(traced["sql"].split()[0]))

    add_all(db, [New(email, row(email), b"") for email in some])
    adding = len(steps)
    save_all(db, [Next(email.id, email.version + 1, row(next_of(email))) for email in some])

    assert steps[:adding] == ["SELECT", "INSERT", "INSERT"]
    assert steps[adding:] == ["SELECT", "UPDATE"]
    assert await store.get(some[-1].id) == next_of(some[-1])
    db.close()


def test_what_has_run_holds_no_lock(tmp_path: Path) -> None:
    """One row is taken and no other asked for, and yet the statement is over: what it changed is there for others."""
    db = apsw.Connection(str(tmp_path / "mail.db"))
    run(db, "CREATE TABLE leases (name TEXT); CREATE TABLE others (name TEXT)")

    given = run(db, "INSERT INTO leases VALUES (?) RETURNING name", ("a",))
    held = db.txn_state()
    found = run(db, "SELECT name FROM leases UNION ALL SELECT name FROM leases")

    assert (given, found, seen(tmp_path / "mail.db", "SELECT name FROM leases")) == ("a", "a", "a")
    assert held == db.txn_state() == apsw.SQLITE_TXN_NONE
    assert run(db, "SELECT name FROM others") is None
    db.close()


async def test_a_reason_can_be_saved_and_found(store: SqliteStore) -> None:
    """Columns follow every save."""
    await store.add(queued(), MESSAGE)
    await store.save(next_of(queued(), status=Status.FAILED, reason=Reason.EXPIRED, lane=Lane.BULK))

    found = await store.count(Query(status=Status.FAILED, reason=Reason.EXPIRED, lane=Lane.BULK))

    assert found == 1
    assert list(await store.take_due(NOW + SECOND, DUE)) == []
