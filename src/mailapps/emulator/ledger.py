"""The ledger: every request to a provider in order, with the verdict it was given, for tests to count.

A row is in the ledger, and in its file, before the sender hears the answer: whatever a crash of either side
hides, the ledger tells what the provider took.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

ROWS = 100_000
RECIPIENTS = 100
DETAIL = 300
_APPEND = os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC


class Row(Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        seq: Counted from 1 since the server started; deleting rows does not start it anew.
        email_id: The sender's own id, from the metadata `mailcore_id`.
        key: The key of its series of attempts, from the metadata `mailcore_key`.
        verdict: `accepted`, `refused`, or `checked` (a test mode that sends nothing, or a question).
        status: What was answered; None if the fault let no answer out.
        recipients: The first 100 of them.
        detail: What was said to one that was refused, its first 300 characters; else empty.
        fault: What was scripted; None for the provider's own behaviour.
        finished_at: When the last byte was written or the connection was given up; None until then.
    """

    seq: int
    received_at: datetime
    provider: str
    email_id: str | None
    key: str | None
    sender: str
    recipients: tuple[str, ...]
    verdict: str
    status: int | None
    fault: str | None
    message_id: str | None
    detail: str = ""
    finished_at: datetime | None = None


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows are asked for; None is any."""

    provider: str | None = None
    email_id: str | None = None
    verdict: str | None = None
    after: int = 0


class Ledger:
    """The latest rows in memory, and all of them in a file if one is named.

    Attributes:
        dropped: How many of the oldest rows had to go.
    """

    def __init__(self, *, limit: int = ROWS, path: Path | None = None) -> None:
        """Open the file for appending.

        Raises:
            OSError: The file cannot be written.
        """
        self._limit = limit
        self._rows: dict[int, Row] = {}
        self._file = None if path is None else os.open(path, _APPEND, 0o600)
        self.dropped = 0
        self.seq = 0

    def next_seq(self) -> int:
        """Return the number of the request that has just come."""
        self.seq += 1
        return self.seq

    def write(self, row: Row) -> None:
        """Keep a row, in the file first; the oldest one goes if there are too many."""
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(row) + b"\n")
        self._rows[row.seq] = row
        if self._rows.pop(row.seq - self._limit, None):
            self.dropped += 1

    def finish(self, seq: int, now: datetime) -> None:
        """Note when a request was over; nothing happens to a row that is gone."""
        if row := self._rows.get(seq):
            self._rows[seq] = msgspec.structs.replace(row, finished_at=now)

    def rows(self, wanted: Wanted) -> Iterator[Row]:
        """Yield the rows asked for, the oldest first."""
        for row in self._rows.values():
            if row.seq > wanted.after and _matches(row, wanted):
                yield row

    def clear(self) -> None:
        """Forget all rows; the file keeps them."""
        self._rows.clear()
        self.dropped = 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _matches(row: Row, wanted: Wanted) -> bool:
    """Tell whether a row is one of those asked for."""
    return (
        wanted.provider in (None, row.provider)
        and wanted.email_id in (None, row.email_id)
        and wanted.verdict in (None, row.verdict)
    )
