"""Lists, newest first, by any filter: what has no index is looked for a bounded span at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import apsw

from mailadapters.documents import UnreadableError, email_from_text, millis
from mailadapters.sqlite.rows import Binding, run
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.ports import Query

SPAN: Final = 5000
"""So many e-mails are looked at in one go; then other readers have their turn."""

_STATUS: Final = {status: f"status = '{status}'" for status in Status}
"""As literals, without which the partial indexes are not used."""
_METADATA: Final = "EXISTS (SELECT 1 FROM json_each(doc, '$.metadata') WHERE key = ? AND value = ?)"
_TO: Final = "EXISTS (SELECT 1 FROM json_each(doc, '$.recipients') WHERE value = ?)"
_TAG: Final = "EXISTS (SELECT 1 FROM json_each(doc, '$.tags') WHERE value = ?)"
_PROVIDER: Final = "EXISTS (SELECT 1 FROM json_each(doc, '$.attempts') WHERE value ->> '$.provider' = ?)"
_LINES: Final = """
    SELECT group_concat(line, char(10)) FROM (
        SELECT created_at || ' ' || id || ' ' || doc AS line FROM emails{where}
        ORDER BY created_at DESC, id DESC LIMIT ?
    )
"""
_END: Final = "SELECT created_at, id FROM emails{where} ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?"

Place = tuple[int, EmailId]


class Span(NamedTuple):
    """A part of a list to look through, from behind a place on."""

    query: Query
    after: Place | None
    limit: int


class Found(NamedTuple):
    """What was found, and the place to go on from; None at the end."""

    emails: Sequence[Email]
    unreadable: int
    after: Place | None


def find_all(db: apsw.Connection, spans: Sequence[Span]) -> Sequence[Found | Exception]:
    """Look through a span for each caller."""
    return [_found(db, span) for span in spans]


def count_all(db: apsw.Connection, queries: Sequence[Query]) -> Sequence[int | Exception]:
    """Count for each caller."""
    return [_counted(db, query) for query in queries]


def _counted(db: apsw.Connection, query: Query) -> int:
    """Return how many e-mails a query finds."""
    where, bindings = _where([*_compared(query), *_created(query), *_contained(query)])
    return int(run(db, f"SELECT count(*) FROM emails{where}", bindings))  # noqa: S608 - constants


def _found(db: apsw.Connection, span: Span) -> Found:
    """Look through one span."""
    place = [("(created_at, id) < (?, ?)", span.after)] if span.after else []
    within = [*place, *_created(span.query)]
    end = _end(db, within)
    until = [("(created_at, id) >= (?, ?)", end)] if end else []
    where, bindings = _where([*within, *until, *_compared(span.query), *_contained(span.query)])
    lines: str | None = run(db, _LINES.format(where=where), (*bindings, span.limit))
    return _read(lines.split("\n") if lines else [], span.limit, end)


def _end(db: apsw.Connection, within: Sequence[tuple[str, Sequence[Binding]]]) -> Place | None:
    """Return the last place of a span; None if there is not that much left."""
    where, bindings = _where(within)
    place: Place | None = run(db, _END.format(where=where), (*bindings, SPAN - 1))
    return place


def _read(lines: Sequence[str], limit: int, end: Place | None) -> Found:
    """Return what stands in the lines; go on behind the last of them if there may be more in this span."""
    emails: list[Email] = []
    unreadable = 0
    after = end
    for created_at, email_id, doc in (line.split(" ", 2) for line in lines):
        if len(lines) == limit:
            after = (int(created_at), email_id)
        try:
            emails.append(email_from_text(doc))
        except UnreadableError:
            unreadable += 1
    return Found(emails, unreadable, after)


def _where(conditions: Sequence[tuple[str, Sequence[Binding]]]) -> tuple[str, tuple[Binding, ...]]:
    """Return the WHERE clause of conditions that must all hold, and its bindings."""
    bindings = tuple(one for _, some in conditions for one in some)
    return (" WHERE " + " AND ".join(text for text, _ in conditions) if conditions else "", bindings)


def _compared(query: Query) -> Iterator[tuple[str, Sequence[Binding]]]:
    """Yield the conditions on single columns."""
    if query.status is not None:
        yield _STATUS[query.status], ()
    if query.possible_duplicate is not None:
        yield f"possible_duplicate = {query.possible_duplicate:d}", ()
    columns = {"tenant = ?": query.tenant, "reason = ?": query.reason, "lane = ?": query.lane}
    yield from ((text, (value,)) for text, value in columns.items() if value is not None)


def _created(query: Query) -> Iterator[tuple[str, Sequence[Binding]]]:
    """Yield the conditions on when it was created."""
    if query.created_after is not None:
        yield "created_at >= ?", (millis(query.created_after),)
    if query.created_before is not None:
        yield "created_at < ?", (millis(query.created_before),)


def _contained(query: Query) -> Iterator[tuple[str, Sequence[Binding]]]:
    """Yield the conditions on what stands in the document, which cost the most."""
    texts = {_TO: query.to, _TAG: query.tag, _PROVIDER: query.provider}
    yield from ((text, (value,)) for text, value in texts.items() if value is not None)
    yield from ((_METADATA, pair) for pair in query.metadata.items())
