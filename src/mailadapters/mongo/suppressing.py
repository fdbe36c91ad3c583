"""The suppression list: a document for each mailbox of a tenant, whose `_id` says both.

So it is found by `_id` alone, on one shard, and a tenant's list is a span of them. The tenant's length stands before
its name, so that no tenant and mailbox run together to another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from mailadapters.documents import SuppressionRow, suppressions_from_rows
from mailadapters.mongo.coalescing import portions
from mailadapters.mongo.schema import ENDS, Collection, Collections
from mailadapters.mongo.shape import Document
from mailcore.suppression import Suppression, SuppressionPage

_AT_ONCE: Final = 4096
"""So many mailboxes are asked for, or written, in one command: far fewer bytes than one may have."""


class Wanted(NamedTuple):
    """Mailboxes that a tenant's e-mail has."""

    tenant: str
    mailboxes: frozenset[str]


async def has_any(collections: Collections) -> bool:
    """Whether there is any, of any tenant."""
    return await collections.suppressions.find_one({}, {"_id": 1}) is not None


async def find_all(
    collections: Collections, wanted: Sequence[Wanted]
) -> Sequence[tuple[Sequence[Suppression], int] | Exception]:
    """Return the suppressions of each caller's mailboxes, and how many of them could not be read."""
    named = [[_id(one.tenant, mailbox) for mailbox in one.mailboxes] for one in wanted]
    there: dict[str, SuppressionRow] = {}
    for ids in portions(list({one for some in named for one in some}), _AT_ONCE):
        found = collections.suppressions.find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
        there |= {one["_id"]: _row(one) async for one in found}
    return [suppressions_from_rows(there[one] for one in some if one in there) for some in named]


async def save(suppressions: Collection, rows: Sequence[SuppressionRow]) -> None:
    """Keep suppressions, the last of those of one mailbox."""
    last = {document["_id"]: document for document in map(_document, rows)}
    writes = [ReplaceOne({"_id": name}, document, upsert=True) for name, document in last.items()]
    for some in portions(writes, _AT_ONCE):
        try:
            await suppressions.bulk_write(some, ordered=False)
        except BulkWriteError:  # two may have said the first word on one at the same time; a repeat does no harm
            await suppressions.bulk_write(some, ordered=False)


async def delete(suppressions: Collection, tenant: str, mailbox: str) -> bool:
    """Forget a suppression; return whether there was one."""
    result = await suppressions.delete_one({"_id": _id(tenant, mailbox)})
    return result.deleted_count == 1


async def page(suppressions: Collection, tenant: str, after: str, limit: int) -> tuple[SuppressionPage, int]:
    """Return a page of a tenant's list, and how many on it could not be read."""
    span = {"$gt": _id(tenant, after), "$lt": _end(tenant)}
    found = suppressions.find({"_id": span}, batch_size=limit + 2)
    rows = [_row(one) async for one in found.sort("_id", 1).limit(limit + 1)]
    listed, unreadable = suppressions_from_rows(rows[:limit])
    return SuppressionPage(listed, rows[limit - 1].mailbox if len(rows) > limit else None), unreadable


async def drop(suppressions: Collection, before: int, limit: int) -> int:
    """Forget some suppressions that have ended, those that did first; return how many."""
    ended = {ENDS: {"$lt": before}}
    found = suppressions.find(ended, {"_id": 1}, batch_size=limit + 1)
    ids = [one["_id"] async for one in found.sort(ENDS, 1).limit(limit)]
    gone = await suppressions.delete_many({"_id": {"$in": ids}, **ended})  # a later word may have come meanwhile
    return gone.deleted_count


def _id(tenant: str, mailbox: str) -> str:
    """Return the name of a tenant's mailbox, in the order of mailboxes."""
    return f"{len(tenant)}.{tenant}.{mailbox}"


def _end(tenant: str) -> str:
    """Return what stands behind all names of a tenant's mailboxes: the slash follows the full stop."""
    return f"{len(tenant)}.{tenant}/"


def _document(row: SuppressionRow) -> Document:
    """Return a suppression as a document; one that does not end says nothing of an end."""
    ends = {} if row.ends is None else {ENDS: row.ends}
    name = _id(row.tenant, row.mailbox)
    return {"_id": name, "tenant": row.tenant, "mailbox": row.mailbox, "doc": row.doc, **ends}


def _row(document: Document) -> SuppressionRow:
    """Return the suppression of a document."""
    return SuppressionRow(document["tenant"], document["mailbox"], document.get(ENDS), document["doc"])
