"""Taking what is due: few round trips, whose cost follows what is taken and never what is stored or parked.

What is due is looked for first, then hidden by an update that carries the same conditions and a token. So whoever's
update came first has a document, whatever others read before; and if the update found fewer than were looked for,
the tokens tell which. What an update hid whose answer was lost is due again when its hiding ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from pymongo import UpdateMany

from mailadapters.documents import REASONS, STATUSES
from mailadapters.mongo.schema import Collection
from mailadapters.mongo.shape import WAKE, Document, lapse, parked, stamp
from mailcore.lifecycle import EmailId
from mailcore.ports import Due

_LAST: Final = "~"
"""Sorts behind every moment."""
_FIELDS: Final = {"status": 1, "reason": 1}

_set = msgspec.json.Decoder(list[str])


class Take(NamedTuple):
    """What one caller wants to take."""

    due: Due
    now: datetime
    token: str

    @property
    def hide_until(self) -> datetime:
        """When it may be taken again."""
        return self.now + self.due.hide_for


class Taken(NamedTuple):
    """What he got, and how many documents of another release were passed over."""

    ids: Sequence[EmailId]
    unreadable: int


class _Candidate(NamedTuple):
    """An e-mail that is due; they sort by how long they are overdue.

    Attributes:
        waits: The providers that it waits for; empty if it waits for time alone.
        readable: This release knows what its status and reason mean.
    """

    wake_at: str
    id: EmailId
    waits: str
    readable: bool


async def take(emails: Collection, wanted: Take) -> Taken:
    """Take until the limit is reached or nothing is due; what cannot be read is hidden like what is taken."""
    ids: list[EmailId] = []
    unreadable = 0
    while (room := wanted.due.limit - len(ids)) > 0:
        some = await _longest_overdue(emails, wanted, room)
        mine = await _hidden(emails, wanted, some)
        ids += [one.id for one in mine if one.readable]
        unreadable += sum(not one.readable for one in mine)
        if len(some) < room or wanted.hide_until <= wanted.now:
            break
    return Taken(ids, unreadable)


async def _longest_overdue(emails: Collection, wanted: Take, limit: int) -> Sequence[_Candidate]:
    """Return at most so many of what is due, the longest overdue first."""
    plain, sets = await asyncio.gather(_plain(emails, wanted, limit), _sets(emails, wanted.due.lane))
    if not sets:
        return plain
    due = set(plain)
    looks = [_waiting(emails, wanted, waits, limit) for waits in sets if _is_open(waits, wanted.due.closed)]
    for found in await asyncio.gather(_lapsed(emails, wanted, limit), *looks):
        due.update(found)
    return sorted(due)[:limit]


async def _plain(emails: Collection, wanted: Take, limit: int) -> Sequence[_Candidate]:
    """Return the longest overdue of those that wait for time alone."""
    field = WAKE[wanted.due.lane]
    found = emails.find({field: {"$lte": wanted.now}}, {**_FIELDS, field: 1}, batch_size=limit + 1)
    return [_candidate(one, stamp(one[field]), "") async for one in found.sort(field, 1).limit(limit)]


async def _sets(emails: Collection, lane: str) -> Sequence[str]:
    """Return the different sets of providers that e-mails of a lane wait for: one seek for each."""
    sets: list[str] = []
    behind = f"{lane}|"
    while first := await _next_parked(emails, behind, f"{lane}|{_LAST}"):
        sets.append(_waits(first["parked"]))
        behind = parked(lane, sets[-1], _LAST)
    return sets


async def _next_parked(emails: Collection, behind: str, until: str) -> Document | None:
    """Return the next e-mail in the index of the parked ones."""
    return await emails.find_one({"parked": {"$gt": behind, "$lt": until}}, {"parked": 1}, sort=[("parked", 1)])


async def _waiting(emails: Collection, wanted: Take, waits: str, limit: int) -> Sequence[_Candidate]:
    """Return the longest overdue of those that wait for a set of providers."""
    found = emails.find(_due_parked(wanted, waits), {**_FIELDS, "parked": 1}, batch_size=limit + 1)
    return [_parked_candidate(one) async for one in found.sort("parked", 1).limit(limit)]


async def _lapsed(emails: Collection, wanted: Take, limit: int) -> Sequence[_Candidate]:
    """Return those that must be looked at whatever they wait for."""
    lane = wanted.due.lane
    window = {"$gte": lapse(lane, ""), "$lte": lapse(lane, stamp(wanted.now))}
    found = emails.find({"lapse": window}, {**_FIELDS, "parked": 1}, batch_size=limit + 1)
    return [_parked_candidate(one) async for one in found.sort("lapse", 1).limit(limit)]


def _due_parked(wanted: Take, waits: str) -> Document:
    """Return the condition on those that wait for a set of providers and are due."""
    lane = wanted.due.lane
    return {"parked": {"$gte": parked(lane, waits, ""), "$lte": parked(lane, waits, stamp(wanted.now))}}


def _candidate(document: Document, wake_at: str, waits: str) -> _Candidate:
    """Return what is known of a document that is due."""
    readable = document["status"] in STATUSES and document["reason"] in REASONS
    return _Candidate(wake_at, document["_id"], waits, readable)


def _parked_candidate(document: Document) -> _Candidate:
    """Return what is known of a document that is due and parked."""
    place: str = document["parked"]
    return _candidate(document, place.rpartition("|")[2], _waits(place))


def _waits(place: str) -> str:
    """Return the set of providers in the text of a parked e-mail."""
    return place.partition("|")[2].rpartition("|")[0]


def _is_open(waits: str, closed: frozenset[str]) -> bool:
    """Return whether some provider of a set is not closed: an e-mail that waits for them is worth a look."""
    return not closed.issuperset(_set.decode(waits))


async def _hidden(emails: Collection, wanted: Take, some: Sequence[_Candidate]) -> Sequence[_Candidate]:
    """Hide what is due; return what nobody else had hidden before."""
    if not some:
        return some
    ids: dict[str, list[EmailId]] = {}
    for one in some:
        ids.setdefault(one.waits, []).append(one.id)
    updates = [_hiding(wanted, waits, those) for waits, those in ids.items()]
    result = await emails.bulk_write(updates, ordered=False)
    if result.matched_count == len(some):
        return some
    mine = emails.find({"_id": {"$in": [one.id for one in some]}, "taken_by": wanted.token}, {"_id": 1})
    won = {one["_id"] async for one in mine}
    return [one for one in some if one.id in won]


def _hiding(wanted: Take, waits: str, ids: Sequence[EmailId]) -> UpdateMany:
    """Return the update that hides those of some e-mails that are still due."""
    lane, until = wanted.due.lane, wanted.hide_until
    if not waits:
        field = WAKE[lane]
        still = {"_id": {"$in": ids}, field: {"$lte": wanted.now}}
        return UpdateMany(still, {"$set": {field: until, "taken_by": wanted.token}})
    hidden = {"parked": parked(lane, waits, stamp(until)), "taken_by": wanted.token}
    still = {"_id": {"$in": ids}, **_due_parked(wanted, waits)}
    return UpdateMany(still, {"$set": hidden, "$max": {"lapse": lapse(lane, stamp(until))}})
