"""Letting go of what is old: found by walking along small indexes from the oldest on, a bounded page at a time.

There are no transactions. So what is to go is marked first, in one step with the condition that its e-mail is settled;
then the message goes, and last the mark that it is there. Whoever dies in between leaves what the next walk finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from pymongo import UpdateOne

from mailadapters.documents import UnreadableError, cursor, email_from_text, place
from mailadapters.mongo.contents import every_part
from mailadapters.mongo.schema import Collection, Collections
from mailadapters.mongo.shape import (
    KEPT_ADDRESSES,
    KEPT_CONTENT,
    LISTED,
    MESSAGE,
    TOMB,
    entombing,
    listed,
    stamp_of,
    unstamped,
)
from mailadapters.mongo.writing import Next, save_all
from mailcore.lifecycle import SETTLED, Email, EmailId
from mailcore.retention import Kept

_SETTLED: Final = sorted(str(status) for status in SETTLED)
_ORDER: Final[Mapping[Kept, str]] = MappingProxyType(
    {Kept.CONTENT: KEPT_CONTENT, Kept.ADDRESSES: KEPT_ADDRESSES, Kept.RECORD: LISTED}
)


class Walk(NamedTuple):
    """A page of a walk.

    Attributes:
        before: In milliseconds since 1970.
    """

    kept: Kept
    before: int
    after: str | None
    limit: int


class Walked(NamedTuple):
    """What was looked at, what of it cannot be read, and where to go on; None at the end."""

    emails: Sequence[Email]
    unreadable: int
    after: str | None


async def walk(emails: Collection, wanted: Walk) -> Walked:
    """Walk one page."""
    order = _ORDER[wanted.kept]
    behind = listed(*place(wanted.after)) if wanted.after is not None else ""
    window = {"$gt": behind, "$lt": stamp_of(wanted.before)}
    found = emails.find({order: window}, {"doc": 1, order: 1}, batch_size=wanted.limit + 1)
    documents = [one async for one in found.sort(order, 1).limit(wanted.limit)]
    read: list[Email] = []
    for document in documents:
        try:
            read.append(email_from_text(document["doc"]))
        except UnreadableError:
            continue
    after = _after(documents[-1][order]) if len(documents) == wanted.limit else None
    return Walked(read, len(documents) - len(read), after)


def _after(listed_at: str) -> str:
    """Return a place in lists as callers hand it back."""
    moment, _, email_id = listed_at.partition(".")
    return cursor(unstamped(moment), email_id)


async def erase(collections: Collections, email_ids: Sequence[EmailId], token: str) -> None:
    """Erase the messages of those e-mails that are settled.

    Args:
        token: Of this call alone.
    """
    settled = {"_id": {"$in": list(email_ids)}, "status": {"$in": _SETTLED}}
    await collections.emails.update_many(settled, {"$set": {"erased_by": token}})
    marked = {"_id": {"$in": list(email_ids)}, "erased_by": token}
    without = {**marked, MESSAGE: {"$exists": False}}
    apart = collections.emails.find(without, {"content": 1}, batch_size=len(email_ids) + 1)
    names = [name async for holder in apart for name in {holder["_id"], holder.get("content", holder["_id"])}]
    if names:
        gone = [part for name in names for part in every_part(name)]
        await collections.contents.delete_many({"_id": {"$in": gone}})
    left = {KEPT_CONTENT: "", MESSAGE: "", "content": "", "erased_by": ""}
    await collections.emails.update_many(marked, {"$unset": left})


def stone(tombstone: Email, token: str) -> Next:
    """Return the write that puts a tombstone in place of the version before."""
    change = UpdateOne({"_id": tombstone.id, "version": tombstone.version - 1}, entombing(tombstone, token))
    return Next(tombstone, token, change)


async def entomb_all(collections: Collections, stones: Sequence[Next]) -> Sequence[Exception | None]:
    """Put tombstones in place of e-mails that are still the version before; then their messages go."""
    told = await save_all(collections, stones)
    buried = [one.email.id for one, error in zip(stones, told, strict=True) if error is None]
    if buried:
        await erase(collections, buried, stones[0].token)
    return told


async def drop(emails: Collection, before: int, limit: int) -> int:
    """Forget some tombstones, the oldest first; return how many."""
    old = emails.find({TOMB: {"$lt": stamp_of(before)}}, {"_id": 1}, batch_size=limit + 1)
    ids = [one["_id"] async for one in old.sort(TOMB, 1).limit(limit)]
    gone = await emails.delete_many({"_id": {"$in": ids}, TOMB: {"$exists": True}})
    return gone.deleted_count
