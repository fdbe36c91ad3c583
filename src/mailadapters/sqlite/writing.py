"""Adding and saving e-mails, many in a few steps, under the write lock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from operator import attrgetter
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.sqlite.reading import FOUND, emails_in
from mailadapters.sqlite.rows import COLUMNS, Row, filled, json_text, run, size_of, values
from mailcore.errors import EmailNotFoundError, StaleEmailError
from mailcore.lifecycle import Email, EmailId
from mailcore.stored import Added

_INSERT: Final = f"INSERT INTO emails (seq, {', '.join(COLUMNS)}) "
_INSERT_CONTENT: Final = "INSERT INTO contents (seq, doc) "
_BEFORE: Final = f"SELECT (SELECT ifnull(max(seq), 0) FROM emails), ({FOUND})"  # noqa: S608 - constants
_VERSIONS: Final = """
    SELECT json_group_object(id, json_array(seq, version)) FROM emails WHERE id IN (SELECT value FROM json_each(?))
"""
_SAVED: Final = tuple(column for column in COLUMNS if column not in {"id", "tenant", "created_at", "addressed"})
"""What a save replaces: neither what never changes, nor so the indexes by when e-mails were created."""
_FORGET: Final = "UPDATE emails SET addressed = 0 WHERE addressed = 1 AND seq IN (SELECT value FROM json_each(?))"
_saved = attrgetter(*_SAVED)
_ASSIGNED: Final = ", ".join(f"{column} = new.column{at}" for at, column in enumerate(_SAVED, start=2))

_versions = msgspec.json.Decoder(dict[str, tuple[int, int]])


class New(NamedTuple):
    """An e-mail to be added."""

    email: Email
    row: Row
    content: bytes


class Next(NamedTuple):
    """The next version of an e-mail."""

    id: EmailId
    version: int
    row: Row


def add_all(db: apsw.Connection, additions: Sequence[New]) -> Sequence[Added | Exception]:
    """Add e-mails; the first of those that share an id is the one."""
    latest, found = run(db, _BEFORE, (json_text([new.email.id for new in additions]),))
    there = emails_in(found)
    fresh: list[New] = []
    answers: list[Added | Exception] = []
    for new in additions:
        holder = there.setdefault(new.email.id, new.email)
        if holder is new.email:
            fresh.append(new)
        answers.append(holder if isinstance(holder, Exception) else Added(holder, holder is new.email))
    _insert(db, list(enumerate(fresh, start=latest + 1)))
    return answers


def _insert(db: apsw.Connection, numbered: Sequence[tuple[int, New]]) -> None:
    """Insert e-mails and their contents under their numbers."""
    if numbered:
        rows = size_of(len(numbered))
        run(db, _INSERT + _some_of(rows, len(COLUMNS) + 1), filled([(seq, *new.row) for seq, new in numbered]))
        run(db, _INSERT_CONTENT + _some_of(rows, 2), filled([(seq, new.content) for seq, new in numbered]))


@cache
def _some_of(rows: int, columns: int) -> str:
    """Return the clause that gives at most so many rows."""
    return f"SELECT * FROM ({values(rows, columns)}) WHERE column1 IS NOT NULL"  # noqa: S608 - constants


def save_all(db: apsw.Connection, saves: Sequence[Next]) -> Sequence[Exception | None]:
    """Replace e-mails by their next versions; one that is no longer the version before is left alone."""
    versions = versions_of(db, {save.id for save in saves})
    won: dict[int, Row] = {}
    answers = [_compared(versions, won, save) for save in saves]
    if won:
        run(db, _update(size_of(len(won))), filled([(seq, *_saved(row)) for seq, row in won.items()]))
    if nameless := [seq for seq, row in won.items() if not row.addressed]:
        run(db, _FORGET, (json_text(nameless),))
    return answers


def versions_of(db: apsw.Connection, email_ids: Collection[EmailId]) -> dict[EmailId, tuple[int, int]]:
    """Return where e-mails stand, and in which version, by their ids."""
    return _versions.decode(run(db, _VERSIONS, (json_text(email_ids),)))


@cache
def _update(rows: int) -> str:
    """Return the statement that replaces at most so many e-mails."""
    table = values(rows, len(_SAVED) + 1)
    return f"UPDATE emails SET {_ASSIGNED} FROM ({table}) AS new WHERE seq = new.column1"  # noqa: S608 - constants


def _compared(versions: dict[str, tuple[int, int]], won: dict[int, Row], save: Next) -> Exception | None:
    """Note a save that wins, and raise the version for those behind it; return why it does not win."""
    if save.id not in versions:
        return EmailNotFoundError(f"no e-mail {save.id}")
    seq, version = versions[save.id]
    if version != save.version - 1:
        return StaleEmailError(f"{save.id} is version {version}: a save of version {save.version} comes too late")
    versions[save.id] = (seq, save.version)
    won[seq] = save.row
    return None
