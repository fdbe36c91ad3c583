"""The embedded store when its file, its disk or another process is in the way: it fails closed, in clear words."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from mailadapters import system
from mailadapters.sqlite import SqliteStore, open_store
from mailadapters.sqlite.access import Access
from mailadapters.sqlite.connection import SqliteFile
from mailadapters.sqlite.faults import WHY, unavailable
from mailadapters.sqlite.transactions import Patience
from mailcore.errors import HealthUnavailableError, SettingsError, StoreUnavailableError
from mailcore.message import Attachment
from mailcore.ports import Query
from mailcore.testing.contracts.examples import MESSAGE, next_of, queued
from mailcore.testing.contracts.provider_health import later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file is."""
    return tmp_path / "mail.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store that holds one e-mail and waits for a lock only briefly."""
    store = open_store(f"sqlite:///{path}", lock_budget=0.02)
    await store.add(queued(), MESSAGE)
    yield store
    await store.aclose()


class Thief:
    """Another process that takes the write lock once ours has let go of it after a failure, for as long as a commit.

    Its `fail` is a call of a batch, and fails whatever came with it.
    """

    def __init__(self, path: Path) -> None:
        self._other = apsw.Connection(str(path))
        self._end = threading.Timer(0.02, self._other.execute, ["COMMIT"])

    def fail(self, ours: apsw.Connection, _asked: Sequence[int]) -> Sequence[int]:
        """Wait for the next statement of ours but the one that lets go of the lock."""
        ours.exec_trace = self._look
        raise ValueError("this call is wrong")

    def _look(self, cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        """Take the lock before our statement does."""
        if sql == "BEGIN IMMEDIATE":
            cursor.connection.exec_trace = None
            self._other.execute(sql)
            self._end.start()
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._end.join()
        self._other.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock, as another process would."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("COMMIT")
    other.close()


def echoed(_db: apsw.Connection, asked: Sequence[int]) -> Sequence[int]:
    """Answer every call with what it asked."""
    return asked


def overwritten(path: Path) -> None:
    """Damage all pages but the first."""
    octets = bytearray(path.read_bytes())
    octets[4096:] = b"\xff" * (len(octets) - 4096)
    path.write_bytes(octets)


def classes(of: type[apsw.Error]) -> Iterator[type[apsw.Error]]:
    """Yield a class of errors and all below it."""
    yield of
    for below in of.__subclasses__():
        yield from classes(below)


def test_every_error_of_the_driver_has_its_sentence() -> None:
    """No class of apsw's errors is unmapped, so none comes out as it is or without a word of advice."""
    assert set(classes(apsw.Error)) == set(WHY)


@pytest.mark.parametrize("kind", sorted(classes(apsw.Error), key=lambda one: one.__name__))
def test_an_error_becomes_unavailable_with_file_and_advice(kind: type[apsw.Error]) -> None:
    """Whatever SQLite says, the operator reads which file it is and what to do."""
    error = unavailable(kind("as SQLite put it"), "/data/mail.db")

    assert isinstance(error, StoreUnavailableError)
    assert str(error).startswith("/data/mail.db: ")
    assert WHY[kind] in str(error)
    assert "as SQLite put it" in str(error)


async def test_a_held_lock_is_waited_for_only_so_long(store: SqliteStore, path: Path) -> None:
    """A write that cannot have the lock within its budget says so, and happens no more (Q2)."""
    with locked(path), pytest.raises(StoreUnavailableError, match="write lock"):
        await store.add(queued("em_b"), MESSAGE)

    assert await store.count(Query()) == 1


async def test_a_lock_that_was_lost_after_a_failure_is_waited_for_again(path: Path) -> None:
    """One call of a batch fails, and another process writes before the others are performed apart: they only wait."""
    access = Access(SqliteFile(str(path), Patience(2.0, system.new_clock().monotonic)))
    await access.write(echoed, 0)
    thief = Thief(path)
    with locked(path):
        asked = [asyncio.ensure_future(access.write(echoed, n)) for n in range(3)]
        asked.append(asyncio.ensure_future(access.write(thief.fail, 3)))
        await asyncio.sleep(0)

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert answers[:3] == [0, 1, 2]
    assert isinstance(answers[3], ValueError)
    await access.aclose()
    thief.close()


async def test_a_held_lock_stops_no_reader(store: SqliteStore, path: Path) -> None:
    """Reading goes on while somebody else writes."""
    with locked(path):
        email, content = await store.get("em_a"), await store.content("em_a")

    assert (email, content) == (queued(), MESSAGE)


async def test_after_a_held_lock_writing_goes_on(store: SqliteStore, path: Path) -> None:
    """The store recovers by itself as soon as the lock is free."""
    with locked(path), pytest.raises(StoreUnavailableError):
        await store.save(next_of(queued()))

    await store.save(next_of(queued()))

    assert await store.get("em_a") == next_of(queued())


async def test_a_held_lock_is_told_by_health_in_its_own_error(store: SqliteStore, path: Path) -> None:
    """Whoever asks for health gets an error of health."""
    with locked(path), pytest.raises(HealthUnavailableError, match="write lock"):
        await store.health.update("p", later)

    assert dict(await store.health.load()) == {}


async def test_a_full_disk_refuses_and_leaves_nothing_half_written(path: Path) -> None:
    """With no room left an add fails whole, what was there stays, and with room it goes on (Q1)."""
    large = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"x" * 400_000),))
    tight = open_store(f"sqlite:///{path}", max_pages=60)
    await tight.add(queued("em_small"), MESSAGE)

    with pytest.raises(StoreUnavailableError, match="full: make room"):
        await tight.add(queued("em_large"), large)

    await tight.add(queued("em_next"), MESSAGE)
    await tight.aclose()
    roomy = open_store(f"sqlite:///{path}")
    assert [email.id for email in (await roomy.list(Query(), after=None, limit=9)).emails] == ["em_small", "em_next"]
    assert (await roomy.add(queued("em_large"), large)).fresh
    assert await roomy.content("em_large") == large
    await roomy.aclose()


