"""Letting go of what is old: found by walking from the oldest on, a bounded page at a time.

Content is walked in the order in which it came, so that the walk is as long as what is there; addresses have an index
that holds only those who still have some; records are walked as lists are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.documents import UnreadableError, cursor, email_from_text, place
from mailadapters.sqlite.rows import json_text, run
from mailadapters.sqlite.writing import Next, versions_of
from mailcore.errors import EmailNotFoundError, StaleEmailError
from mailcore.lifecycle import SETTLED, Email
from mailcore.retention import Kept

_SETTLED: Final = ", ".join(f"'{status}'" for status in sorted(SETTLED))
_CONTENTS: Final = """
    SELECT json_group_array(json_array(contents.seq, created_at, id, emails.doc))
    FROM (SELECT seq FROM contents WHERE seq > ? ORDER BY seq LIMIT ?) AS contents JOIN emails USING (seq)
"""
_RECORDS: Final = """
    SELECT json_group_array(json_array(seq, created_at, id, doc)) FROM (
        SELECT seq, created_at, id, doc FROM emails WHERE {which} created_at < ? AND (created_at, id) > (?, ?)
        ORDER BY created_at, id LIMIT ?
    )
"""
_WHICH: Final = {Kept.ADDRESSES: "addressed = 1 AND", Kept.RECORD: ""}
_ERASE: Final = f"""
    DELETE FROM contents WHERE seq IN (
        SELECT seq FROM emails WHERE id IN (SELECT value FROM json_each(?)) AND status IN ({_SETTLED})
    )
"""  # noqa: S608 - constants
_REMOVE: Final = "DELETE FROM {table} WHERE seq = ?"
_ENTOMB: Final = "INSERT INTO tombstones (id, created_at, doc) VALUES (?, ?, ?)"
_DROP: Final = """
    DELETE FROM tombstones WHERE id IN (SELECT id FROM tombstones WHERE created_at < ? ORDER BY created_at LIMIT ?)
"""


class Walk(NamedTuple):
    """A page of a walk; moments in milliseconds since 1970."""

    kept: Kept
    before: int
    after: str | None
    limit: int


class Walked(NamedTuple):
    """What was looked at, what of it cannot be read, and where to go on; None at the end."""

    emails: Sequence[Email]
    unreadable: int
    after: str | None


class Drop(NamedTuple):
    """Before when something must have ended to be forgotten, and how many at most."""

    before: int
    limit: int


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """A row on the way."""

    seq: int
    created_at: int
    id: str
    doc: str


_rows = msgspec.json.Decoder(list[_Row])


def walk_all(db: apsw.Connection, walks: Sequence[Walk]) -> Sequence[Walked | Exception]:
    """Walk a page for each caller."""
    return [_walked(db, walk) for walk in walks]


def _walked(db: apsw.Connection, walk: Walk) -> Walked:
    """Walk one page."""
    rows = _contents(db, walk) if walk.kept is Kept.CONTENT else _records(db, walk)
    read = list(_read(rows))
    emails = [email for email in read if isinstance(email, Email)]
    more = len(rows) == walk.limit and any(row.created_at < walk.before for row in rows)
    last = (
        (str(rows[-1].seq) if walk.kept is Kept.CONTENT else cursor(rows[-1].created_at, rows[-1].id)) if more else None
    )
    return Walked(emails, len(read) - len(emails), last)


def _contents(db: apsw.Connection, walk: Walk) -> Sequence[_Row]:
    """Return e-mails that have content, in the order in which it came."""
    return _rows.decode(run(db, _CONTENTS, (int(walk.after or 0), walk.limit)))


def _records(db: apsw.Connection, walk: Walk) -> Sequence[_Row]:
    """Return e-mails that were accepted early enough, the oldest first."""
    created_at, email_id = place(walk.after) if walk.after else (-1, "")
    sql = _RECORDS.format(which=_WHICH[walk.kept])
    return _rows.decode(run(db, sql, (walk.before, created_at, email_id, walk.limit)))


def _read(rows: Sequence[_Row]) -> Iterator[Email | UnreadableError]:
    """Yield what stands in the rows."""
    for row in rows:
        try:
            yield email_from_text(row.doc)
        except UnreadableError as error:
            yield error


def erase_all(db: apsw.Connection, wanted: Sequence[Sequence[str]]) -> Sequence[None]:
    """Erase the content of settled e-mails."""
    with overwriting(db):
        run(db, _ERASE, (json_text([email_id for ids in wanted for email_id in ids]),))
    return [None] * len(wanted)


@contextmanager
def overwriting(db: apsw.Connection) -> Generator[None]:
    """Have the bytes of what is deleted overwritten, which SQLite would leave where they are."""
    run(db, "PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        run(db, "PRAGMA secure_delete = FAST")


def entomb_all(db: apsw.Connection, stones: Sequence[Next]) -> Sequence[Exception | None]:
    """Put tombstones in place of e-mails that are still the version before."""
    versions = versions_of(db, {stone.id for stone in stones})
    return [_entombed(db, versions, stone) for stone in stones]


def _entombed(db: apsw.Connection, versions: dict[str, tuple[int, int]], stone: Next) -> Exception | None:
    """Put one tombstone in place; return why it cannot be."""
    if stone.id not in versions:
        return EmailNotFoundError(f"no e-mail {stone.id}")
    seq, version = versions.pop(stone.id)
    if version != stone.version - 1:
        return StaleEmailError(f"{stone.id} is version {version}, not the one before {stone.version}")
    for table in ("contents", "emails"):
        run(db, _REMOVE.format(table=table), (seq,))
    run(db, _ENTOMB, (stone.id, stone.row.created_at, stone.row.doc))
    return None


def drop_all(db: apsw.Connection, drops: Sequence[Drop]) -> Sequence[int]:
    """Forget tombstones, for each caller in turn."""
    return [_dropped(db, drop) for drop in drops]


def _dropped(db: apsw.Connection, drop: Drop) -> int:
    """Forget some tombstones; return how many."""
    run(db, _DROP, drop)
    return db.changes()
