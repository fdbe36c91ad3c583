"""Calls that share a transaction: each has its own result, nobody waits without end, and whoever gave up is skipped."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from mailadapters.sqlite import SqliteStore, open_store
from mailadapters.sqlite.access import Access
from mailadapters.sqlite.coalescing import HEAVY
from mailadapters.sqlite.connection import SqliteFile
from mailadapters.sqlite.transactions import Patience
from mailadapters.system import SystemClock
from mailcore.errors import StoreUnavailableError
from mailcore.ports import Query
from mailcore.testing.contracts.examples import MESSAGE, next_of, queued


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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock, so that calls gather."""
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("COMMIT")
    other.close()


async def taken_up(store: SqliteStore) -> None:
    """Wait until the writing thread has taken up what waits."""
    while store._access._writer.waiting:  # noqa: ASYNC110 - it is another thread that moves
        await asyncio.sleep(0)


def there(db: apsw.Connection, asked: Sequence[None]) -> Sequence[list[str]]:
    """Return which of those rows there are."""
    return [[provider for (provider,) in db.execute("SELECT provider FROM health ORDER BY provider")]]


def odd(db: apsw.Connection, asked: Sequence[str]) -> Sequence[str | Exception]:
    """Insert rows that SQLite takes, unless one is to break a constraint or a promise."""
    for provider in asked:
        doc = None if provider == "null" else "{}"
        db.execute("INSERT INTO health (provider, doc) VALUES (?, ?)", (provider, doc))
    if "raise" in asked:
        raise LookupError("not SQLite's fault")
    return list(asked)


@pytest.mark.parametrize(("bad", "error"), [("null", StoreUnavailableError), ("raise", LookupError), ("a", str)])
async def test_a_call_that_fails_fails_alone(
    store: SqliteStore, path: Path, bad: str, error: type[Exception] | type[str]
) -> None:
    """What SQLite or our own code says to one call, no other call of the batch hears."""
    with locked(path):
        first = asyncio.ensure_future(store.add(queued("em_first"), MESSAGE))
        await asyncio.sleep(0)
        await taken_up(store)
        names = ["a", bad if bad != "a" else "c", "b"]
        calls = [asyncio.ensure_future(store._access.write(odd, name)) for name in names]
        add = asyncio.ensure_future(store.add(queued("em_b"), MESSAGE))
        save = asyncio.ensure_future(store.save(next_of(queued("em_none"))))
        await asyncio.sleep(0)

    results = await asyncio.gather(first, *calls, add, save, return_exceptions=True)

    assert isinstance(results[2], error)
    assert (results[1], results[3]) == ("a", "b")
    assert await store._access.read(there, None) == sorted({"a", "b", *names} - {"null", "raise"})
    assert await store.get("em_b") == queued("em_b")
    assert type(results[5]).__name__ == "EmailNotFoundError"


async def test_what_is_asked_in_one_turn_of_the_loop_goes_together(store: SqliteStore) -> None:
    """An idle thread is not woken up for the first of many that come at once, and takes them all in one transaction."""
    before = store.batches()["write"]

    await asyncio.gather(*(store.add(queued(f"em_{n}"), MESSAGE) for n in range(50)))

    after = store.batches()["write"]
    assert (after.calls - before.calls, after.batches - before.batches) == (50, 1)


async def test_a_busy_thread_is_told_once(store: SqliteStore, path: Path) -> None:
    """However many turns of the loop go by while it is busy, what it is yet to hear does not grow."""
    with locked(path):
        adds = [asyncio.ensure_future(store.add(queued("em_first"), MESSAGE))]
        for n in range(100):
            adds.append(asyncio.ensure_future(store.add(queued(f"em_{n}"), MESSAGE)))
            await asyncio.sleep(0)

        assert store._access._writer._told.qsize() <= 1

    await asyncio.gather(*adds)


async def test_large_contents_share_no_transaction(store: SqliteStore, path: Path) -> None:
    """A batch ends with what makes it heavy, so that nobody waits for the disk on account of all that came before."""
    with locked(path):
        first = asyncio.ensure_future(store.add(queued("em_first"), MESSAGE))
        await asyncio.sleep(0)
        await taken_up(store)
        before = store.batches()["write"].batches
        large = replace(MESSAGE, text="x" * HEAVY)
        adds = [asyncio.ensure_future(store.add(queued(f"em_{n}"), large if n % 2 else MESSAGE)) for n in range(6)]
        await asyncio.sleep(0)

    await asyncio.gather(first, *adds)

    assert store.batches()["write"].batches - before == 3


