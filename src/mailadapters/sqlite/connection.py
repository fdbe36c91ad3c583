"""Connections to one file: opened when they are first needed, and again after whatever broke them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import apsw

from mailadapters.sqlite.coalescing import Call, Part
from mailadapters.sqlite.rows import PORTION, run
from mailadapters.sqlite.schema import migrate
from mailadapters.sqlite.transactions import Patience, begin, transaction


class SqliteFile:
    """One file, and how to open it.

    Args:
        max_pages: The most pages that the file may have, if it must not fill the disk.
    """

    def __init__(self, path: str, patience: Patience, *, max_pages: int | None = None) -> None:
        self.path = path
        self.patience = patience
        self._max_pages = max_pages

    def connect(self) -> apsw.Connection:
        """Return a new connection to a file that has this release's tables.

        Raises:
            SettingsError: The file is of a newer release.
            StoreUnavailableError: Another process held a lock for too long.
        """
        _make_private(self.path)
        db = apsw.Connection(self.path, statementcachesize=4 * PORTION)
        self.patience.insist(lambda: run(db, "PRAGMA journal_mode = WAL"))
        run(db, "PRAGMA synchronous = FULL")
        run(db, "PRAGMA secure_delete = FAST")  # what was replaced is overwritten where that costs no write
        if self._max_pages is not None:
            run(db, f"PRAGMA max_page_count = {self._max_pages:d}")
        migrate(db, self.path, self.patience)
        return db


def _make_private(path: str) -> None:
    """Create a file that is not there yet so that its owner alone can read it: it will hold people's mail.

    SQLite gives its journals the same mode. What goes wrong here goes wrong again when SQLite opens the file,
    which says it better.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class Reader:
    """Performs calls on a connection of its own, which never waits for those who write."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._db: apsw.Connection | None = None

    def __call__(self, calls: Sequence[Call], /) -> None:
        db = self._db = self._db or self._file.connect()
        try:
            perform(db, calls)
        except apsw.Error:
            self.close()
            raise

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class Writer:
    """Performs calls on the one connection of this process that writes, a batch in one transaction."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._db: apsw.Connection | None = None
        self._seen = 0

    def __call__(self, calls: Sequence[Call], /) -> None:
        db = self._db = self._db or self._file.connect()
        try:
            with transaction(db, self._file.patience) as waited:
                crowded = waited or db.data_version() != self._seen
                _perform_isolated(db, calls, self._file.patience)
            self._seen = db.data_version()
        except apsw.Error:
            self.close()
            raise
        if crowded:
            self._file.patience.pause()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def perform(db: apsw.Connection, calls: Sequence[Call]) -> None:
    """Perform calls, all of one kind together."""
    kinds: dict[Part[Any, Any], list[Call]] = {}
    for call in calls:
        kinds.setdefault(call.part, []).append(call)
    for part, mine in kinds.items():
        for call, outcome in zip(mine, part(db, [call.argument for call in mine]), strict=True):
            call.outcome = outcome


def _perform_isolated(db: apsw.Connection, calls: Sequence[Call], patience: Patience) -> None:
    """Perform calls together under the write lock, or, if that fails, so that each fails alone."""
    try:
        perform(db, calls)
    except Exception:
        if len(calls) == 1:
            raise
        if db.in_transaction:
            run(db, "ROLLBACK")
        begin(db, patience)
        _perform_apart(db, calls, patience)


def _perform_apart(db: apsw.Connection, calls: Sequence[Call], patience: Patience) -> None:
    """Perform calls one by one, each under a savepoint, so that one that fails undoes nothing of the others.

    Some errors (a full disk) end the whole transaction: then the others begin once more without the one that failed.
    """
    for call in calls:
        run(db, "SAVEPOINT apart")
        try:
            (call.outcome,) = call.part(db, [call.argument])
        except Exception as error:  # noqa: BLE001 - its caller raises it
            call.outcome = error
            if not db.in_transaction:
                begin(db, patience)
                _perform_apart(db, [other for other in calls if other is not call], patience)
                return
            run(db, "ROLLBACK TO apart")
        run(db, "RELEASE apart")
