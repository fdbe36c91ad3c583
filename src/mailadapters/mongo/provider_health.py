"""What all processes on one database know of the providers, for those that have no Redis to tell each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from pymongo.errors import DuplicateKeyError

from mailadapters.documents import UnreadableError, health_from_text, health_text
from mailadapters.mongo.access import Access
from mailadapters.mongo.coalescing import Coalescer
from mailadapters.mongo.schema import Collection, Collections
from mailcore.errors import HealthUnavailableError, StoreUnavailableError
from mailcore.health import Health

FRESH_FOR: Final = 0.25
"""Seconds for which a copy may be used instead of the server."""


class Change(NamedTuple):
    """How one provider's health is to change."""

    provider: str
    change: Callable[[Health], Health]


class _Known(NamedTuple):
    """A provider's health as it is stored, and its version; 0 if it is not."""

    health: Health
    version: int


class MongoHealth:
    """A ProviderHealth in one MongoDB collection.

    Attributes:
        unreadable: How often a health that this release does not understand was passed over.
    """

    def __init__(self, access: Access, monotonic: Callable[[], float]) -> None:
        self._access = access
        self._monotonic = monotonic
        self._changes: Coalescer[Change, Health] = access.coalescer("providers' health", change_all)
        self._loads: Coalescer[None, Mapping[str, Health | Exception]] = access.coalescer("providers' health", load_all)
        self._copy: dict[str, Health] = {}
        self._stale_from = float("-inf")
        self.unreadable = 0

    async def load(self) -> Mapping[str, Health]:
        asked = self._monotonic()
        if asked >= self._stale_from:
            try:
                read = await self._access.through(self._loads, None)
            except StoreUnavailableError as error:
                raise HealthUnavailableError(str(error)) from error
            self._copy = {provider: health for provider, health in read.items() if isinstance(health, Health)}
            self.unreadable += len(read) - len(self._copy)
            self._stale_from = asked + FRESH_FOR
        return dict(self._copy)

    async def update(
        self,
        provider: str,
        change: Callable[[Health], Health],
        *,
        at_once: bool = True,  # noqa: ARG002 - here every change is
    ) -> Health:
        try:
            health = await self._access.through(self._changes, Change(provider, change))
        except StoreUnavailableError as error:
            raise HealthUnavailableError(str(error)) from error
        self._copy[provider] = health
        return health


async def load_all(collections: Collections, asked: Sequence[None]) -> Sequence[Mapping[str, Health | Exception]]:
    """Return the health of every provider, the same to each caller."""
    read = {document["_id"]: _read(document["doc"]) async for document in collections.health.find()}
    return [read] * len(asked)


async def change_all(collections: Collections, changes: Sequence[Change]) -> Sequence[Health | Exception]:
    """Change the health of providers, one change after the other, and write each provider once."""
    by_provider: dict[str, list[int]] = {}
    for place, one in enumerate(changes):
        by_provider.setdefault(one.provider, []).append(place)
    answers: dict[int, Health | Exception] = {}

    async def change(provider: str, places: Sequence[int]) -> None:
        told = await _changed(collections.health, provider, [changes[place].change for place in places])
        answers.update(zip(places, told, strict=True))

    await asyncio.gather(*(change(provider, places) for provider, places in by_provider.items()))
    return [answers[place] for place in range(len(changes))]


async def _changed(
    health: Collection, provider: str, changes: Sequence[Callable[[Health], Health]]
) -> Sequence[Health | Exception]:
    """Change one provider's health, again from the start whenever another process was first."""
    while True:
        try:
            known = await _known(health, provider)
        except UnreadableError as error:
            return [error] * len(changes)
        told = _told(known.health, changes)
        last = next((one for one in reversed(told) if isinstance(one, Health)), known.health)
        if last is known.health or await _replaced(health, provider, known.version, last):
            return told


def _told(before: Health, changes: Sequence[Callable[[Health], Health]]) -> Sequence[Health | Exception]:
    """Return what each caller is told; a change that raises changes nothing."""
    told: list[Health | Exception] = []
    for change in changes:
        try:
            before = change(before)
        except Exception as error:  # noqa: BLE001 - its caller raises it
            told.append(error)
        else:
            told.append(before)
    return told


async def _known(health: Collection, provider: str) -> _Known:
    """Return a provider's health as it is stored.

    Raises:
        UnreadableError: This release does not understand it.
    """
    document = await health.find_one({"_id": provider})
    return _Known(Health(), 0) if document is None else _Known(health_from_text(document["doc"]), document["version"])


async def _replaced(health: Collection, provider: str, version: int, new: Health) -> bool:
    """Replace a provider's health unless somebody else has; return whether it was."""
    change = {"$set": {"doc": health_text(new), "version": version + 1}}
    try:
        result = await health.update_one({"_id": provider, "version": version}, change, upsert=version == 0)
    except DuplicateKeyError:
        return False
    return bool(result.matched_count or result.upserted_id is not None)


def _read(doc: str) -> Health | Exception:
    """Return a provider's health, or why it cannot be read."""
    try:
        return health_from_text(doc)
    except UnreadableError as error:
        return error
