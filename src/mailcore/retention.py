"""What is kept for how long: content goes first, then who it was for, then the record; and erasing one person's.

Suppressions go when they have ended, and not with the e-mails to their address: they keep mail from whoever asked.

Only settled e-mails are touched. Each step is a compare-and-set or can be repeated, so two who do it at the same time
waste work and break nothing. What is left of a record for a while is its tombstone, which answers repeats of its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, assert_never, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from mailcore.dispatch import Transition
from mailcore.errors import ConflictError, EmailNotFoundError, SettingsError, StaleEmailError
from mailcore.lifecycle import Email, EmailId
from mailcore.records import Records
from mailcore.suppression_list import KeepsSuppressions

KEY_KEPT_FOR: Final = timedelta(days=30)
"""For so long after its acceptance a repeat of an e-mail's key is known, whatever is set."""

PAGE: Final = 100
"""So many e-mails are dealt with in one go."""

PAUSE: Final = timedelta(milliseconds=50)
"""The rest between two of those, for others that use the store."""


class Kept(StrEnum):
    """What is kept of an e-mail, in the order in which it goes."""

    CONTENT = "content"
    ADDRESSES = "addresses"
    RECORD = "record"


class Aged(Struct, frozen=True, kw_only=True):
    """Some settled e-mails that still have something.

    Attributes:
        after: Hand it back to go on; None at the end. Opaque to callers.
    """

    emails: tuple[Email, ...]
    after: str | None


@runtime_checkable
class KeepsFor(Protocol):
    """A store that can let go of what it keeps, part by part.

    A tombstone is an e-mail reduced by `tombstone`. `get` and `add` return it as they would the e-mail, so that its
    id is never used again; no list or count knows it, and no `save` finds it.
    """

    async def find_aged(self, kept: Kept, before: datetime, *, after: str | None, limit: int) -> Aged:
        """Look at up to `limit` e-mails, the oldest first; return those settled before then that still have it.

        There may be none among those looked at, and more behind them.
        """
        ...

    async def erase_content(self, email_ids: Sequence[EmailId]) -> None:
        """Erase the messages of those of these e-mails that are settled; one that is gone already is no error."""
        ...

    async def entomb(self, tombstone: Email) -> None:
        """Put a tombstone in place of an e-mail, whose content goes, too.

        Raises:
            StaleEmailError: The stored version is not `tombstone.version - 1`; nothing was changed.
            EmailNotFoundError: No e-mail has this id.
        """
        ...

    async def drop_tombstones(self, before: datetime, *, limit: int) -> int:
        """Forget up to `limit` tombstones of e-mails that were accepted before then; return how many."""
        ...


class RetentionRules(Struct, frozen=True, kw_only=True):
    """For how long after it was settled something of an e-mail is kept; None for ever.

    Content tells addresses, and a record holds both: no part is kept longer than what would tell it all the same.
    """

    content: timedelta | None = timedelta(days=30)
    addresses: timedelta | None = timedelta(days=90)
    records: timedelta | None = timedelta(days=365)

    def age(self, kept: Kept) -> timedelta | None:
        """Return for how long a part is kept."""
        ages = {Kept.CONTENT: self.content, Kept.ADDRESSES: self.addresses, Kept.RECORD: self.records}
        later = list(Kept)[list(Kept).index(kept) :]
        return min((age for part in later if (age := ages[part]) is not None), default=None)


def forgotten(email: Email) -> Email:
    """Return a settled e-mail without what tells of people: recipients, metadata, and all free text."""
    return replace(
        email,
        recipients=(),
        metadata={},
        attempts=tuple(replace(one, detail="") for one in email.attempts),
        history=tuple(replace(one, note="") for one in email.history),
    )


def remembers(email: Email) -> bool:
    """Whether `forgotten` would change anything."""
    return forgotten(email) != email


