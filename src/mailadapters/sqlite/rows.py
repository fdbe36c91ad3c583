"""How an e-mail stands in its row, and how many rows go through SQLite in one step.

Every step of a statement lets go of Python's lock and must have it back, which may take as long as whatever the
event loop is busy with. So statements here take or give all rows in one step: VALUES with many rows in, texts that
SQLite joined out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

import apsw
import msgspec

from mailadapters.documents import email_text, millis
from mailcore.lifecycle import Email

T = TypeVar("T")

PORTION: Final = 32
"""So many rows go through one statement at most, where a batch may have any number."""

Binding = str | bytes | int | None

COLUMNS: Final = (
    "id",
    "version",
    "tenant",
    "status",
    "reason",
    "lane",
    "created_at",
    "wake_at",
    "give_up_at",
    "blocked_on",
    "possible_duplicate",
    "addressed",
    "doc",
)


class Row(NamedTuple):
    """An e-mail's row, in the order of COLUMNS."""

    id: str
    version: int
    tenant: str
    status: str
    reason: str
    lane: str
    created_at: int
    wake_at: int | None
    give_up_at: int
    blocked_on: str
    possible_duplicate: int
    addressed: int
    doc: str


def row(email: Email) -> Row:
    """Return the row of an e-mail."""
    wake_at = email.wake_at
    return Row(
        id=email.id,
        version=email.version,
        tenant=email.tenant,
        status=email.status,
        reason=email.reason,
        lane=email.lane,
        created_at=millis(email.created_at),
        wake_at=None if wake_at is None else millis(wake_at),
        give_up_at=millis(email.give_up_at),
        blocked_on=blocked_text(email.blocked_on),
        possible_duplicate=email.possible_duplicate,
        addressed=bool(email.recipients),
        doc=email_text(email),
    )


def blocked_text(providers: Sequence[str]) -> str:
    """Return what an e-mail waits for as one text, equal for equal providers; empty if it waits for time alone."""
    return json_text(providers) if providers else ""


def json_text(value: Any) -> str:
    """Return a value as JSON, for statements that take a list in one binding."""
    return msgspec.json.encode(value).decode()


def run(db: apsw.Connection, sql: str, bindings: Sequence[Binding] = ()) -> Any:
    """Run one statement, or several that give nothing; return the one value or row that it gives, or None.

    It is not asked whether there are more rows: that would be a step, too.
    """
    row = db.execute(sql, bindings).fetchone()  # pyright: ignore[reportUnknownMemberType] - its stub needs Python 3.12
    return row if row is None or len(row) > 1 else row[0]


def portions(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield all in portions of at most PORTION, for each of whose sizes one statement is prepared."""
    for start in range(0, len(many), PORTION):
        yield many[start : start + PORTION]


def size_of(rows: int) -> int:
    """Return for how many rows the statement is made that takes so many: sizes are few, so each is prepared once."""
    return 1 << (rows - 1).bit_length() if rows < PORTION else -(-rows // PORTION) * PORTION


def filled(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Return rows as the bindings of a statement of that size: the rest of it are NULLs, which match nothing."""
    return flat(rows) + (None,) * (len(rows[0]) * (size_of(len(rows)) - len(rows)))


def flat(rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
    """Return the values of many rows as the bindings of one statement."""
    return tuple(chain.from_iterable(rows))


@cache
def values(rows: int, columns: int) -> str:
    """Return the VALUES clause for so many rows."""
    one = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([one] * rows)}"
