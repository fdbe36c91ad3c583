"""Counting what is unfinished, by the sparse indexes that hold nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mailadapters.documents import STATUSES, moment
from mailadapters.mongo.schema import Collection
from mailadapters.mongo.shape import WAKE, unstamped
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.stock import Pile

_LANES: Final = frozenset(str(lane) for lane in Lane)
_PARKED: Final = "parked"
_WAKES: Final = (*WAKE.values(), _PARKED)
_PIPELINE: Final[Sequence[Mapping[str, Any]]] = (
    {"$match": {"$or": [{field: {"$exists": True}} for field in _WAKES]}},
    {
        "$group": {
            "_id": {"lane": "$lane", "status": "$status"},
            "count": {"$sum": 1},
            **{field: {"$min": f"${field}"} for field in WAKE.values()},
            _PARKED: {"$min": {"$arrayElemAt": [{"$split": [f"${_PARKED}", "|"]}, -1]}},
        }
    },
)
"""When a parked e-mail wakes is what stands last in the text that it lies under.

It is one query, and so one look: with one for each kind, an e-mail that is parked between the two would be in both.
"""


async def stock(emails: Collection) -> Sequence[Pile]:
    """Return the piles of what waits for time alone and of what waits for providers, put together."""
    return [pile async for row in await emails.aggregate(list(_PIPELINE)) for pile in _pile(row)]


def _pile(row: Mapping[str, Any]) -> Iterator[Pile]:
    """Yield the pile of a row, unless only a newer release knows what it is, or all of it settled meanwhile."""
    lane, status = row["_id"]["lane"], row["_id"]["status"]
    if lane in _LANES and status in STATUSES and (wakes := list(_wakes_at(row, Lane(lane)))):
        yield Pile(lane=Lane(lane), status=Status(status), count=row["count"], wakes_at=min(wakes))


def _wakes_at(row: Mapping[str, Any], lane: Lane) -> Iterator[datetime]:
    """Yield when the first of those wakes that wait for time alone, and of those that are parked."""
    if (on_time := row[WAKE[lane]]) is not None:
        yield on_time
    if (parked := row[_PARKED]) is not None:
        yield moment(unstamped(parked))
