"""A SQLite file on a full disk, under a foreign lock, or whose writer is killed: rows Q1 to Q3."""

from __future__ import annotations

import resource
from datetime import datetime
from pathlib import Path

import apsw
from tests.chaos.history import Kind
from tests.chaos.trial import Trial


def file_of(at: Trial) -> Path:
    """Return the file."""
    return Path(at.rig.addresses["store"].removeprefix("sqlite:///"))


async def fill_the_disk(at: Trial) -> None:
    """Q1: no file may grow any more; a POST is answered 500, and all goes on when there is room again."""
    most = max(path.stat().st_size for path in file_of(at).parent.glob("mail.db*"))
    began = at.now()
    for process in at.rig.named():
        resource.prlimit(process.pid(), resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    await at.wait(8)
    for process in at.rig.named():
        if process.alive:
            resource.prlimit(process.pid(), resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    at.must(all(process.alive for process in at.rig.named()), "a process ended over a full disk")
    await at.wait(3)
    _told_well(at, began)


async def hold_the_lock(at: Trial) -> None:
    """Q2: another writer holds the lock for 10 s; a POST is answered 500 in time, and all goes on after."""
    began = at.now()
    other = apsw.Connection(str(file_of(at)))
    other.set_busy_timeout(20_000)
    other.execute("BEGIN IMMEDIATE")
    await at.wait(10)
    other.execute("ROLLBACK")
    other.close()
    await at.wait(5)
    _told_well(at, began)


def _told_well(at: Trial, began: datetime) -> None:
    """Note what is wrong with the answers while nothing could be stored."""
    answers = at.answers(began)
    doubtful = [answer for answer in answers if answer.kind is Kind.UNKNOWN]
    at.note("POSTs that could not be stored", len(doubtful))
    at.must(bool(doubtful), "every POST was stored all the same")
    at.must(
        {one.problem for one in doubtful} <= {"store_unavailable"}, f"problems: { ({one.problem for one in doubtful}) }"
    )
    slow = [one for one in doubtful if one.took.total_seconds() > 4]
    at.must(not slow, f"{len(slow)} POSTs were answered after {max((one.took for one in slow), default=None)}")


async def kill_the_writers(at: Trial, kills: int) -> None:
    """Q3: kill -9 of a writing process, again and again; the file stays whole."""
    for _ in range(kills):
        await at.wait(at.dice.uniform(0.3, 1.5))
        await at.rig.kill(at.dice.choice(at.rig.named("api", "worker")))
        await at.rig.revive()
    db = apsw.Connection(str(file_of(at)))
    found = db.execute("PRAGMA integrity_check").fetchall()
    db.close()
    at.must(found == [("ok",)], f"the file is damaged: {found}")
