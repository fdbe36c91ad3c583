"""The store for many machines: all of mailcore's truth in one MongoDB database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from mailadapters.documents import UnreadableError, cursor, message_bytes, millis, place, suppression_row
from mailadapters.mongo import keeping, keys, suppressing
from mailadapters.mongo.access import Access
from mailadapters.mongo.clock import MongoClock
from mailadapters.mongo.coalescing import Coalescer
from mailadapters.mongo.contents import content_all
from mailadapters.mongo.listing import Found, count, find
from mailadapters.mongo.provider_health import MongoHealth
from mailadapters.mongo.reading import fetch, get_all
from mailadapters.mongo.retiring import Walk, drop, entomb_all, erase, stone, walk
from mailadapters.mongo.schema import Collections
from mailadapters.mongo.shape import listed
from mailadapters.mongo.stock import stock
from mailadapters.mongo.suppressing import Wanted
from mailadapters.mongo.taking import Take, take
from mailadapters.mongo.writing import New, Next, add_all, new, next_version, save_all
from mailcore.keys import ApiKey, ApiKeys
from mailcore.leadership import Lease
from mailcore.lifecycle import Email, EmailId
from mailcore.message import Message
from mailcore.ports import Due, Query
from mailcore.retention import Aged, Kept
from mailcore.stock import Batches, Pile
from mailcore.stored import Added, Fetched, Page
from mailcore.suppression import Suppression, SuppressionPage
from mailcore.switches import Switch, Switches

LARGE: Final = 1024 * 1024
"""Bytes of a message from which on it is carried by itself, so that others need not wait for it."""
CONTENTS_TOGETHER: Final = 64
"""So many messages are read in one flight; each may be large."""


class MongoStore:
    """An EmailStore in one MongoDB database, for any number of processes on any number of machines.

    Calls that come at the same time share a round trip; a call that was cancelled before it left is skipped, later
    it may have happened. What has been answered is in the journals of most of the replica set.

    A list with a filter that has no index is looked for newest first and takes as long as the way to what it finds.

    Attributes:
        clock: The server's time.
        health: What all processes on this database know of the providers.
        unreadable: How often a document that this release does not understand was passed over or refused.
    """

    def __init__(self, access: Access, health: MongoHealth, clock: MongoClock, new_token: Callable[[], str]) -> None:
        self._access = access
        self._new_token = new_token
        self._adds: Coalescer[New, Added] = access.coalescer("store's adding", add_all)
        self._saves: Coalescer[Next, None] = access.coalescer("store's saving", save_all)
        self._gets: Coalescer[EmailId, Email] = access.coalescer("store's reading", get_all)
        self._contents: Coalescer[EmailId, Message] = access.coalescer(
            "store's reading of contents", content_all, together=CONTENTS_TOGETHER
        )
        self._suppressed: Coalescer[Wanted, tuple[Sequence[Suppression], int]] = access.coalescer(
            "store's reading of suppressions", suppressing.find_all
        )
        self._entombs: Coalescer[Next, None] = access.coalescer("store's burying", entomb_all)
        self.health = health
        self.clock = clock
        self.unreadable = 0
        self._fetched = Batches(0, 0)

    async def open(self) -> None:
        """Reach the server now, so that its time is known, as of now, and what is wrong shows.

        Raises:
            StoreUnavailableError: It cannot be reached or used.
        """

        async def look(_collections: Collections) -> None:
            await self.clock.sample(however_slow=True)

        await self._access.alone(look)

    async def add(self, email: Email, message: Message) -> Added:
        addition = new(email, message_bytes(message), self._new_token())
        if len(addition.content) < LARGE:
            return await self._access.through(self._adds, addition)
        (added,) = await self._access.alone(lambda to: add_all(to, [addition]), patient=True)
        if isinstance(added, Exception):
            raise added
        return added

    async def get(self, email_id: EmailId, /) -> Email:
        try:
            return await self._access.through(self._gets, email_id)
        except UnreadableError:
            self.unreadable += 1
            raise

    async def content(self, email_id: EmailId, /) -> Message:
        try:
            return await self._access.through(self._contents, email_id)
        except UnreadableError:
            self.unreadable += 1
            raise

    async def fetch(self, email_ids: Sequence[EmailId], /) -> Mapping[EmailId, Fetched]:
        self._fetched = Batches(self._fetched.calls + len(email_ids), self._fetched.batches + 1)
        return await self._access.alone(lambda to: fetch(to.emails, email_ids))

    async def save(self, email: Email) -> None:
        await self._access.through(self._saves, next_version(email, self._new_token()))

    async def take_due(self, now: datetime, due: Due) -> Sequence[EmailId]:
        wanted = Take(due, now, self._new_token())
        taken = await self._access.alone(lambda to: take(to.emails, wanted))
        self.unreadable += taken.unreadable
        return taken.ids

    async def list(self, query: Query, *, after: str | None, limit: int) -> Page:
        behind = listed(*place(after)) if after is not None else None
        emails: list[Email] = []
        while len(emails) <= limit:
            found = await self._found(query, behind, limit + 1 - len(emails))
            emails += found.emails
            behind = found.after
            if behind is None:
                break
        return Page(emails=tuple(emails[:limit]), after=_cursor(emails, limit))

    async def count(self, query: Query) -> int:
        return await self._access.alone(lambda to: count(to.emails, query), patient=True)

    async def stock(self) -> Sequence[Pile]:
        return await self._access.alone(lambda to: stock(to.emails), patient=True)

    def batches(self) -> dict[str, Batches]:
        return {
            "add": self._adds.carried,
            "save": self._saves.carried,
            "get": self._gets.carried,
            "content": self._contents.carried,
            "fetch": self._fetched,
            "suppressed": self._suppressed.carried,
        }

    async def load_switches(self) -> Switches:
        switches, unreadable = await self._access.alone(keeping.load_switches)
        self.unreadable += unreadable
        return switches

    async def save_switch(self, name: str, switch: Switch) -> None:
        await self._access.alone(lambda to: keeping.save_switch(to, name, switch))

    async def load_lease(self, name: str) -> Lease | None:
        return await self._access.alone(lambda to: keeping.load_lease(to, name))

    async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
        return await self._access.alone(lambda to: keeping.swap_lease(to, before, after))

    async def load_keys(self) -> ApiKeys:
        return await self._access.alone(keys.load_keys)

    async def save_key(self, key: ApiKey) -> bool:
        return await self._access.alone(lambda to: keys.save_key(to, key))

    async def keep_pepper(self, offered: str) -> str:
        return await self._access.alone(lambda to: keys.keep_pepper(to, offered))

    async def has_suppressions(self) -> bool:
        return await self._access.alone(suppressing.has_any)

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        found, unreadable = await self._access.through(self._suppressed, Wanted(tenant, frozenset(mailboxes)))
        self.unreadable += unreadable
        return found

    async def save_suppressions(self, suppressions: Sequence[Suppression]) -> None:
        rows = [suppression_row(one) for one in suppressions]
        await self._access.alone(lambda to: suppressing.save(to.suppressions, rows), patient=True)

    async def delete_suppression(self, tenant: str, mailbox: str, /) -> bool:
        return await self._access.alone(lambda to: suppressing.delete(to.suppressions, tenant, mailbox))

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        page, unreadable = await self._access.alone(
            lambda to: suppressing.page(to.suppressions, tenant, after or "", limit), patient=True
        )
        self.unreadable += unreadable
        return page

    async def drop_suppressions(self, before: datetime, *, limit: int) -> int:
        return await self._access.alone(
            lambda to: suppressing.drop(to.suppressions, millis(before), limit), patient=True
        )

    async def find_aged(self, kept: Kept, before: datetime, *, after: str | None, limit: int) -> Aged:
        wanted = Walk(kept, millis(before), after, limit)
        walked = await self._access.alone(lambda to: walk(to.emails, wanted), patient=True)
        self.unreadable += walked.unreadable
        old = tuple(one for one in walked.emails if one.settled and one.settled_at and one.settled_at < before)
        return Aged(emails=old, after=walked.after)

    async def erase_content(self, email_ids: Sequence[EmailId]) -> None:
        token = self._new_token()
        if email_ids:
            await self._access.alone(lambda to: erase(to, email_ids, token), patient=True)

    async def entomb(self, tombstone: Email) -> None:
        await self._access.through(self._entombs, stone(tombstone, self._new_token()))

    async def drop_tombstones(self, before: datetime, *, limit: int) -> int:
        return await self._access.alone(lambda to: drop(to.emails, millis(before), limit), patient=True)

    async def aclose(self) -> None:
        await self._access.aclose()

    async def _found(self, query: Query, behind: str | None, limit: int) -> Found:
        """Look through one span of a list."""
        found = await self._access.alone(lambda to: find(to.emails, query, behind, limit), patient=True)
        self.unreadable += found.unreadable
        return found


def _cursor(emails: Sequence[Email], limit: int) -> str | None:
    """Return where the next page begins, if more was found than fits this one."""
    if len(emails) <= limit:
        return None
    last = emails[limit - 1]
    return cursor(millis(last.created_at), last.id)