@pytest.fixture
def notes(path: Path) -> bytes:
    """Write what is no database to where the store's file should be."""
    notes = b"these are my holiday notes. " * 100
    path.write_bytes(notes)
    return notes


async def test_on_a_full_disk_what_still_fits_is_taken(path: Path) -> None:
    """One e-mail that is too large for what is left keeps none of those out that came with it."""
    large = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"x" * 400_000),))
    tight = open_store(f"sqlite:///{path}", max_pages=60)
    await tight.open()
    with locked(path):
        adds = [asyncio.ensure_future(tight.add(queued(f"em_{n}"), large if n == 5 else MESSAGE)) for n in range(9)]
        await asyncio.sleep(0)

    results = await asyncio.gather(*adds, return_exceptions=True)

    assert [n for n, result in enumerate(results) if isinstance(result, StoreUnavailableError)] == [5]
    assert await tight.count(Query()) == 8
    await tight.aclose()


async def test_a_file_that_is_no_database_is_named(path: Path, notes: bytes) -> None:
    """Somebody else's file is left as it is, and the error says what is wrong with it."""
    store = open_store(f"sqlite:///{path}")

    with pytest.raises(StoreUnavailableError, match="not a SQLite database"):
        await store.add(queued(), MESSAGE)

    await store.aclose()
    assert await asyncio.to_thread(path.read_bytes) == notes


async def test_a_damaged_file_is_told(store: SqliteStore, path: Path) -> None:
    """Pages that were overwritten are found out, not answered from."""
    await store.aclose()
    overwritten(path)
    damaged = open_store(f"sqlite:///{path}")

    with pytest.raises(StoreUnavailableError, match="damaged"):
        await damaged.get("em_a")
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await damaged.save(next_of(queued()))

    await damaged.aclose()


async def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The file cannot be made, and the error says where to look."""
    store = open_store(f"sqlite:///{tmp_path}/nowhere/mail.db")

    with pytest.raises(StoreUnavailableError, match="its directory exists"):
        await store.open()

    await store.aclose()


async def test_what_was_mended_is_used_without_a_restart(tmp_path: Path) -> None:
    """A store that could not be opened tries again with every call."""
    store = open_store(f"sqlite:///{tmp_path}/later/mail.db")
    with pytest.raises(StoreUnavailableError):
        await store.open()

    await asyncio.to_thread((tmp_path / "later").mkdir)

    assert (await store.add(queued(), MESSAGE)).fresh
    await store.aclose()


async def test_a_file_of_a_newer_release_is_refused(store: SqliteStore, path: Path) -> None:
    """Tables that this release does not know are not written to, and the remedy is named."""
    await store.aclose()
    newer = apsw.Connection(str(path))
    newer.execute("PRAGMA user_version = 1000")
    newer.close()
    old = open_store(f"sqlite:///{path}")

    with pytest.raises(SettingsError, match=r"newer release.*schema 1000.*install that release"):
        await old.open()
    with pytest.raises(SettingsError, match="newer release"):
        await old.get("em_a")

    await old.aclose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:/mail.db", "mongodb://x/y"])
def test_a_url_without_a_file_is_refused_with_the_remedy(url: str) -> None:
    """E-mails in memory would be lost with the process, so there is no such store."""
    with pytest.raises(SettingsError, match=r"sqlite:///mailcore\.db"):
        open_store(url)


def read_only(db: apsw.Connection, asked: Sequence[None]) -> Sequence[None]:
    """Make a connection refuse writes as it does for a file that may not be written."""
    db.execute("PRAGMA query_only = 1")
    return asked


async def test_a_read_only_file_refuses_writes(store: SqliteStore) -> None:
    """What cannot be made durable is not answered with success (Q4)."""
    await store._access.write(read_only, None)

    with pytest.raises(StoreUnavailableError, match="read-only"):
        await store.add(queued("em_b"), MESSAGE)

    assert await store.count(Query()) == 1
    assert (await store.add(queued("em_b"), MESSAGE)).fresh


async def test_nobody_else_can_read_the_file(store: SqliteStore, path: Path) -> None:
    """The file and its journals hold people's mail: their owner alone may read them, whatever the umask says."""
    files = sorted(path.parent.glob("mail.db*"))

    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in files}

    assert modes == {"mail.db": "0o600", "mail.db-shm": "0o600", "mail.db-wal": "0o600"}
