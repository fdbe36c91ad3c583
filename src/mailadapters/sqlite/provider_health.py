"""What all processes on one file know of the providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.documents import UnreadableError, health_from_text, health_text
from mailadapters.sqlite.access import Access
from mailadapters.sqlite.rows import flat, json_text, portions, run, values
from mailcore.errors import HealthUnavailableError, StoreUnavailableError
from mailcore.health import Health

FRESH_FOR: Final = 0.25
"""Seconds for which a copy may be used instead of the file."""

_ALL: Final = "SELECT json_group_object(provider, doc) FROM health"
_SOME: Final = """
    SELECT json_group_object(provider, doc) FROM health WHERE provider IN (SELECT value FROM json_each(?))
"""
_REPLACE: Final = "REPLACE INTO health (provider, doc) "

_docs = msgspec.json.Decoder(dict[str, str])


class Change(NamedTuple):
    """How one provider's health is to change."""

    provider: str
    change: Callable[[Health], Health]


class SqliteHealth:
    """A ProviderHealth in one SQLite file, changed by the thread that writes it.

    Attributes:
        unreadable: How often a health that this release does not understand was passed over.
    """

    def __init__(self, access: Access, monotonic: Callable[[], float]) -> None:
        self._access = access
        self._monotonic = monotonic
        self._copy: dict[str, Health] = {}
        self._stale_from = float("-inf")
        self.unreadable = 0

    async def load(self) -> Mapping[str, Health]:
        asked = self._monotonic()
        if asked >= self._stale_from:
            try:
                loaded, unreadable = await self._access.read(load_all, None)
            except StoreUnavailableError as error:
                raise HealthUnavailableError(str(error)) from error
            self.unreadable += unreadable
            self._copy = loaded
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
            health = await self._access.write(change_all, Change(provider, change))
        except StoreUnavailableError as error:
            raise HealthUnavailableError(str(error)) from error
        self._copy[provider] = health
        return health


def load_all(db: apsw.Connection, asked: Sequence[None]) -> Sequence[tuple[dict[str, Health], int] | Exception]:
    """Return the health of every provider, the same to each caller, and how many could not be read."""
    docs = _docs.decode(run(db, _ALL))
    read = {provider: _read(doc) for provider, doc in docs.items()}
    loaded = {provider: health for provider, health in read.items() if isinstance(health, Health)}
    return [(loaded, len(read) - len(loaded))] * len(asked)


def change_all(db: apsw.Connection, changes: Sequence[Change]) -> Sequence[Health | Exception]:
    """Change the health of providers, one change after the other, and write each provider once."""
    providers = {one.provider for one in changes}
    docs = _docs.decode(run(db, _SOME, (json_text(providers),)))
    now: dict[str, Health | Exception] = {name: _read(docs[name]) if name in docs else Health() for name in providers}
    answers = [_changed(now, one) for one in changes]
    changed = [(name, health_text(health)) for name, health in now.items() if isinstance(health, Health)]
    for some in portions(changed):
        run(db, _REPLACE + values(len(some), 2), flat(some))
    return answers


def _changed(now: dict[str, Health | Exception], one: Change) -> Health | Exception:
    """Change what is known of a provider, unless it cannot be read."""
    before = now[one.provider]
    if isinstance(before, Health):
        now[one.provider] = before = one.change(before)
    return before


def _read(doc: str) -> Health | Exception:
    """Return a provider's health, or why it cannot be read."""
    try:
        return health_from_text(doc)
    except UnreadableError as error:
        return error
