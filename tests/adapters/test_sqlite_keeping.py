"""What the embedded store keeps besides e-mails: files of the first release, erased bytes, plans of the walks."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from mailadapters.documents import UnreadableError, key_text, message_bytes
from mailadapters.sqlite import SqliteStore, open_store
from mailadapters.sqlite.rows import COLUMNS, json_text, row
from mailadapters.sqlite.schema import MIGRATIONS
from mailadapters.sqlite.suppressing import DROP, FIND, PAGE
from mailcore.message import Message
from mailcore.ports import Query
from mailcore.retention import Kept, forgotten, tombstone
from mailcore.suppression import Grounds
from mailcore.testing.contracts.examples import MESSAGE, NOW, next_of, queued
from mailcore.testing.contracts.leasing import MINE
from mailcore.testing.contracts.locking import KEY
from mailcore.testing.contracts.retaining import DAY, aged, settled
from mailcore.testing.contracts.suppressing import BOUNCED, suppressed
from mailcore.testing.contracts.switching import STOP

LETTER = Message(from_="a@b.example", to="ann@example.com", subject="x", text="a secret that must go " * 2000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file is."""
    return tmp_path / "mail.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store whose file is as the test has left it."""
    store = open_store(f"sqlite:///{path}")
    yield store
    await store.aclose()


def seen(path: Path, sql: str, *bindings: object) -> object:
    """Return what another program sees in the file, or do something to it."""
    db = apsw.Connection(str(path))
    got: object = db.execute(sql, bindings).get
    db.close()
    return got


def written(path: Path) -> bytes:
    """Return all that is in the file."""
    seen(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def first_release(path: Path) -> None:
    """Make a file as the first release left it, with one e-mail that was sent."""
    for sql in (MIGRATIONS[0], "PRAGMA user_version = 1"):
        seen(path, sql)
    old = {name: value for name, value in zip(COLUMNS, row(settled()), strict=True) if name != "addressed"}
    names, marks = ", ".join(("seq", *old)), ", ".join("?" * (len(old) + 1))
    seen(path, f"INSERT INTO emails ({names}) VALUES ({marks})", 1, *old.values())  # noqa: S608 - constants
    seen(path, "INSERT INTO contents (seq, doc) VALUES (1, ?)", message_bytes(MESSAGE))


async def test_a_file_of_the_first_release_is_brought_up_to_date(path: Path, store: SqliteStore) -> None:
    """Nothing of it is lost, it grows old like any other, and what is new has its place."""
    first_release(path)

    assert await store.get("em_a") == settled()
    assert await store.content("em_a") == MESSAGE
    assert [await aged(store, kept, NOW + DAY) for kept in Kept] == [["em_a"]] * 3
    await store.save_switch("lane:all", STOP)
    await store.swap_lease(None, MINE)
    await store.save(replace(forgotten(settled()), version=2))
    assert await aged(store, Kept.ADDRESSES, NOW + DAY) == []
    await store.entomb(tombstone(replace(settled(), version=2)))
    assert (await store.add(queued(), MESSAGE)).fresh is False
    assert seen(path, "PRAGMA user_version") == len(MIGRATIONS)


async def test_a_file_of_the_second_release_gets_a_place_for_keys(path: Path, store: SqliteStore) -> None:
    """What the operator had switched stays, and keys are kept beside it."""
    for sql in (*MIGRATIONS[:2], "PRAGMA user_version = 2"):
        seen(path, sql)
    seen(path, "INSERT INTO switches (name, doc) VALUES ('lane:all', ?)", json_text(STOP))

    assert await store.load_switches() == {"lane:all": STOP}
    assert await store.load_keys() == {}
    assert await store.save_key(KEY)
    assert await store.load_keys() == {KEY.id: KEY}
    assert await store.keep_pepper("pepper") == "pepper"


async def test_a_file_of_the_third_release_gets_a_place_for_suppressions(path: Path, store: SqliteStore) -> None:
    """Its API keys stay, and a suppression list is kept beside them."""
    for sql in (*MIGRATIONS[:3], "PRAGMA user_version = 3"):
        seen(path, sql)
    seen(path, "INSERT INTO keys (id, version, doc) VALUES (?, 1, ?)", KEY.id, key_text(KEY))

    assert not await store.has_suppressions()
    await store.save_suppressions([BOUNCED])
    assert list(await store.find_suppressions(BOUNCED.tenant, [BOUNCED.mailbox])) == [BOUNCED]
    assert await store.load_keys() == {KEY.id: KEY}


async def test_a_suppression_of_a_newer_release_counts_all_the_same(path: Path, store: SqliteStore) -> None:
    """One reason more not to write to somebody makes nobody be written to; it is counted, and ends when it ends."""
    await store.save_suppressions([suppressed("a", expires_at=NOW + DAY), suppressed("b"), suppressed("c")])
    seen(path, "UPDATE suppressions SET doc = replace(doc, 'bounced', 'moved_on') WHERE mailbox < 'c'")

    found = await store.find_suppressions("shop", ["a@example.com", "b@example.com", "c@example.com"])
    page = await store.list_suppressions("shop", after=None, limit=2)

    known = {one.mailbox: one for one in found}
    assert [(one, known[one].expires_at) for one in sorted(known)] == [
        ("a@example.com", NOW + DAY),
        ("b@example.com", None),
        ("c@example.com", None),
    ]
    assert {one.tenant for one in found} == {"shop"}
    assert known["a@example.com"].reason is Grounds.MANUAL
    assert known["c@example.com"] == suppressed("c")
    assert [one.mailbox for one in page.suppressions] == ["a@example.com", "b@example.com"]
    assert store.unreadable == 4


async def test_suppressions_are_found_by_their_key_and_dropped_by_their_end(path: Path, store: SqliteStore) -> None:
    """A lookup, a page and a drop cost what they find, however long the list is."""
    await store.open()

    plans = {sql: str(seen(path, f"EXPLAIN QUERY PLAN {sql}", *[None] * sql.count("?"))) for sql in (FIND, PAGE, DROP)}

    assert "SEARCH suppressions USING PRIMARY KEY (tenant=? AND mailbox=?)" in plans[FIND]
    assert "SEARCH suppressions USING PRIMARY KEY (tenant=? AND mailbox>?)" in plans[PAGE]
    assert "suppressions_ending (ends<?)" in plans[DROP]
    assert not any("TEMP B-TREE" in plan or "SCAN suppressions" in plan for plan in plans.values())


async def test_a_key_of_a_newer_release_opens_nothing_and_hides_no_other(path: Path, store: SqliteStore) -> None:
    """A scope that this release does not know is none that it may give."""
    await store.save_key(KEY)
    newer = key_text(replace(KEY, id="key_newer000")).replace('"send"', '"webhooks"')
    seen(path, "INSERT INTO keys (id, version, doc) VALUES ('key_newer000', 1, ?)", newer)

    assert await store.load_keys() == {KEY.id: KEY}


async def test_what_was_erased_is_not_in_the_file(path: Path, store: SqliteStore) -> None:
    """Erased means that the bytes are overwritten, and not only that nobody is shown them."""
    await store.add(settled(), LETTER)
    before = b"a secret that must go" in written(path)

    await store.erase_content(["em_a"])
    await store.save(replace(forgotten(settled()), version=2))

    after = written(path)
    assert before
    assert b"a secret" not in after
    assert b"ann@example.com" not in after


async def test_a_suppression_that_was_lifted_is_not_in_the_file(path: Path, store: SqliteStore) -> None:
    """Whoever wants to be forgotten altogether is: from row and index, and from pages that nothing uses any more."""
    await store.save_suppressions([suppressed(f"a{n}", expires_at=NOW) for n in range(100)])
    await store.save_suppressions([suppressed("a42", expires_at=NOW, source="of a42@example.com, " * 2000)])
    before = b"a42@example.com" in written(path)

    lifted = await store.delete_suppression("shop", "a42@example.com")

    after = written(path)
    assert (before, lifted) == (True, True)
    assert b"a42@example.com" not in after
    assert b"a43@example.com" in after


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT id FROM emails WHERE addressed = 1 AND created_at < 9 AND (created_at, id) > (-1, '')", "addressed"),
        ("SELECT id FROM emails WHERE created_at < 9 AND (created_at, id) > (-1, '')", "newest"),
    ],
)
async def test_a_walk_goes_by_an_index(path: Path, store: SqliteStore, sql: str, index: str) -> None:
    """A page costs what is on it, however many records there are, and is not sorted first."""
    await store.open()

    plan = seen(path, f"EXPLAIN QUERY PLAN {sql} ORDER BY created_at, id LIMIT 3")

    assert f"emails_{index}" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


