"""The API keys as this process knows them: read from the store now and then, so that no request waits for it.

A key that was revoked opens nothing in any process five seconds later: while the store does not tell, a copy that is
older than that is not gone by, and nobody gets in by a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from mailcore.errors import StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.keys import ApiKey, ApiKeys, Issued, KeyState, issued, state_of, used, verified
from mailcore.ports import Clock, Watch, look_away

FRESH_FOR: Final = timedelta(seconds=2)
"""From this age on a copy is read again, in the background."""

TRUSTED_FOR: Final = timedelta(seconds=4.5)
"""An older copy is gone by no more; what is left to five seconds is for a request that is under way."""

PATIENCE: Final = timedelta(seconds=1)
"""How long the store may take for the keys."""

DOUBTED_AFTER: Final = timedelta(milliseconds=100)
"""A token that a copy of this age does not know may be a new key's: the keys are read again, once in so long."""

NOTED_EVERY: Final = timedelta(minutes=5)
"""How closely it is recorded when a key was last used."""

_NEVER: Final = float("-inf")


@runtime_checkable
class KeepsKeys(Protocol):
    """A store that keeps API keys for all processes that use it. Any method may raise StoreUnavailableError."""

    async def load_keys(self) -> ApiKeys:
        """Return all keys, by id."""
        ...

    async def save_key(self, key: ApiKey) -> bool:
        """Keep a key if the version before is kept, or none if it is the first; return whether that was so."""
        ...

    async def keep_pepper(self, offered: str) -> str:
        """Return the pepper that this store keeps; if it keeps none yet, it keeps the one that is offered."""
        ...


class KeyDice(Protocol):
    """What makes names and secrets that nobody can guess."""

    def new_key_id(self) -> str:
        """Return `key_` and 8 digits and letters."""
        ...

    def new_key_secret(self) -> bytes:
        """Return 32 random octets."""
        ...

    def new_pepper(self) -> str:
        """Return a pepper for a store that has none."""
        ...


@dataclass(kw_only=True)
class Keyring:
    """The keys as this process knows them.

    Attributes:
        patience: How long the store may take for them.
        pepper: What secrets are digested with; None if the store keeps it, and is asked for it.
    """

    store: KeepsKeys
    clock: Clock
    dice: KeyDice
    pepper: bytes | None = None
    watch: Watch = look_away
    patience: timedelta = PATIENCE
    known: ApiKeys = field(default_factory=dict[str, ApiKey])
    _read_at: float = _NEVER
    _tried_at: float = _NEVER
    _reading: asyncio.Task[None] | None = None
    _recording: asyncio.Task[None] | None = None
    _changes: int = 0
    _used: set[str] = field(default_factory=set[str])

    async def find(self, token: str) -> ApiKey | None:
        """Return the key that a token proves to be, whatever its state; None if it proves nothing.

        Raises:
            StoreUnavailableError: The keys could not be read for a while, so that nobody knows.
        """
        age = self.clock.monotonic() - self._read_at
        if age >= TRUSTED_FOR.total_seconds():
            await self._read()
        elif age >= FRESH_FOR.total_seconds():
            self._begin_to_read()
        key = self._proved(token)
        if key is None and self._may_be_new():
            await self._read()
            key = self._proved(token)
        return key

    async def digesting(self) -> bytes:
        """Return what secrets are digested with.

        Raises:
            StoreUnavailableError: The store that keeps it does not answer.
        """
        if self.pepper is None:
            self.pepper = (await self.store.keep_pepper(self.dice.new_pepper())).encode()
        return self.pepper

    async def current(self) -> ApiKeys:
        """Return all keys as they are in the store now.

        Raises:
            StoreUnavailableError: They could not be read.
        """
        return await self.store.load_keys()

    async def issue(self, draft: ApiKey) -> Issued:
        """Make a key like a draft, and keep it.

        Raises:
            StoreUnavailableError: Whether it was kept is not known; nobody knows its secret, so it opens nothing.
        """
        while True:
            made = issued(draft, self.dice.new_key_id(), self.dice.new_key_secret(), await self.digesting())
            if await self.save(made.key):
                return made

    async def change(self, key_id: str, change: Callable[[ApiKey], ApiKey]) -> ApiKey | None:
        """Keep a key as it is after a change, whatever others do to it meanwhile; None if there is no such key.

        Raises:
            StoreUnavailableError: Whether it was changed is not known.
        """
        while (key := (await self.current()).get(key_id)) is not None:
            changed = change(key)
            if changed is key or await self.save(changed):
                return changed
        return None

    async def save(self, key: ApiKey) -> bool:
        """Keep a key's next version, or a new key; return whether it was the next. This process obeys at once.

        Raises:
            StoreUnavailableError: Whether it was kept is not known.
        """
        try:
            return await self.store.save_key(key)
        finally:
            self._changes += 1
            self._read_at = self._tried_at = _NEVER

    async def aclose(self) -> None:
        """End what is under way."""
        under_way = [task for task in (self._reading, self._recording) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _proved(self, token: str) -> ApiKey | None:
        """Return the key that a token proves to be by what is known, and note that it was used."""
        key = None if self.pepper is None else verified(self.known, token, self.pepper)
        if key is not None:
            self._used.add(key.id)
        return key

    def _may_be_new(self) -> bool:
        """Whether the keys were read so long ago that a token may be of a key that was made since."""
        return self.clock.monotonic() - self._tried_at >= DOUBTED_AFTER.total_seconds()

    async def _read(self) -> None:
        """Read the keys, with whoever does so already, and wait for it.

        Raises:
            StoreUnavailableError: They could not be read.
        """
        await asyncio.shield(self._begin_to_read())
        if self._read_at == _NEVER:  # it had begun before this process kept a key
            await asyncio.shield(self._begin_to_read())

    def _begin_to_read(self) -> asyncio.Task[None]:
        """Read the keys in the background, unless somebody does."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._load())
            self._reading.add_done_callback(self._told)
        return self._reading

    async def _load(self) -> None:
        """Read the keys, and have it recorded when they were used."""
        begun, changes = self.clock.monotonic(), self._changes
        self._tried_at = begun
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                await self.digesting()
                self.known = await self.store.load_keys()
        except TimeoutError as error:
            raise StoreUnavailableError("the store did not tell the API keys in time") from error
        if changes == self._changes:  # else what was read may be older than what this process has kept
            self._read_at = begun
        self._begin_to_record()

    def _begin_to_record(self) -> None:
        """Record in the background when keys were used: nobody waits for it, or is refused because it fails."""
        if self._recording is None or self._recording.done():
            self._recording = asyncio.get_running_loop().create_task(self._record_use())
            self._recording.add_done_callback(self._told)

    async def _record_use(self) -> None:
        """Record when keys were last used; where others change a key at the same time, the next time will do."""
        at, noted, self._used = self.clock.now(), self._used, set()
        found = (self.known.get(key_id) for key_id in noted)
        news = [used(key, at) for key in found if key is not None and _is_news(key, at)]
        await asyncio.gather(*(self.store.save_key(key) for key in news))

    def _told(self, task: asyncio.Task[None]) -> None:
        """Tell that the keys could not be read or recorded, whoever waits for it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            note = f"keys: {type(error).__name__}: {error}"
            self.watch(Event(what=Happening.STORE_FAILED, email_id="", note=note))


def _is_news(key: ApiKey, at: datetime) -> bool:
    """Whether it is worth a write that a key was used."""
    known = key.last_used_at
    return state_of(key, at) is KeyState.ACTIVE and (known is None or at - known >= NOTED_EVERY)
