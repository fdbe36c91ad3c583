"""Messages: a small one lies in its e-mail's document and is written with it, a larger one apart and before it.

What lies apart has its e-mail's id, which may be taken: by the very e-mail that holds it, by somebody who died before
he added his e-mail, or by one who is about to. In the latter cases the newcomer writes his message under a name of
his own, and has his e-mail say where its message is; so whichever e-mail wins, its own message goes with it.

A message beyond one document's size is several documents. (GridFS would do that too, but its unique index on the
number of a part cannot be had on a collection that is sharded by a hashed `_id`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pymongo.errors import BulkWriteError

from mailadapters.documents import UnreadableError, message_from_bytes
from mailadapters.mongo.faults import DUPLICATE_KEY
from mailadapters.mongo.schema import Collection, Collections
from mailadapters.mongo.shape import MESSAGE, Document
from mailcore.errors import EmailNotFoundError
from mailcore.lifecycle import EmailId
from mailcore.message import Message

PART: Final = 12 * 1024 * 1024
"""Bytes of a message in one document, which may have 16 MiB."""
PARTS: Final = 8
"""At most so many documents; a request of 25 MiB makes three."""


def part_id(content_id: str, number: int) -> str:
    """Return the name of a part; the first has the content's own."""
    return f"{content_id}#{number}" if number else content_id


def every_part(content_id: str) -> list[str]:
    """Return the names of all parts that a message may have."""
    return [part_id(content_id, number) for number in range(PARTS)]


def documents(content_id: str, octets: bytes) -> list[Document]:
    """Return the documents of a message, the last parts first.

    Raises:
        ValueError: It is larger than any message may be.
    """
    count = max(1, -(-len(octets) // PART))
    if count > PARTS:
        raise ValueError(f"a message of {len(octets)} bytes is larger than {PARTS * PART}")
    parts: list[Document] = [
        {"_id": part_id(content_id, number), "doc": octets[number * PART : (number + 1) * PART]}
        for number in range(count)
    ]
    if count > 1:
        parts[0]["parts"] = count
    return parts[::-1]


async def inserted(collection: Collection, new: Sequence[Document]) -> set[str]:
    """Insert documents; return the ids that were taken.

    Raises:
        BulkWriteError: Something else was wrong with one of them, or most of the replica set did not confirm.
    """
    try:
        await collection.insert_many(new, ordered=False)
    except BulkWriteError as error:
        wrong = error.details["writeErrors"]
        if error.details.get("writeConcernErrors") or any(one["code"] != DUPLICATE_KEY for one in wrong):
            raise
        return {new[one["index"]]["_id"] for one in wrong}
    return set()


async def put(contents: Collection, octets: Mapping[str, bytes]) -> set[str]:
    """Write messages by their names; return the names that were taken, if only in a part."""
    if not octets:
        return set()
    parts = {content_id: documents(content_id, some) for content_id, some in octets.items()}
    taken = await inserted(contents, [document for some in parts.values() for document in some])
    return {content_id for content_id, some in parts.items() if not taken.isdisjoint(one["_id"] for one in some)}


async def remove(contents: Collection, octets: Mapping[str, bytes]) -> None:
    """Take back messages whose e-mails turned out to be there already."""
    ids = [one["_id"] for content_id, some in octets.items() for one in documents(content_id, some)]
    await contents.delete_many({"_id": {"$in": ids}})


async def content_all(collections: Collections, email_ids: Sequence[EmailId]) -> Sequence[Message | Exception]:
    """Return messages by their e-mails' ids."""
    holders = await _some(collections.emails, set(email_ids), {MESSAGE: 1, "content": 1})
    octets: dict[EmailId, bytes | None] = {one["_id"]: one[MESSAGE] for one in holders if MESSAGE in one}
    names: dict[str, EmailId] = {one.get("content") or one["_id"]: one["_id"] for one in holders if MESSAGE not in one}
    for head in await _some(collections.contents, names):
        octets[names[head["_id"]]] = await _whole(collections.contents, head)
    return [_read(octets[one]) if one in octets else EmailNotFoundError(f"no content of {one}") for one in email_ids]


async def _some(collection: Collection, ids: Iterable[str], fields: Document | None = None) -> Sequence[Document]:
    """Return those of some documents that there are."""
    wanted = list(ids)
    if not wanted:
        return []
    return await collection.find({"_id": {"$in": wanted}}, fields, batch_size=len(wanted) + 1).to_list()


async def _whole(contents: Collection, head: Document) -> bytes | None:
    """Return all of a message; None if a part is gone."""
    if "parts" not in head:
        octets: bytes = head["doc"]
        return octets
    ids = [part_id(head["_id"], number) for number in range(1, head["parts"])]
    tail = {part["_id"]: part["doc"] async for part in contents.find({"_id": {"$in": ids}})}
    return b"".join([head["doc"], *(tail[one] for one in ids)]) if len(tail) == len(ids) else None


def _read(octets: bytes | None) -> Message | Exception:
    """Return a message, or why it cannot be read."""
    if octets is None:
        return EmailNotFoundError("a part of this content is gone")
    try:
        return message_from_bytes(octets)
    except UnreadableError as error:
        return error
