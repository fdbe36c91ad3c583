"""What every store that can let go of what it keeps must hold to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import pytest
from msgspec.structs import replace

from mailcore.errors import EmailNotFoundError, StaleEmailError
from mailcore.lifecycle import SETTLED, WAITING, Email, EmailId, Reason, Status
from mailcore.ports import Due, EmailStore, Query
from mailcore.retention import KeepsFor, Kept, forgotten, tombstone
from mailcore.stored import Fetched
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued
from mailcore.testing.contracts.taking import filled

DAY = timedelta(days=1)


class LettingGo(EmailStore, KeepsFor, Protocol):
    """A store that can let go."""


def settled(email_id: EmailId = "em_a", status: Status = Status.SENT, **fields: object) -> Email:
    """Return an e-mail that was settled a minute after it was accepted."""
    usual = {"settled_at": NOW + MINUTE, "due_at": None, "recipients": ("ann@example.com",), "metadata": {"o": "42"}}
    return queued(email_id, **{"status": status, "reason": Reason.ATTEMPT, **usual, **fields})


async def aged(store: KeepsFor, kept: Kept, before: datetime, limit: int = 10) -> Sequence[EmailId]:
    """Return all that is old enough, however many pages it takes."""
    found: list[EmailId] = []
    after: str | None = None
    while True:
        page = await store.find_aged(kept, before, after=after, limit=limit)
        found += [email.id for email in page.emails]
        after = page.after
        if after is None:
            return found


async def found_for(to: str, store: EmailStore) -> Sequence[Email]:
    """Return what a filter by a recipient finds."""
    return (await store.list(Query(to=to), after=None, limit=10)).emails


class RetainingContract:
    """Only what is settled is let go, part by part. The fixture `store` gives an empty store."""

    @pytest.mark.parametrize("kept", Kept)
    async def test_it_is_old_enough_from_when_it_was_settled(self, store: LettingGo, kept: Kept) -> None:
        """Age counts from the end of an e-mail's way, not from its acceptance."""
        await filled(store, [settled()])

        early = await aged(store, kept, NOW + MINUTE)
        later = await aged(store, kept, NOW + MINUTE + timedelta(milliseconds=1))

        assert (early, later) == ([], ["em_a"])

    @pytest.mark.parametrize("kept", Kept)
    @pytest.mark.parametrize("status", sorted({*WAITING, Status.SENDING}))
    async def test_what_is_not_settled_is_never_old(self, store: LettingGo, kept: Kept, status: Status) -> None:
        """However long ago it was accepted, an e-mail on its way keeps everything."""
        await filled(store, [settled(status=status, settled_at=None, due_at=NOW)])

        assert await aged(store, kept, NOW + 1000 * DAY) == []

    @pytest.mark.parametrize("kept", Kept)
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    async def test_pages_find_every_one_once(self, store: LettingGo, kept: Kept, limit: int) -> None:
        """However small the pages, and whatever stands between, all are found, the oldest first."""
        many = [settled(f"em_{n}", created_at=NOW + n * MINUTE) for n in range(7)]
        between = [queued(f"em_{n}x", created_at=NOW + n * MINUTE, recipients=("b@x",)) for n in range(5)]
        for email in sorted([*many, *between], key=lambda one: one.created_at):
            await filled(store, [email])

        assert await aged(store, kept, NOW + DAY, limit) == [f"em_{n}" for n in range(7)]

    async def test_what_is_gone_is_not_found_again(self, store: LettingGo) -> None:
        """Each part is let go of once; the others are still there."""
        await filled(store, [settled("em_a"), settled("em_b", created_at=NOW + MINUTE)])

        await store.erase_content(["em_a"])
        await store.save(replace(forgotten(settled("em_b")), created_at=NOW + MINUTE, version=2))

        assert await aged(store, Kept.CONTENT, NOW + DAY) == ["em_b"]
        assert await aged(store, Kept.ADDRESSES, NOW + DAY) == ["em_a"]
        assert await aged(store, Kept.RECORD, NOW + DAY) == ["em_a", "em_b"]

    async def test_erased_content_is_gone_and_the_record_stays(self, store: LettingGo) -> None:
        """What was written is erased; what became of it can still be seen, and is found by whom it was for."""
        email = settled()
        await filled(store, [email, settled("em_b")])

        await store.erase_content(["em_a", "em_nobody", "em_a"])
        await store.erase_content([])

        with pytest.raises(EmailNotFoundError):
            await store.content("em_a")
        assert (await store.fetch(["em_a"]))["em_a"] == Fetched(email, None)
        assert await store.get("em_a") == email
        assert [one.id for one in await found_for("ann@example.com", store)] == ["em_b", "em_a"]
        assert await store.content("em_b") == MESSAGE

    @pytest.mark.parametrize("status", sorted({*WAITING, Status.SENDING}))
    async def test_content_that_is_needed_stays(self, store: LettingGo, status: Status) -> None:
        """A dead letter that was just queued again must not lose its content to a page read before."""
        await filled(store, [settled(status=status, settled_at=None, due_at=NOW)])

        await store.erase_content(["em_a"])

        assert await store.content("em_a") == MESSAGE

    async def test_a_forgotten_recipient_finds_nothing(self, store: LettingGo) -> None:
        """Once its addresses are gone, no filter by them finds an e-mail."""
        email = settled()
        await filled(store, [email])

        await store.save(replace(forgotten(email), version=2))

        assert await store.count(Query(to="ann@example.com")) == await store.count(Query(metadata={"o": "42"})) == 0
        assert await store.count(Query(status=Status.SENT)) == 1

    @pytest.mark.parametrize("status", sorted(SETTLED))
    async def test_a_tombstone_answers_for_its_id_and_nothing_else(self, store: LettingGo, status: Status) -> None:
        """A repeat of a key finds how its e-mail ended; no list, no sweep and no reader of content finds more."""
        stone = tombstone(settled(status=status))
        await filled(store, [settled(status=status)])

        await store.entomb(stone)

        again = await store.add(queued(), MESSAGE)
        assert (again.email, again.fresh) == (stone, False)
        assert await store.get("em_a") == stone
        assert (await store.list(Query(), after=None, limit=10)).emails == ()
        assert await store.count(Query()) == 0
        due = Due(lane=stone.lane, limit=10, hide_for=MINUTE, closed=frozenset())
        assert list(await store.take_due(NOW + 1000 * DAY, due)) == []
        assert await aged(store, Kept.RECORD, NOW + DAY) == await aged(store, Kept.CONTENT, NOW + DAY) == []
        with pytest.raises(EmailNotFoundError):
            await store.content("em_a")

    async def test_a_tombstone_is_never_changed(self, store: LettingGo) -> None:
        """What is gone cannot be redriven, cancelled or buried again."""
        stone = tombstone(settled())
        await filled(store, [settled()])
        await store.entomb(stone)

        with pytest.raises(EmailNotFoundError):
            await store.save(next_of(stone))
        with pytest.raises(EmailNotFoundError):
            await store.entomb(tombstone(stone))

        assert await store.get("em_a") == stone

    async def test_an_email_that_has_changed_is_not_buried(self, store: LettingGo) -> None:
        """A person who redrives a dead letter at that moment wins: nothing of it is lost."""
        dead = settled(status=Status.FAILED)
        await filled(store, [dead])
        redriven = next_of(dead, status=Status.QUEUED, due_at=NOW, settled_at=None)
        await store.save(redriven)

        with pytest.raises(StaleEmailError):
            await store.entomb(tombstone(dead))

        assert await store.get("em_a") == redriven
        assert await store.content("em_a") == MESSAGE

    async def test_who_was_never_there_is_not_buried(self, store: LettingGo) -> None:
        """A tombstone needs an e-mail."""
        with pytest.raises(EmailNotFoundError):
            await store.entomb(tombstone(settled()))

    async def test_many_are_buried_at_once(self, store: LettingGo) -> None:
        """Each caller gets his own result, the stale one among them too."""
        await filled(store, [settled(f"em_{n}") for n in range(20)])
        await store.save(next_of(settled("em_7")))

        results = await asyncio.gather(
            *(store.entomb(tombstone(settled(f"em_{n}"))) for n in range(20)), return_exceptions=True
        )

        assert [n for n, one in enumerate(results) if one is not None] == [7]
        assert isinstance(results[7], StaleEmailError)
        assert [email.id for email in (await store.list(Query(), after=None, limit=50)).emails] == ["em_7"]

    async def test_old_tombstones_are_forgotten(self, store: LettingGo) -> None:
        """Beyond its days a key may be used anew; younger ones still answer, and no more go than asked for."""
        emails = [settled(f"em_{n}", created_at=NOW + n * DAY) for n in range(4)]
        await filled(store, emails)
        for email in emails:
            await store.entomb(tombstone(email))

        first = await store.drop_tombstones(NOW + 2 * DAY, limit=1)
        rest = await store.drop_tombstones(NOW + 2 * DAY, limit=10)
        none = await store.drop_tombstones(NOW + 2 * DAY, limit=10)

        assert (first, rest, none) == (1, 1, 0)
        assert (await store.get("em_2")).id == "em_2"
        assert (await store.add(queued("em_1"), MESSAGE)).fresh
