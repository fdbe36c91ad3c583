"""Several processes on one file, and processes that are killed: nothing acknowledged is lost, nobody starves."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailadapters.sqlite import SqliteStore, open_store
from mailadapters.sqlite.coalescing import Call
from mailadapters.sqlite.connection import SqliteFile, Writer
from mailadapters.sqlite.transactions import Patience
from mailcore.message import Lane
from mailcore.ports import Due, Query
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, SECOND, queued

PROGRAM = str(Path(__file__).parent / "sqlite_process.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file is."""
    return tmp_path / "mail.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield the test's own store on the file."""
    store = open_store(f"sqlite:///{path}")
    yield store
    await store.aclose()


async def started(command: str, path: Path, *arguments: str) -> Process:
    """Return a process that works on the file."""
    return await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, command, f"sqlite:///{path}", *arguments, stdin=PIPE, stdout=PIPE
    )


async def lines(process: Process, count: int) -> list[str]:
    """Return the next lines that a process prints."""
    assert process.stdout is not None
    return [(await process.stdout.readline()).decode().strip() for _ in range(count)]


async def killed(process: Process) -> list[str]:
    """Kill a process in the middle of whatever it does and return what it had still printed, whole lines only."""
    assert process.stdout is not None
    process.kill()
    rest = (await process.stdout.read()).decode()
    await process.wait()
    return rest.split("\n")[:-1]


class Rests(Patience):
    """Counts how often a writer leaves the lock to others."""

    def __init__(self) -> None:
        """Insist on nothing: no two write at once here."""
        super().__init__(0.0, lambda: 0.0)
        self.count = 0

    def pause(self) -> None:
        """Count."""
        self.count += 1


def write(db: apsw.Connection, arguments: Sequence[int]) -> Sequence[None]:
    """Change the file."""
    db.execute("CREATE TABLE IF NOT EXISTS written (at)")
    db.execute("INSERT INTO written VALUES (1)")
    return [None] * len(arguments)


class Race:
    """Two processes that write all they can on one file until they have done enough together."""

    def __init__(self, enough: int) -> None:
        """Begin with nothing done."""
        self.enough = enough
        self.done: Counter[str] = Counter()
        self.accounts: list[dict[str, Any]] = []
        self.over = asyncio.Event()

    async def run(self, path: Path) -> None:
        """Let both start at once, and stop them when they have done enough."""
        names = ("a", "b")
        processes = [await started("hammer", path, name) for name in names]
        await asyncio.gather(*(lines(process, 1) for process in processes))
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
        watching = [asyncio.ensure_future(self.watch(*one)) for one in zip(names, processes, strict=True)]
        await self.over.wait()
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*watching, *(process.wait() for process in processes))

    async def watch(self, name: str, process: Process) -> None:
        """Count what one of them does, and keep its account."""
        while line := (await lines(process, 1))[0]:
            if line.startswith("{"):
                self.accounts.append(json.loads(line))
            elif not self.over.is_set():
                self.done[name] += 1
            if self.done.total() >= self.enough:
                self.over.set()

    def total(self, what: str) -> int:
        """Return how often both did something."""
        return sum(account["done"].get(what, 0) for account in self.accounts)


@pytest.mark.parametrize("acknowledged", [1, 40, 150, 400])
async def test_what_was_acknowledged_survives_a_kill(store: SqliteStore, path: Path, acknowledged: int) -> None:
    """After kill -9 in the middle of commits the file is whole and every acknowledged e-mail is in it (I1, Q3)."""
    process = await started("add", path, "k")

    ids = await lines(process, acknowledged)
    ids += await killed(process)

    page = await store.list(Query(), after=None, limit=100_000)
    assert {email.id for email in page.emails} >= set(ids)
    assert [await store.content(email_id) for email_id in ids] == [MESSAGE] * len(ids)
    db = apsw.Connection(str(path))
    assert db.execute("PRAGMA integrity_check").get == "ok"
    assert db.execute("SELECT count(*) FROM emails LEFT JOIN contents USING (seq) WHERE contents.seq IS NULL").get == 0
    db.close()


async def test_a_killed_process_leaves_no_lock(store: SqliteStore, path: Path) -> None:
    """Others write on at once when one that was writing is killed."""
    process = await started("add", path, "k")
    await lines(process, 20)

    await killed(process)

    assert (await store.add(queued(), MESSAGE)).fresh


async def test_many_processes_may_make_the_file_at_once(store: SqliteStore, path: Path) -> None:
    """Whoever comes first makes the tables; nobody fails because another did."""
    processes = await asyncio.gather(*(started("open", path) for _ in range(4)))

    said = await asyncio.gather(*(process.communicate() for process in processes))

    assert [output.decode().strip() for output, _ in said] == ["open"] * 4
    assert await store.count(Query()) == 0


async def test_two_processes_on_one_file_are_correct_and_fair(store: SqliteStore, path: Path) -> None:
    """No save is lost, nothing is taken twice, health adds up, and the slower one does three tenths of it all."""
    await store.add(queued("em_shared"), MESSAGE)
    race = Race(enough=20_000)

    await race.run(path)

    assert (await store.get("em_shared")).rounds == race.total("counted")
    assert (await store.health.load())["shared"].not_before == NOW + race.total("changed") * SECOND
    taken = [email_id for account in race.accounts for email_id in account["taken"]]
    left = await store.take_due(NOW, Due(lane=Lane.URGENT, limit=100_000, hide_for=MINUTE, closed=frozenset()))
    assert len(taken) == len(set(taken))
    page = await store.list(Query(lane=Lane.URGENT), after=None, limit=100_000)
    assert {*taken, *left} == {email.id for email in page.emails}
    assert race.total("urgent") == len(page.emails)
    assert min(race.done.values()) >= 0.3 * race.done.total()


async def test_whoever_has_seen_another_writer_leaves_it_the_lock_for_a_moment(path: Path) -> None:
    """Between two commits of one process there is room for another's; one that is alone does not wait."""
    rests = Rests()
    mine, other = Writer(SqliteFile(str(path), rests)), Writer(SqliteFile(str(path), Rests()))
    loop = asyncio.get_running_loop()

    def rested(writer: Writer) -> int:
        before = rests.count
        writer([Call(write, 1, 0, loop)])
        return rests.count - before

    rested(mine)
    alone = [rested(mine), rested(mine)]
    rested(other)
    crowded = [rested(mine), rested(mine)]

    assert (alone, crowded) == ([0, 0], [1, 0])
    mine.close()
    other.close()
