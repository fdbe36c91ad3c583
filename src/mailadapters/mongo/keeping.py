"""The operator's switches and the leases of those who lead: a document for each, few in all."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pymongo.errors import DuplicateKeyError

from mailadapters.documents import UnreadableError, switches_from_texts
from mailadapters.mongo.schema import Collections
from mailcore.leadership import Lease
from mailcore.switches import Switch, Switches

_lease: Final = msgspec.json.Decoder(Lease)


async def load_switches(collections: Collections) -> tuple[Switches, int]:
    """Return the latest word on everything, and how many words could not be read."""
    return switches_from_texts({one["_id"]: one["doc"] async for one in collections.switches.find()})


async def save_switch(collections: Collections, name: str, switch: Switch) -> None:
    """Keep the latest word on something."""
    word = {"$set": {"doc": _text(switch)}}
    try:
        await collections.switches.update_one({"_id": name}, word, upsert=True)
    except DuplicateKeyError:  # two said the first word on it at the same time
        await collections.switches.update_one({"_id": name}, word)


async def load_lease(collections: Collections, name: str) -> Lease | None:
    """Return a lease as it is stored.

    Raises:
        UnreadableError: A newer release took it.
    """
    document = await collections.leases.find_one({"_id": name})
    return None if document is None else _read(document["doc"])


async def swap_lease(collections: Collections, before: Lease | None, after: Lease) -> bool:
    """Replace a lease if the stored one is the one before; return whether it was.

    It is read first, and compared by the fields that this release knows: a text that another release wrote is never
    the one that this one would write.

    Raises:
        UnreadableError: A newer release took it.
    """
    if before is None:
        return await _taken(collections, after)
    stored = await collections.leases.find_one({"_id": after.name})
    if stored is None or _read(stored["doc"]) != before:
        return False
    result = await collections.leases.update_one(stored, {"$set": {"doc": _text(after)}})
    return result.matched_count == 1


async def _taken(collections: Collections, lease: Lease) -> bool:
    """Take a lease that there never was; return whether there was none."""
    try:
        await collections.leases.insert_one({"_id": lease.name, "doc": _text(lease)})
    except DuplicateKeyError:
        return False
    return True


def _text(value: Any) -> str:
    """Return a value as JSON, equal for equal values."""
    return msgspec.json.encode(value).decode()


def _read(doc: str) -> Lease:
    """Return the lease of a document.

    Raises:
        UnreadableError: This release does not understand it.
    """
    try:
        return _lease.decode(doc)
    except msgspec.DecodeError as error:
        raise UnreadableError(f"a lease in the store was written by another release: {error}") from error