async def test_whoever_gave_up_before_his_turn_is_skipped(store: SqliteStore, path: Path) -> None:
    """A call that was cancelled while it waited is not performed."""
    with locked(path):
        first = asyncio.ensure_future(store.add(queued("em_a"), MESSAGE))
        await asyncio.sleep(0)
        await taken_up(store)
        given_up = asyncio.ensure_future(store.add(queued("em_b"), MESSAGE))
        last = asyncio.ensure_future(store.add(queued("em_c"), MESSAGE))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)

    await asyncio.gather(first, last)

    page = await store.list(Query(), after=None, limit=10)
    assert [email.id for email in page.emails] == ["em_c", "em_a"]


async def test_too_many_that_wait_are_turned_away_at_once(path: Path) -> None:
    """Waiting is bounded: the next caller hears at once that the store does not keep up."""
    file = SqliteFile(str(path), Patience(5.0, SystemClock().monotonic))
    access = Access(file, capacity=2)
    store = SqliteStore(access, open_store(f"sqlite:///{path}").health)
    await store.open()
    with locked(path):
        waiting = [asyncio.ensure_future(store.add(queued("em_0"), MESSAGE))]
        await asyncio.sleep(0)
        await taken_up(store)
        waiting += [asyncio.ensure_future(store.add(queued(f"em_{n}"), MESSAGE)) for n in (1, 2)]
        await asyncio.sleep(0)

        with pytest.raises(StoreUnavailableError, match="2 calls already wait"):
            await store.add(queued("em_3"), MESSAGE)

    assert [added.fresh for added in await asyncio.gather(*waiting)] == [True, True, True]
    assert await store.count(Query()) == 3
    await store.aclose()


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    """Calls that were made before `aclose` are performed and answered."""
    store = open_store(f"sqlite:///{path}")
    adds = [asyncio.ensure_future(store.add(queued(f"em_{n}"), MESSAGE)) for n in range(600)]
    await asyncio.sleep(0)

    await store.aclose()

    assert all(added.fresh for added in await asyncio.gather(*adds))
    again = open_store(f"sqlite:///{path}")
    assert await again.count(Query()) == 600
    await again.aclose()


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    """After `aclose` no call hangs."""
    await store.aclose()

    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.add(queued(), MESSAGE)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.get("em_a")


async def test_a_closed_store_leaves_one_file(store: SqliteStore, path: Path) -> None:
    """Everything is in the file itself, so that it can be copied."""
    await store.add(queued(), MESSAGE)

    await store.aclose()

    assert await asyncio.to_thread(os.listdir, path.parent) == ["mail.db"]


async def test_a_store_that_was_never_used_makes_no_file(path: Path) -> None:
    """Making a store is no work: the file comes with the first call."""
    await open_store(f"sqlite:///{path}").aclose()

    assert not os.path.exists(path)  # noqa: ASYNC240, PTH110 - no file is waited for


async def test_two_event_loops_may_share_a_store(store: SqliteStore) -> None:
    """Each caller is answered on his own loop."""
    got: list[object] = []

    async def elsewhere() -> None:
        added = await asyncio.gather(*(store.add(queued(f"em_t{n}"), MESSAGE) for n in range(50)))
        got.extend(added)

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    here = await asyncio.gather(*(store.add(queued(f"em_h{n}"), MESSAGE) for n in range(50)))
    await asyncio.to_thread(thread.join)

    assert len(got) == len(here) == 50
    assert await store.count(Query()) == 100


async def test_what_was_asked_in_the_last_turn_of_a_loop_is_performed(store: SqliteStore) -> None:
    """A loop that ends at once takes what it asked for with it to nobody: another loop's next call hands it over."""
    # No task asks: one that its loop leaves behind is complained of in the log, maybe in the midst of another test.
    asking = store.add(queued("em_a"), MESSAGE)

    async def hasty() -> None:
        asyncio.get_running_loop().call_soon(asking.send, None)

    def run_to_the_end() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(hasty())
        loop.close()

    await asyncio.to_thread(run_to_the_end)
    assert store._access._writer.waiting == 1
    await store.add(queued("em_b"), MESSAGE)

    assert await store.count(Query()) == 2
    assert store._access._writer.waiting == 0
    asking.close()


async def test_a_loop_that_was_closed_stops_nobody(store: SqliteStore, path: Path) -> None:
    """An answer to a loop that is gone is dropped; the thread lives on."""

    async def abandoned() -> None:
        asyncio.ensure_future(store.add(queued("em_b"), MESSAGE))  # noqa: RUF006 - that is the point
        await asyncio.sleep(0)
        await taken_up(store)

    loop = asyncio.new_event_loop()
    with locked(path):
        await asyncio.to_thread(loop.run_until_complete, abandoned())
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        await asyncio.to_thread(loop.run_until_complete, asyncio.gather(*pending, return_exceptions=True))
        loop.close()

    assert (await store.add(queued("em_c"), MESSAGE)).fresh
