"""API keys and the pepper of their digests: a document for each key that was ever made, few in all."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pymongo.errors import DuplicateKeyError

from mailadapters.documents import key_text, keys_from_texts
from mailadapters.mongo.schema import Collections
from mailcore.keys import ApiKey, ApiKeys

_PEPPER: Final = "pepper"


async def load_keys(collections: Collections) -> ApiKeys:
    """Return all keys, by id."""
    return keys_from_texts([document["doc"] async for document in collections.keys.find()])


async def save_key(collections: Collections, key: ApiKey) -> bool:
    """Keep a key if the version before is kept, or none if it is the first; return whether that was so."""
    if key.version == 1:
        return await _added(collections, key)
    before = {"_id": key.id, "version": key.version - 1}
    after = {"$set": {"version": key.version, "doc": key_text(key)}}
    result = await collections.keys.update_one(before, after)
    return result.matched_count == 1


async def _added(collections: Collections, key: ApiKey) -> bool:
    """Keep a new key; return whether its id was free."""
    try:
        await collections.keys.insert_one({"_id": key.id, "version": 1, "doc": key_text(key)})
    except DuplicateKeyError:
        return False
    return True


async def keep_pepper(collections: Collections, offered: str) -> str:
    """Return the pepper that is kept; the one that is offered, if there was none."""
    with suppress(DuplicateKeyError):  # another process was first
        await collections.pepper.update_one({"_id": _PEPPER}, {"$setOnInsert": {"text": offered}}, upsert=True)
    document = await collections.pepper.find_one({"_id": _PEPPER})
    assert document is not None
    text: str = document["text"]
    return text
