"""The embedded store: all of mailcore's truth in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mailadapters.documents import UnreadableError, cursor, message_bytes, millis, place, suppression_row
from mailadapters.sqlite import suppressing
from mailadapters.sqlite.access import Access
from mailadapters.sqlite.keeping import Named, Swap, leases_all, swap_all, switch_all, switches_all
from mailadapters.sqlite.keys import keep_all, keys_all, pepper_all
from mailadapters.sqlite.listing import Found, Span, count_all, find_all
from mailadapters.sqlite.provider_health import SqliteHealth
from mailadapters.sqlite.reading import content_all, fetch_all, get_all
from mailadapters.sqlite.retiring import Drop, Walk, drop_all, entomb_all, erase_all, walk_all
from mailadapters.sqlite.rows import row
from mailadapters.sqlite.stock import piles_all
from mailadapters.sqlite.taking import Take, take_all
from mailadapters.sqlite.writing import New, Next, add_all, save_all
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


class SqliteStore:
    """An EmailStore in one SQLite file, which any number of processes on one machine may share.

    The file is opened by the first call. Calls that come at the same time share a transaction; a call that was
    cancelled before its turn is skipped, later it may have happened. What has been answered survives a kill -9
    and, as far as the disk keeps its word, a power failure.

    A list with a filter that has no index is looked for newest first and takes as long as the way to what it finds.

    Attributes:
        health: What all processes on this file know of the providers.
        unreadable: How often a document that this release does not understand was passed over or refused.
    """

    def __init__(self, access: Access, health: SqliteHealth) -> None:
        self._access = access
        self.health = health
        self.unreadable = 0

    async def open(self) -> None:
        """Open the file now, so that what is wrong with it shows.

        Raises:
            SettingsError: It is of a newer release.
            StoreUnavailableError: It cannot be used.
        """
        await self._access.write(take_all, Take("", 0, 0, 0, frozenset()))

    async def add(self, email: Email, message: Message) -> Added:
        new = New(email, row(email), message_bytes(message))
        return await self._access.write(add_all, new, weight=len(new.content))

    async def get(self, email_id: EmailId, /) -> Email:
        try:
            return await self._access.read(get_all, email_id)
        except UnreadableError:
            self.unreadable += 1
            raise

    async def content(self, email_id: EmailId, /) -> Message:
        try:
            return await self._access.read(content_all, email_id)
        except UnreadableError:
            self.unreadable += 1
            raise

    async def fetch(self, email_ids: Sequence[EmailId], /) -> Mapping[EmailId, Fetched]:
        return await self._access.read(fetch_all, tuple(email_ids))

    async def save(self, email: Email) -> None:
        await self._access.write(save_all, Next(email.id, email.version, row(email)))

    async def take_due(self, now: datetime, due: Due) -> Sequence[EmailId]:
        moment = millis(now)
        take = Take(due.lane, moment, millis(now + due.hide_for), due.limit, due.closed)
        taken = await self._access.write(take_all, take)
        self.unreadable += taken.unreadable
        return taken.ids

    async def list(self, query: Query, *, after: str | None, limit: int) -> Page:
        behind = place(after) if after is not None else None
        emails: list[Email] = []
        while len(emails) <= limit:
            found = await self._found(Span(query, behind, limit + 1 - len(emails)))
            emails += found.emails
            behind = found.after
            if behind is None:
                return Page(emails=tuple(emails[:limit]), after=_cursor(emails, limit))
        return Page(emails=tuple(emails[:limit]), after=_cursor(emails, limit))

    async def count(self, query: Query) -> int:
        return await self._access.look(count_all, query)

    async def stock(self) -> Sequence[Pile]:
        return await self._access.look(piles_all, None)

    def batches(self) -> dict[str, Batches]:
        return self._access.batches()

    async def load_switches(self) -> Switches:
        switches, unreadable = await self._access.read(switches_all, None)
        self.unreadable += unreadable
        return switches

    async def save_switch(self, name: str, switch: Switch) -> None:
        await self._access.write(switch_all, Named(name, switch))

    async def load_lease(self, name: str) -> Lease | None:
        return await self._access.read(leases_all, name)

    async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
        return await self._access.write(swap_all, Swap(before, after))

    async def load_keys(self) -> ApiKeys:
        return await self._access.read(keys_all, None)

    async def save_key(self, key: ApiKey) -> bool:
        return await self._access.write(keep_all, key)

    async def keep_pepper(self, offered: str) -> str:
        return await self._access.write(pepper_all, offered)

    async def has_suppressions(self) -> bool:
        return await self._access.read(suppressing.any_all, None)

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        wanted = suppressing.Wanted(tenant, frozenset(mailboxes))
        found, unreadable = await self._access.read(suppressing.find_all, wanted)
        self.unreadable += unreadable
        return found

    async def save_suppressions(self, suppressions: Sequence[Suppression]) -> None:
        rows = [suppression_row(one) for one in suppressions]
        await self._access.write(suppressing.save_all, rows, weight=sum(len(row.doc) for row in rows))

    async def delete_suppression(self, tenant: str, mailbox: str, /) -> bool:
        return await self._access.write(suppressing.delete_all, (tenant, mailbox))

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        page, unreadable = await self._access.look(suppressing.page_all, suppressing.Behind(tenant, after or "", limit))
        self.unreadable += unreadable
        return page

    async def drop_suppressions(self, before: datetime, *, limit: int) -> int:
        return await self._access.write(suppressing.drop_all, Drop(millis(before), limit))

    async def find_aged(self, kept: Kept, before: datetime, *, after: str | None, limit: int) -> Aged:
        walked = await self._access.look(walk_all, Walk(kept, millis(before), after, limit))
        self.unreadable += walked.unreadable
        old = tuple(one for one in walked.emails if one.settled and one.settled_at and one.settled_at < before)
        return Aged(emails=old, after=walked.after)

    async def erase_content(self, email_ids: Sequence[EmailId]) -> None:
        await self._access.write(erase_all, tuple(email_ids))

    async def entomb(self, tombstone: Email) -> None:
        await self._access.write(entomb_all, Next(tombstone.id, tombstone.version, row(tombstone)))

    async def drop_tombstones(self, before: datetime, *, limit: int) -> int:
        return await self._access.write(drop_all, Drop(millis(before), limit))

    async def aclose(self) -> None:
        await self._access.aclose()

    async def _found(self, span: Span) -> Found:
        """Look through one span of a list."""
        found = await self._access.look(find_all, span)
        self.unreadable += found.unreadable
        return found


def _cursor(emails: Sequence[Email], limit: int) -> str | None:
    """Return where the next page begins, if more was found than fits this one."""
    if len(emails) <= limit:
        return None
    last = emails[limit - 1]
    return cursor(millis(last.created_at), last.id)
