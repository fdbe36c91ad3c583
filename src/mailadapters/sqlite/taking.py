"""Taking what is due: the one query that must cost the same however much is stored or parked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.documents import REASONS, STATUSES
from mailadapters.sqlite.rows import json_text, run
from mailcore.lifecycle import EmailId

_SETS: Final = """
    WITH RECURSIVE sets(waits) AS (
        SELECT min(blocked_on) FROM emails WHERE wake_at IS NOT NULL AND lane = ?1 AND blocked_on > ''
        UNION ALL
        SELECT (SELECT min(blocked_on) FROM emails WHERE wake_at IS NOT NULL AND lane = ?1 AND blocked_on > waits)
        FROM sets WHERE waits IS NOT NULL
    )
    SELECT json_group_array(waits) FROM sets WHERE waits IS NOT NULL
"""
"""The different sets of providers that e-mails of a lane wait for: one seek each, however many e-mails wait."""
_WAITING: Final = """
    SELECT json_group_array(json_array(wake_at, seq, id, status, reason)) FROM (
        SELECT wake_at, seq, id, status, reason FROM emails
        WHERE wake_at IS NOT NULL AND lane = ? AND blocked_on = ? AND wake_at <= ?
        ORDER BY wake_at LIMIT ?
    )
"""
_GIVEN_UP: Final = """
    SELECT json_group_array(json_array(wake_at, seq, id, status, reason)) FROM (
        SELECT wake_at, seq, id, status, reason FROM emails
        WHERE wake_at IS NOT NULL AND blocked_on <> '' AND lane = ? AND give_up_at <= ? AND wake_at <= ?
        ORDER BY give_up_at LIMIT ?
    )
"""
"""Ordered by when they are given up, which is when they became due: beyond a limit that is the longest overdue."""
_HIDE: Final = "UPDATE emails SET wake_at = ? WHERE seq IN (SELECT value FROM json_each(?))"


class Take(NamedTuple):
    """What one caller wants to take; moments in milliseconds since 1970."""

    lane: str
    now: int
    hide_until: int
    limit: int
    closed: frozenset[str]


class Taken(NamedTuple):
    """What he got, and how many documents of another release were passed over."""

    ids: Sequence[EmailId]
    unreadable: int


class _Candidate(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A row that is due; they sort by how long they are overdue."""

    wake_at: int
    seq: int
    id: str
    status: str
    reason: str

    @property
    def readable(self) -> bool:
        """Whether this release knows what its status and reason mean."""
        return self.status in STATUSES and self.reason in REASONS


_sets = msgspec.json.Decoder(list[str])
_set = msgspec.json.Decoder(list[str])
_candidates = msgspec.json.Decoder(list[_Candidate])


def take_all(db: apsw.Connection, takes: Sequence[Take]) -> Sequence[Taken | Exception]:
    """Take for each caller in turn: what one has taken, the next does not see."""
    return [_taken(db, take) for take in takes]


def _taken(db: apsw.Connection, take: Take) -> Taken:
    """Take until the limit is reached or nothing is due; what cannot be read is hidden like what is taken."""
    ids: list[EmailId] = []
    unreadable = 0
    while len(ids) < take.limit:
        some = _longest_overdue(db, take, take.limit - len(ids))
        if not some:
            break
        run(db, _HIDE, (take.hide_until, json_text([one.seq for one in some])))
        readable = [one.id for one in some if one.readable]
        ids += readable
        unreadable += len(some) - len(readable)
        if take.hide_until <= take.now:
            break
    return Taken(ids, unreadable)


def _longest_overdue(db: apsw.Connection, take: Take, limit: int) -> Sequence[_Candidate]:
    """Return at most so many of what is due, the longest overdue first."""
    sets = _sets.decode(run(db, _SETS, (take.lane,)))
    due = set(_waiting(db, take, ["", *(waits for waits in sets if _is_open(waits, take.closed))], limit))
    if sets:
        due.update(_candidates.decode(run(db, _GIVEN_UP, (take.lane, take.now, take.now, limit))))
    return sorted(due)[:limit]


def _waiting(db: apsw.Connection, take: Take, sets: Sequence[str], limit: int) -> Iterator[_Candidate]:
    """Yield the longest overdue of those that wait for each of the sets."""
    for waits in sets:
        yield from _candidates.decode(run(db, _WAITING, (take.lane, waits, take.now, limit)))


def _is_open(waits: str, closed: frozenset[str]) -> bool:
    """Return whether some provider of a set is not closed: an e-mail that waits for them is worth a look."""
    return not closed.issuperset(_set.decode(waits))
