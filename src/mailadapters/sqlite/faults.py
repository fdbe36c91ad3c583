"""What SQLite's errors mean for whoever runs mailcore: each of apsw's classes with its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import apsw

from mailcore.errors import StoreUnavailableError

_BUG: Final = "mailcore used SQLite wrongly; please report this"
_LIMIT: Final = "a limit of SQLite was reached"

WHY: Final[Mapping[type[apsw.Error], str]] = MappingProxyType(
    {
        apsw.Error: "SQLite failed",
        apsw.FullError: "the disk, or what the file may take of it, is full: make room",
        apsw.BusyError: "another process has held the write lock for too long",
        apsw.LockedError: "another connection of this process holds a lock",
        apsw.ReadOnlyError: "the file or its directory is read-only: mailcore must be able to write both",
        apsw.PermissionsError: "the file may not be accessed: see who owns it",
        apsw.CantOpenError: "the file cannot be opened: see that its directory exists and can be written",
        apsw.IOError: "the disk answered with an error",
        apsw.CorruptError: "the file is damaged: restore a backup, or salvage it with `sqlite3 FILE .recover`",
        apsw.NotADBError: "the file is not a SQLite database: name another one",
        apsw.FormatError: "the file is not a SQLite database: name another one",
        apsw.NoMemError: "memory ran out",
        apsw.NoLFSError: "the file system takes no files this large",
        apsw.ProtocolError: "the file's lock could not be had: network file systems are not supported",
        apsw.InterruptError: "the call was interrupted",
        apsw.AbortError: "the call was aborted",
        apsw.TooBigError: _LIMIT,
        apsw.SchemaChangeError: "another process changed the tables: try again",
        apsw.SQLError: "the tables are not as mailcore made them",
        apsw.ConstraintError: "the tables are not as mailcore made them",
        apsw.MismatchError: "the tables are not as mailcore made them",
        apsw.EmptyError: "the file is empty",
        apsw.InternalError: "SQLite met a bug of its own",
        apsw.AuthError: _BUG,
        apsw.MisuseError: _BUG,
        apsw.RangeError: _BUG,
        apsw.NotFoundError: _BUG,
        apsw.BindingsError: _BUG,
        apsw.IncompleteExecutionError: _BUG,
        apsw.ExecutionCompleteError: _BUG,
        apsw.ThreadingViolationError: _BUG,
        apsw.ForkingViolationError: "the store was used on both sides of a fork: open it after forking",
        apsw.ConnectionClosedError: "the store is closed",
        apsw.ConnectionNotClosedError: _BUG,
        apsw.CursorClosedError: _BUG,
        apsw.ExecTraceAbort: _BUG,
        apsw.ExtensionLoadingError: _BUG,
        apsw.VFSNotImplementedError: _BUG,
        apsw.VFSFileClosedError: _BUG,
        apsw.InvalidContextError: _BUG,
        apsw.NoFTS5Error: _BUG,
    }
)


def unavailable(error: apsw.Error, path: str) -> StoreUnavailableError:
    """Return what an error of SQLite is to mailcore, with what to do about it."""
    why = WHY.get(type(error), WHY[apsw.Error])
    return StoreUnavailableError(f"{path}: {why} ({type(error).__name__}: {error})")