def tombstone(email: Email) -> Email:
    """Return what stays of an e-mail so that a repeat of its key is told how it ended, as its next version."""
    return replace(forgotten(email), version=email.version + 1, tags=(), attempts=(), history=(), refused_by=())


def retaining(store: object) -> KeepsFor:
    """Return a store as one that can let go.

    Raises:
        SettingsError: It cannot.
    """
    if not isinstance(store, KeepsFor):
        message = "store: it cannot let go of what it keeps"
        raise SettingsError(message)
    return store


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Lets go of what has been kept for long enough, and of what somebody wants to be erased."""

    store: KeepsFor
    records: Records
    rules: RetentionRules = field(default_factory=RetentionRules)

    async def erase(self, email_id: EmailId) -> None:
        """Erase what tells of people in a settled e-mail: its content, and then by whom it could be found again.

        Raises:
            ConflictError: It is not settled.
            EmailNotFoundError: No e-mail has this id.
        """
        _erased(await self.records.ports.store.get(email_id))
        await self.store.erase_content([email_id])
        await self.records.settle(email_id, _erased)

    async def run_once(self, leading: Callable[[], bool]) -> None:
        """Let go of all that is old enough, as long as the caller leads.

        Raises:
            StoreUnavailableError: The store did not answer; what was not done is found again.
        """
        for kept in Kept:
            if age := self.rules.age(kept):
                await self._let_go(kept, age, leading)
        await self._dropped(lambda: self.store.drop_tombstones(self._now() - KEY_KEPT_FOR, limit=PAGE), leading)
        if isinstance(keeper := self.store, KeepsSuppressions):
            await self._dropped(lambda: keeper.drop_suppressions(self._now(), limit=PAGE), leading)

    async def _dropped(self, drop: Callable[[], Awaitable[int]], leading: Callable[[], bool]) -> None:
        """Drop page after page of what the store itself knows to be over."""
        while leading() and await drop() == PAGE:
            await self._rest()

    async def _let_go(self, kept: Kept, age: timedelta, leading: Callable[[], bool]) -> None:
        """Let go of one part of all e-mails that are old enough, page by page."""
        after: str | None = None
        while leading():
            aged = await self.store.find_aged(kept, self._now() - age, after=after, limit=PAGE)
            await self._shed(kept, aged.emails)
            after = aged.after
            if after is None:
                return
            await self._rest()

    async def _shed(self, kept: Kept, emails: Sequence[Email]) -> None:
        """Let go of one part of these e-mails."""
        match kept:
            case Kept.CONTENT:
                await self.store.erase_content([email.id for email in emails])
            case Kept.ADDRESSES:
                await asyncio.gather(*(self._forget(email) for email in emails))
            case Kept.RECORD:
                await asyncio.gather(*(self._entomb(email) for email in emails))
            case _:  # pragma: no cover - mypy proves that nothing is left
                assert_never(kept)

    async def _forget(self, email: Email) -> None:
        """Forget who an e-mail was for, unless it has changed meanwhile: then it is found again."""
        try:
            await self.records.settle(email.id, lambda fresh: _erased(fresh) if fresh.settled else None)
        except (ConflictError, EmailNotFoundError):
            return

    async def _entomb(self, email: Email) -> None:
        """Reduce an e-mail to its tombstone, unless it has changed meanwhile: then it is found again."""
        try:
            await self.store.entomb(tombstone(email))
        except (StaleEmailError, EmailNotFoundError):
            return

    def _now(self) -> datetime:
        """Return the time that all workers agree on."""
        return self.records.ports.clock.now()

    async def _rest(self) -> None:
        """Leave the store to others for a moment."""
        await self.records.ports.sleep(PAUSE.total_seconds())


def _erased(email: Email) -> Transition:
    """Return a settled e-mail without what tells of people.

    Raises:
        ConflictError: It is not settled.
    """
    if not email.settled:
        message = f"only a settled e-mail can be erased; this one is {email.status}"
        raise ConflictError(message)
    return Transition(forgotten(email) if remembers(email) else email)