async def test_a_walk_of_contents_is_as_long_as_what_there_is(store: SqliteStore) -> None:
    """Behind a page on which all is too young nothing old is looked for."""
    for n in range(5):
        await store.add(settled(f"em_{n}", created_at=NOW + n * DAY, settled_at=NOW + n * DAY), MESSAGE)

    page = await store.find_aged(Kept.CONTENT, NOW + DAY, after=None, limit=2)
    rest = await store.find_aged(Kept.CONTENT, NOW + DAY, after=page.after, limit=2)

    assert ([one.id for one in page.emails], [one.id for one in rest.emails], rest.after) == (["em_0"], [], None)


async def test_a_switch_of_a_newer_release_hides_no_other(path: Path, store: SqliteStore) -> None:
    """It is counted and passed over; a stop beside it holds in the older release too (I42)."""
    await store.open()
    await store.save_switch("lane:bulk", STOP)
    seen(path, "INSERT INTO switches VALUES ('lane:x', '{\"mode\": \"sideways\"}')")

    assert await store.load_switches() == {"lane:bulk": STOP}
    assert store.unreadable == 1


async def test_a_lease_of_a_newer_release_can_be_taken_over(path: Path, store: SqliteStore) -> None:
    """A field that only the newer one has keeps nobody from leading after it, as in a change back (I42)."""
    await store.open()
    after = replace(MINE, holder="older", until=NOW + DAY, term=2)
    await store.swap_lease(None, MINE)
    seen(path, "UPDATE leases SET doc = json_set(doc, '$.host', 'a')")

    assert await store.load_lease(MINE.name) == MINE
    assert await store.swap_lease(MINE, after)
    assert not await store.swap_lease(MINE, after)


async def test_what_another_release_wrote_is_told(path: Path, store: SqliteStore) -> None:
    """A lease or a record of a newer release is not taken for nothing."""
    await store.add(settled(), MESSAGE)
    seen(path, "INSERT INTO leases VALUES ('scheduler', '{}')")
    seen(path, "UPDATE emails SET doc = '{}'")

    with pytest.raises(UnreadableError):
        await store.load_lease("scheduler")
    assert await aged(store, Kept.RECORD, NOW + DAY) == []
    assert store.unreadable == 1


async def test_a_save_that_changes_nothing_of_whom_it_is_for_leaves_the_index_alone(store: SqliteStore) -> None:
    """Only who has forgotten its recipients is passed over by the next walk."""
    await store.add(settled(), MESSAGE)

    await store.save(next_of(settled(), tags=("new",)))

    assert await aged(store, Kept.ADDRESSES, NOW + DAY) == ["em_a"]
    assert await store.count(Query(to="ann@example.com")) == 1
