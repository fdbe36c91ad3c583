"""The embedded store: one SQLite file, any number of processes on one machine, no server."""

from __future__ import annotations

from typing import Final

from mailadapters.sqlite.access import Access
from mailadapters.sqlite.connection import SqliteFile
from mailadapters.sqlite.provider_health import SqliteHealth
from mailadapters.sqlite.store import SqliteStore
from mailadapters.sqlite.transactions import Patience
from mailadapters.system import SystemClock
from mailcore.errors import SettingsError

__all__ = ["SqliteHealth", "SqliteStore", "open_store"]

SCHEME: Final = "sqlite:///"
LOCK_BUDGET: Final = 2.0
"""Seconds for which a write waits for another process; the API promises an answer in that time."""


def open_store(url: str, *, lock_budget: float = LOCK_BUDGET, max_pages: int | None = None) -> SqliteStore:
    """Return the store in a file; the file is opened, and made if need be, by the first call.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute/path.db`.
        lock_budget: Seconds to wait for another process that writes.
        max_pages: The most pages of 4096 bytes that the file may have; no limit if None.

    Raises:
        SettingsError: The URL names no file.
    """
    monotonic = SystemClock().monotonic
    file = SqliteFile(_path(url), Patience(lock_budget, monotonic), max_pages=max_pages)
    access = Access(file)
    return SqliteStore(access, SqliteHealth(access, monotonic))


def _path(url: str) -> str:
    """Return the path that a URL names."""
    path = url.removeprefix(SCHEME)
    if path == url or not path or path.startswith(":memory:"):
        raise SettingsError(
            f"store: {url} names no file, and e-mails in memory would be lost with the process: "
            "write sqlite:///mailcore.db, or sqlite:////var/lib/mailcore/mailcore.db for an absolute path"
        )
    return path
