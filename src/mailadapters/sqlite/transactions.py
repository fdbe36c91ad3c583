"""The write lock of a file that several processes share, and what happens under it.

SQLite's own busy_timeout waits ever longer between its tries, so that a process that is unlucky starves beside one
that writes all the time (9.7 s were seen). Here everybody tries every half millisecond, and whoever saw another
process leaves the lock alone for as long after each commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import apsw

from mailadapters.sqlite.rows import run
from mailcore.errors import StoreUnavailableError

TRY_EVERY: Final = 0.0005


class Patience:
    """How long to insist on a lock that another process holds.

    Args:
        budget: Seconds after which it is given up.
        monotonic: Seconds on a clock that never jumps.
    """

    def __init__(self, budget: float, monotonic: Callable[[], float]) -> None:
        self._budget = budget
        self._monotonic = monotonic
        self._never = threading.Event()

    def insist(self, attempt: Callable[[], Any]) -> bool:
        """Try until it works; return whether it took more than one try.

        Raises:
            StoreUnavailableError: Somebody held the lock for all of the budget.
        """
        if _free(attempt):
            return False
        deadline = self._monotonic() + self._budget
        while self._monotonic() < deadline:
            self.pause()
            if _free(attempt):
                return True
        raise StoreUnavailableError(f"another process held the store's write lock for {self._budget:g} s")

    def pause(self) -> None:
        """Let another process have the lock."""
        self._never.wait(TRY_EVERY)


def _free(attempt: Callable[[], Any]) -> bool:
    """Return whether an attempt worked, rather than met a lock."""
    try:
        attempt()
    except apsw.BusyError:
        return False
    return True


def begin(db: apsw.Connection, patience: Patience) -> bool:
    """Take the write lock; return whether others held it first.

    Raises:
        StoreUnavailableError: They held it for too long.
    """
    return patience.insist(lambda: run(db, "BEGIN IMMEDIATE"))


@contextmanager
def transaction(db: apsw.Connection, patience: Patience) -> Generator[bool]:
    """Hold the write lock: commit at the end, or leave the file as it was; tells whether others held it first."""
    waited = begin(db, patience)
    try:
        yield waited
        run(db, "COMMIT")
    finally:
        if db.in_transaction:
            run(db, "ROLLBACK")
