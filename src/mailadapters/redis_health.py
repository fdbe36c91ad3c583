"""What all workers know of the providers, in Redis; and what this one goes on by while Redis does not answer.

Every process has a copy, at most 250 ms old, to which it makes its own changes at once. Reports are gathered and
written four times a second, what others must know now (an opening, a throttling) at once; what must be asked of all
(a permit, a turn, a token of the budget) is decided by the write itself. All of it is the same pure functions: a
write that others were faster than is decided again from theirs.

Without Redis the copy is all there is, and changes are made to it alone. When Redis is back, or has lost what it
held, the worse of the copy and the record is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import redis.asyncio

from mailadapters.reach import Reach, UnreachableError
from mailadapters.redis_records import REPLACE, Record, UnreadableRecordError, octets_of, record_of
from mailadapters.redis_wishes import (
    Change,
    Known,
    Made,
    Wish,
    answer,
    folded,
    is_pressing,
    kept,
    merged_first,
    strand,
    with_own,
)
from mailadapters.system import new_token
from mailcore.events import unexpected
from mailcore.health import Health

FRESH_FOR: Final = 0.25
"""Seconds for which the copy may be used, and between two writes that can wait."""

TRIES: Final = 64
"""How often a write is decided again because others were faster, before the process goes on by its copy."""

log = logging.getLogger("mailadapters.redis_health")


class RedisHealth:
    """A ProviderHealth that processes share through one hash in Redis.

    Attributes:
        unreadable: How often a record that this release does not understand was passed over.
    """

    def __init__(
        self, connection: redis.asyncio.Redis, reach: Reach, prefix: str, monotonic: Callable[[], float]
    ) -> None:
        self._connection: Any = connection
        self._replace: Any = connection.register_script(REPLACE)
        self._reach = reach
        self._key = f"{prefix}:health"
        self._monotonic = monotonic
        self._providers: dict[str, Known] = {}
        self._stale_from = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.unreadable = 0

    async def load(self) -> Mapping[str, Health]:
        await self._refresh()
        return {name: known.health for name, known in self._providers.items() if known.anything}

    async def update(self, provider: str, change: Change, *, at_once: bool = True) -> Health:
        known = self._providers.setdefault(provider, Known())
        if self._reach.down:
            self._reach.look()
            return kept(known, change)
        if not at_once:
            return self._noted(provider, known, change)
        wish = Wish(change, asyncio.get_running_loop().create_future())
        known.waiting.append(wish)
        self._write_in(provider, known, 0.0)
        assert wish.answer
        return await wish.answer

    async def aclose(self) -> None:
        """Write what waits, if Redis is there."""
        for provider, known in self._providers.items():
            if known.busy:
                await known.busy
            if known.timer:
                known.timer.cancel()
                await self._write(provider, known)
        if self._reading:
            await self._reading

    def _noted(self, provider: str, known: Known, change: Change) -> Health:
        """Make a change here, to be written soon."""
        before = known.health
        known.health = change(before)
        if known.health is not before:
            known.waiting.append(Wish(change))
            self._write_in(provider, known, 0.0 if is_pressing(before, known.health) else FRESH_FOR)
        return known.health

    def _write_in(self, provider: str, known: Known, seconds: float) -> None:
        """See to it that what waits is written within so many seconds."""
        if known.busy:
            return
        loop = asyncio.get_running_loop()
        write_at = loop.time() + seconds
        if known.timer:
            if known.write_at <= write_at:
                return
            known.timer.cancel()
        known.write_at = write_at
        known.timer = loop.call_later(seconds, self._begin, provider, known)

    def _begin(self, provider: str, known: Known) -> None:
        """Write what waits, in the background."""
        known.timer = None
        known.busy = asyncio.get_running_loop().create_task(self._write(provider, known))

    async def _write(self, provider: str, known: Known) -> None:
        """Write what waits, or keep it here if Redis does not take it."""
        wishes, known.waiting = known.waiting, []
        merge, known.astray = known.astray, False
        made: list[Made] | None = None
        try:
            known.record, made = await self._replaced(provider, known, wishes, merge=merge)
        except (UnreachableError, UnreadableRecordError) as error:
            self.unreadable += isinstance(error, UnreadableRecordError)
        except Exception as error:  # noqa: BLE001 - those who wait must hear something, and the next ones be written
            log.error("health was not written: %s", unexpected(error).note)  # noqa: TRY400 - not its words
        finally:  # even if this is ended
            self._settle(provider, known, wishes, made)

    def _settle(self, provider: str, known: Known, wishes: list[Wish], made: list[Made] | None) -> None:
        """Answer those who wait, by the copy if nothing was made; what came meanwhile is written next."""
        known.busy = None
        if made is None:
            strand(known, wishes)
        else:
            if not known.astray:
                known.health = with_own(known.record.health, known.waiting)
            answer(made)
        if known.waiting:
            self._write_in(provider, known, 0.0 if any(wish.answer for wish in known.waiting) else FRESH_FOR)

    async def _replaced(
        self, provider: str, known: Known, wishes: list[Wish], *, merge: bool
    ) -> tuple[Record, list[Made]]:
        """Change the record in Redis by all wishes; return the one that is there now, and what each wish made.

        Args:
            merge: The copy has changes that are not in the record, and must be merged first.

        Raises:
            UnreachableError: Whether it was changed is not known.
            UnreadableRecordError: It cannot be.
        """
        record, token, local = known.record, new_token(), known.health
        sure = not any(wish.answer for wish in wishes)  # nobody asks what others did
        for _ in range(TRIES):
            if merge:
                health, made = merged_first(record.health, local, wishes)
            elif sure and record is known.record:  # the copy is the record with just these changes
                health, made = local, []
            else:
                health, made = folded(record.health, wishes)
            same = health is record.health
            if same and sure:
                return record, made
            wanted = record if same else record.followed(health, token)
            found = await self._reach.ask(partial(self._swapped, provider, record, wanted))
            if found is None:
                return wanted, made
            merge = merge or bool(record.writes and not found)  # Redis has lost it
            record, sure = record_of(found), True
            if token in record.writes:  # it was done, and the answer was lost
                return record, made
        raise UnreachableError("too many others change this provider's health")

    def _swapped(self, provider: str, old: Record, new: Record) -> Awaitable[bytes | None]:
        """Put a record in the place of another, or the same one nowhere; return what is there if it is a third."""
        octets = b"" if new is old else octets_of(new)
        found: Awaitable[bytes | None] = self._replace(keys=[self._key], args=[provider, old.token, octets])
        return found

    async def _refresh(self) -> None:
        """Bring a copy that is too old up to date, for all who ask at the same time; without Redis it must do."""
        if self._reach.down:
            self._reach.look()
            return
        if self._monotonic() < self._stale_from:
            return
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        """Bring the copy up to date; it stays as it is if Redis does not answer."""
        asked, before = self._monotonic(), {name: known.record for name, known in self._providers.items()}
        try:
            found: Mapping[bytes, bytes] = await self._reach.ask(lambda: self._connection.hgetall(self._key))
        except UnreachableError:
            return
        finally:
            self._reading = None
        self._stale_from = asked + FRESH_FOR
        records = {name.decode(): octets for name, octets in found.items()}
        for name in records.keys() | self._providers.keys():
            known = self._providers.setdefault(name, Known())
            if known.busy is None and known.record is before.get(name, known.record):
                self._learn(name, known, records.get(name, b""))

    def _learn(self, provider: str, known: Known, octets: bytes) -> None:
        """Take over what Redis says, unless it says less than this process knows."""
        try:
            record = record_of(octets)
        except UnreadableRecordError:
            self.unreadable += 1
            return
        lost = bool(known.record.writes) and not record.writes
        known.astray = known.astray or lost
        known.record = record
        if known.astray:
            self._write_in(provider, known, 0.0)
        else:
            known.health = with_own(record.health, known.waiting)
