"""The suppression list: a row for each mailbox of a tenant, found by both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.documents import SuppressionRow, suppressions_from_rows
from mailadapters.sqlite.retiring import Drop, overwriting
from mailadapters.sqlite.rows import json_text, portions, run, values
from mailcore.suppression import Suppression, SuppressionPage

_ANY: Final = "SELECT EXISTS (SELECT 1 FROM suppressions)"
FIND: Final = """
    SELECT json_group_array(json_array(tenant, mailbox, ends, doc)) FROM suppressions
    WHERE (tenant, mailbox) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
"""
_SAVE: Final = "REPLACE INTO suppressions (tenant, mailbox, ends, doc) "
_DELETE: Final = "DELETE FROM suppressions WHERE tenant = ? AND mailbox = ?"
PAGE: Final = """
    SELECT json_group_array(json_array(tenant, mailbox, ends, doc)) FROM (
        SELECT * FROM suppressions WHERE tenant = ? AND mailbox > ? ORDER BY mailbox LIMIT ?
    )
"""
DROP: Final = """
    DELETE FROM suppressions WHERE (tenant, mailbox) IN (
        SELECT tenant, mailbox FROM suppressions WHERE ends < ? ORDER BY ends LIMIT ?
    )
"""

_rows = msgspec.json.Decoder(list[SuppressionRow])


class Wanted(NamedTuple):
    """Mailboxes that a tenant's e-mail has."""

    tenant: str
    mailboxes: frozenset[str]


class Behind(NamedTuple):
    """A page of a tenant's list."""

    tenant: str
    after: str
    limit: int


def any_all(db: apsw.Connection, asked: Sequence[None]) -> Sequence[bool]:
    """Return whether there is any, to each caller."""
    return [bool(run(db, _ANY))] * len(asked)


def find_all(db: apsw.Connection, wanted: Sequence[Wanted]) -> Sequence[tuple[Sequence[Suppression], int]]:
    """Return the suppressions of each caller's mailboxes, and how many of them could not be read."""
    pairs = {(one.tenant, mailbox) for one in wanted for mailbox in one.mailboxes}
    there = {(row.tenant, row.mailbox): row for row in _rows.decode(run(db, FIND, (json_text(pairs),)))}
    named = [[(one.tenant, mailbox) for mailbox in one.mailboxes] for one in wanted]
    return [suppressions_from_rows(there[one] for one in some if one in there) for some in named]


def save_all(db: apsw.Connection, saves: Sequence[Sequence[SuppressionRow]]) -> Sequence[None]:
    """Keep suppressions, the last of those of one mailbox."""
    for some in portions([row for save in saves for row in save]):
        bindings = [value for row in some for value in (row.tenant, row.mailbox, row.ends, row.doc)]
        run(db, _SAVE + values(len(some), 4), bindings)
    return [None] * len(saves)


def delete_all(db: apsw.Connection, named: Sequence[tuple[str, str]]) -> Sequence[bool]:
    """Forget suppressions by tenant and mailbox, and their addresses in the file; tell each whether there was one."""
    with overwriting(db):
        return [_changed(db, _DELETE, one) > 0 for one in named]


def page_all(db: apsw.Connection, asked: Sequence[Behind]) -> Sequence[tuple[SuppressionPage, int]]:
    """Return a page for each caller, and how many on it could not be read."""
    return [_page(db, one) for one in asked]


def _page(db: apsw.Connection, asked: Behind) -> tuple[SuppressionPage, int]:
    """Return one page."""
    rows = _rows.decode(run(db, PAGE, (asked.tenant, asked.after, asked.limit + 1)))
    listed, unreadable = suppressions_from_rows(rows[: asked.limit])
    after = rows[asked.limit - 1].mailbox if len(rows) > asked.limit else None
    return SuppressionPage(listed, after), unreadable


def drop_all(db: apsw.Connection, drops: Sequence[Drop]) -> Sequence[int]:
    """Forget suppressions that have ended, for each caller in turn."""
    return [_changed(db, DROP, drop) for drop in drops]


def _changed(db: apsw.Connection, sql: str, bindings: Sequence[str | int]) -> int:
    """Run a statement; return how many rows it changed."""
    run(db, sql, bindings)
    return db.changes()
