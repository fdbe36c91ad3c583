"""An EmailStore in memory: what the others are compared with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from mailcore.errors import EmailNotFoundError, StaleEmailError, StoreUnavailableError
from mailcore.keys import ApiKey, ApiKeys
from mailcore.leadership import Lease
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.message import Lane, Message
from mailcore.ports import Due, Query
from mailcore.retention import Aged, Kept
from mailcore.stock import Pile
from mailcore.stored import SMALL, Added, Fetched, Page
from mailcore.suppression import Suppression, SuppressionPage
from mailcore.switches import Switch, Switches
from mailcore.testing.selection import found, has, is_due


class MemoryStore:
    """An EmailStore in memory, that can be told to fail.

    Attributes:
        emails: What is stored, by id, in the order of arrival.
        messages: Their messages, by id; delete one to see what happens when content is gone.
        tombstones: What is left of e-mails whose record is gone, by id.
        switches: What the operator has switched by hand, by name.
        leases: Who leads what, by name.
        keys: API keys, by id.
        suppressions: Addresses that must not be written to, by tenant and mailbox.
        pepper: What their secrets are digested with; empty until somebody asks for it.
        down: While true every call raises StoreUnavailableError and nothing is changed.
        lose_answers: So many of the next writes will happen and raise StoreUnavailableError all the same.
        closed: How often it was closed.
    """

    def __init__(self) -> None:
        self.emails: dict[EmailId, Email] = {}
        self.messages: dict[EmailId, Message] = {}
        self.tombstones: dict[EmailId, Email] = {}
        self.switches: dict[str, Switch] = {}
        self.leases: dict[str, Lease] = {}
        self.keys: dict[str, ApiKey] = {}
        self.suppressions: dict[tuple[str, str], Suppression] = {}
        self.pepper = ""
        self.down = False
        self.lose_answers = 0
        self.closed = 0
        self._wake_at: dict[EmailId, datetime] = {}

    async def add(self, email: Email, message: Message) -> Added:
        await self._reach()
        fresh = email.id not in self.emails and email.id not in self.tombstones
        if fresh:
            self._put(email)
            self.messages[email.id] = message
        self._answer()
        return Added(self._known(email.id), fresh)

    async def get(self, email_id: EmailId, /) -> Email:
        await self._reach()
        return self._known(email_id)

    async def content(self, email_id: EmailId, /) -> Message:
        await self._reach()
        if email_id not in self.messages:
            raise EmailNotFoundError(f"no content of {email_id}")
        return self.messages[email_id]

    async def fetch(self, email_ids: Sequence[EmailId], /) -> Mapping[EmailId, Fetched]:
        await self._reach()
        return {one: Fetched(self.emails[one], self._small(one)) for one in email_ids if one in self.emails}

    async def save(self, email: Email) -> None:
        await self._reach()
        self._must_precede(email)
        self._put(email)
        self._answer()

    async def take_due(self, now: datetime, due: Due) -> Sequence[EmailId]:
        await self._reach()
        waiting = (one for one in self._wake_at.items() if is_due(self.emails[one[0]], one[1], due, now))
        taken = [email_id for email_id, _ in sorted(waiting, key=lambda one: one[1])[: due.limit]]
        self._wake_at.update(dict.fromkeys(taken, now + due.hide_for))
        self._answer()
        return taken

    async def list(self, query: Query, *, after: str | None, limit: int) -> Page:
        before = _position(after) if after is not None else None
        await self._reach()
        keyed = sorted(((_key(email), email) for email in self._found(query)), key=lambda one: one[0], reverse=True)
        rest = [(key, email) for key, email in keyed if before is None or key < before]
        more = len(rest) > limit
        return Page(
            emails=tuple(email for _, email in rest[:limit]),
            after=_cursor(rest[limit - 1][0]) if more else None,
        )

    async def count(self, query: Query) -> int:
        await self._reach()
        return sum(1 for _ in self._found(query))

    async def load_switches(self) -> Switches:
        self._must_be_up()  # nobody else is let run: this is read beside whatever else a worker does
        return dict(self.switches)

    async def save_switch(self, name: str, switch: Switch) -> None:
        await self._reach()
        self.switches[name] = switch
        self._answer()

    async def load_lease(self, name: str) -> Lease | None:
        await self._reach()
        return self.leases.get(name)

    async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
        await self._reach()
        swapped = self.leases.get(after.name) == before
        if swapped:
            self.leases[after.name] = after
        self._answer()
        return swapped

    async def load_keys(self) -> ApiKeys:
        await self._reach()
        return dict(self.keys)

    async def save_key(self, key: ApiKey) -> bool:
        await self._reach()
        kept = self.keys.get(key.id)
        fits = (kept.version if kept else 0) == key.version - 1
        if fits:
            self.keys[key.id] = key
        self._answer()
        return fits

    async def keep_pepper(self, offered: str) -> str:
        await self._reach()
        self.pepper = self.pepper or offered
        self._answer()
        return self.pepper

    async def has_suppressions(self) -> bool:
        self._must_be_up()  # nobody else is let run: this is read beside whatever else a worker does
        return bool(self.suppressions)

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        await self._reach()
        return [self.suppressions[tenant, one] for one in set(mailboxes) if (tenant, one) in self.suppressions]

    async def save_suppressions(self, suppressions: Sequence[Suppression]) -> None:
        await self._reach()
        self.suppressions.update(((one.tenant, one.mailbox), one) for one in suppressions)
        self._answer()

    async def delete_suppression(self, tenant: str, mailbox: str, /) -> bool:
        await self._reach()
        there = self.suppressions.pop((tenant, mailbox), None)
        self._answer()
        return there is not None

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        await self._reach()
        mine = sorted(mailbox for whose, mailbox in self.suppressions if whose == tenant)
        rest = [mailbox for mailbox in mine if after is None or mailbox > after]
        return SuppressionPage(
            suppressions=tuple(self.suppressions[tenant, mailbox] for mailbox in rest[:limit]),
            after=rest[limit - 1] if len(rest) > limit else None,
        )

    async def drop_suppressions(self, before: datetime, *, limit: int) -> int:
        await self._reach()
        ended = [key for key, one in self.suppressions.items() if one.expires_at and one.expires_at < before][:limit]
        for key in ended:
            del self.suppressions[key]
        self._answer()
        return len(ended)

    async def find_aged(self, kept: Kept, before: datetime, *, after: str | None, limit: int) -> Aged:
        behind = _position(after) if after is not None else None
        await self._reach()
        keyed = sorted(((_key(email), email) for email in self.emails.values()), key=lambda one: one[0])
        rest = [one for one in keyed if behind is None or one[0] > behind]
        aged = [email for _, email in rest[:limit] if email.settled_at and email.settled_at < before]
        return Aged(
            emails=tuple(email for email in aged if has(email, kept, self.messages)),
            after=_cursor(rest[limit - 1][0]) if len(rest) > limit else None,
        )

    async def erase_content(self, email_ids: Sequence[EmailId]) -> None:
        await self._reach()
        for email_id in email_ids:
            if email_id in self.emails and self.emails[email_id].settled:
                self.messages.pop(email_id, None)
        self._answer()

    async def entomb(self, tombstone: Email) -> None:
        await self._reach()
        self._must_precede(tombstone)
        del self.emails[tombstone.id]
        self.messages.pop(tombstone.id, None)
        self._wake_at.pop(tombstone.id, None)
        self.tombstones[tombstone.id] = tombstone
        self._answer()

    async def drop_tombstones(self, before: datetime, *, limit: int) -> int:
        await self._reach()
        old = [one.id for one in self.tombstones.values() if one.created_at < before][:limit]
        for email_id in old:
            del self.tombstones[email_id]
        self._answer()
        return len(old)

    async def stock(self) -> Sequence[Pile]:
        await self._reach()
        piles: dict[tuple[Lane, Status], list[datetime]] = {}
        for email_id, wakes_at in self._wake_at.items():
            email = self.emails[email_id]
            piles.setdefault((email.lane, email.status), []).append(wakes_at)
        return [Pile(lane=one[0], status=one[1], count=len(some), wakes_at=min(some)) for one, some in piles.items()]

    async def aclose(self) -> None:
        self.closed += 1

    def _small(self, email_id: EmailId) -> Message | None:
        """Return a message that comes along with its e-mail."""
        message = self.messages.get(email_id)
        return message if message and len(msgspec.msgpack.encode(message)) <= SMALL else None

    def _known(self, email_id: EmailId) -> Email:
        """Return the e-mail that has this id, or what is left of it."""
        return self.tombstones.get(email_id) or self._stored(email_id)

    def _must_precede(self, email: Email) -> None:
        """Refuse to replace anything but the version before."""
        if self._stored(email.id).version != email.version - 1:
            raise StaleEmailError(f"{email.id} is no longer version {email.version - 1}")

    def _stored(self, email_id: EmailId) -> Email:
        """Return the e-mail that has this id."""
        if email_id not in self.emails:
            raise EmailNotFoundError(f"no e-mail {email_id}")
        return self.emails[email_id]

    def _put(self, email: Email) -> None:
        """Store an e-mail as its latest version, and when it wakes."""
        self.emails[email.id] = email
        self._wake_at.pop(email.id, None)
        if email.wake_at is not None:
            self._wake_at[email.id] = email.wake_at

    def _found(self, query: Query) -> Iterator[Email]:
        """Yield what a query finds, in the order of arrival."""
        return (email for email in self.emails.values() if found(email, query))

    async def _reach(self) -> None:
        """Let others run, as a real store does, then fail if told to."""
        await asyncio.sleep(0)
        self._must_be_up()

    def _must_be_up(self) -> None:
        """Fail if told to."""
        if self.down:
            raise StoreUnavailableError("the store was told to be down")

    def _answer(self) -> None:
        """Lose the answer to a write that has happened, if told to."""
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreUnavailableError("the answer was lost")


def _key(email: Email) -> tuple[float, EmailId]:
    """Return what lists are ordered by."""
    return email.created_at.timestamp(), email.id


def _cursor(key: tuple[float, EmailId]) -> str:
    """Return a key as text."""
    return f"{key[0]!r}:{key[1]}"


def _position(cursor: str) -> tuple[float, EmailId]:
    """Return the key that a cursor stands for."""
    moment, colon, email_id = cursor.partition(":")
    if not colon:
        raise ValueError(f"no cursor: {cursor[:80]!r}")
    return float(moment), email_id
