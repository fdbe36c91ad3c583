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
_ON_TIME: Final = {"$or": [{field: {"$exists": True}} for field in WAKE.values()]}
_BY_TIME: Final[Sequence[Mapping[str, Any]]] = (
    {"$match": _ON_TIME},
    {
        "$group": {
            "_id": {"lane": "$lane", "status": "$status"},
            "count": {"$sum": 1},
            **{field: {"$min": f"${field}"} for field in WAKE.values()},
        }
    },
)
_PARKED: Final[Sequence[Mapping[str, Any]]] = (
    {"$match": {"parked": {"$exists": True}}},
    {
        "$group": {
            "_id": {"lane": "$lane", "status": "$status"},
            "count": {"$sum": 1},
            "wakes_at": {"$min": {"$arrayElemAt": [{"$split": ["$parked", "|"]}, -1]}},
        }
    },
)
"""When a parked e-mail wakes is what stands last in the text that it lies under."""


async def stock(emails: Collection) -> Sequence[Pile]:
    """Return the piles of what waits for time alone and of what waits for providers, put together."""
    piles: dict[tuple[Lane, Status], Pile] = {}
    for pipeline in (_BY_TIME, _PARKED):
        async for row in await emails.aggregate(list(pipeline)):
            for pile in _pile(row):
                piles[pile.lane, pile.status] = _together(piles.get((pile.lane, pile.status)), pile)
    return list(piles.values())


def _pile(row: Mapping[str, Any]) -> Iterator[Pile]:
    """Yield the pile of a row, unless only a newer release knows what it is."""
    lane, status = row["_id"]["lane"], row["_id"]["status"]
    if lane in _LANES and status in STATUSES:
        yield Pile(lane=Lane(lane), status=Status(status), count=row["count"], wakes_at=_wakes_at(row, Lane(lane)))


def _wakes_at(row: Mapping[str, Any], lane: Lane) -> datetime:
    """Return when the first of a pile wakes."""
    if "wakes_at" in row:
        return moment(unstamped(row["wakes_at"]))
    wakes_at: datetime = row[WAKE[lane]]
    return wakes_at


def _together(one: Pile | None, other: Pile) -> Pile:
    """Return two piles of the same as one."""
    if one is None:
        return other
    return Pile(
        lane=other.lane,
        status=other.status,
        count=one.count + other.count,
        wakes_at=min(one.wakes_at, other.wakes_at),
    )
