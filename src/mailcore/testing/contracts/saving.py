"""Saving: compare-and-set is the one primitive that claims, leases, cancels and fences are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from mailcore.errors import EmailNotFoundError, StaleEmailError
from mailcore.lifecycle import Reason, Status
from mailcore.ports import Due, EmailStore
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued


class SavingContract:
    """A save wins if the stored version is the one before; else nothing happens (I8)."""

    async def test_a_save_replaces_the_version_before(self, store: EmailStore) -> None:
        """After a save the e-mail is what was saved, in all its fields."""
        email = queued()
        await store.add(email, MESSAGE)
        saved = next_of(email, status=Status.SENT, reason=Reason.ATTEMPT, settled_at=NOW, due_at=None)

        await store.save(saved)

        assert await store.get(email.id) == saved

    async def test_a_save_leaves_the_message_alone(self, store: EmailStore) -> None:
        """The message is written once, when the e-mail is added."""
        await store.add(queued(), MESSAGE)

        await store.save(next_of(queued()))

        assert await store.content("em_a") == MESSAGE

    async def test_saves_follow_each_other(self, store: EmailStore) -> None:
        """Each save makes way for the next one."""
        email = queued()
        await store.add(email, MESSAGE)

        for _ in range(20):
            email = next_of(email)
            await store.save(email)

        assert await store.get(email.id) == email

    @pytest.mark.parametrize("version", [-1, 0, 1, 3, 4, 100])
    async def test_any_other_version_is_stale(self, store: EmailStore, version: int) -> None:
        """Only the next version wins: not an older one, not the same, and none beyond the next."""
        email = queued()
        await store.add(email, MESSAGE)
        late = queued(version=version, saved_by="late")

        with pytest.raises(StaleEmailError):
            await store.save(late)

        assert await store.get(email.id) == email

    async def test_of_two_saves_of_one_version_the_second_is_stale(self, store: EmailStore) -> None:
        """Two workers cannot both claim an e-mail."""
        email = queued()
        await store.add(email, MESSAGE)
        mine, theirs = next_of(email, "me"), next_of(email, "them")

        await store.save(mine)

        with pytest.raises(StaleEmailError):
            await store.save(theirs)
        assert await store.get(email.id) == mine

    async def test_a_stale_save_does_not_wake_anybody(self, store: EmailStore) -> None:
        """A save that lost changes no due time either."""
        email = queued(due_at=NOW + MINUTE)
        await store.add(email, MESSAGE)
        with pytest.raises(StaleEmailError):
            await store.save(queued(version=7, due_at=NOW))

        due = Due(lane=email.lane, limit=10, hide_for=timedelta(), closed=frozenset())
        taken = await store.take_due(NOW, due)

        assert list(taken) == []

    async def test_saving_what_is_not_there_says_so(self, store: EmailStore) -> None:
        """A save of an e-mail that nobody added is not found, and adds nothing."""
        with pytest.raises(EmailNotFoundError):
            await store.save(queued(version=2))

        with pytest.raises(EmailNotFoundError):
            await store.get("em_a")

    @pytest.mark.parametrize("callers", [2, 8, 50])
    async def test_of_saves_at_once_exactly_one_wins(self, store: EmailStore, callers: int) -> None:
        """However many save one version at the same time: one wins, and is what is stored."""
        email = queued()
        await store.add(email, MESSAGE)
        rivals = [next_of(email, by=f"caller-{n}") for n in range(callers)]

        results = await asyncio.gather(*(store.save(rival) for rival in rivals), return_exceptions=True)

        winners = [rival for rival, result in zip(rivals, results, strict=True) if result is None]
        assert winners == [await store.get(email.id)]
        assert _kinds(results) == {"NoneType": 1, "StaleEmailError": callers - 1}

    async def test_rivals_that_share_a_token_do_not_both_win(self, store: EmailStore) -> None:
        """The version decides, even between saves that are equal in every field."""
        email = queued()
        await store.add(email, MESSAGE)

        results = await asyncio.gather(*(store.save(next_of(email)) for _ in range(10)), return_exceptions=True)

        assert _kinds(results) == {"NoneType": 1, "StaleEmailError": 9}

    async def test_each_caller_gets_the_result_of_his_own_save(self, store: EmailStore) -> None:
        """Winning, stale and missing saves that share a round trip do not spoil each other."""
        emails = [queued(f"em_{n:02d}") for n in range(30)]
        for email in emails[:20]:
            await store.add(email, MESSAGE)
        saves = [next_of(email) for email in emails[:10]] + emails[10:20] + [next_of(email) for email in emails[20:]]

        results = await asyncio.gather(*(store.save(save) for save in saves), return_exceptions=True)

        kinds = [type(result) for result in results]
        assert kinds == [type(None)] * 10 + [StaleEmailError] * 10 + [EmailNotFoundError] * 10
        stored = [(await store.get(email.id)).version for email in emails[:20]]
        assert stored == [2] * 10 + [1] * 10

    async def test_a_claim_and_a_cancel_cannot_both_win(self, store: EmailStore) -> None:
        """An e-mail that was cancelled is not sent, and one that is being sent was not cancelled."""
        for n in range(20):
            email = queued(f"em_{n}")
            await store.add(email, MESSAGE)
            claim = next_of(email, "worker", status=Status.SENDING, lease_until=NOW + MINUTE)
            cancel = next_of(email, "person", status=Status.CANCELLED, settled_at=NOW)

            results = await asyncio.gather(store.save(claim), store.save(cancel), return_exceptions=True)

            assert _kinds(results) == {"NoneType": 1, "StaleEmailError": 1}

    async def test_counting_up_loses_no_step(self, store: EmailStore) -> None:
        """Many that read, change and save, again if they are stale, together count to their number."""
        await store.add(queued(), MESSAGE)

        callers = [f"caller-{n}" for n in range(12)]

        async def count_one(by: str) -> None:
            while True:
                email = await store.get("em_a")
                try:
                    return await store.save(next_of(email, by, rounds=email.rounds + 1))
                except StaleEmailError:
                    continue

        await asyncio.gather(*(count_one(by) for by in callers))

        assert (await store.get("em_a")).rounds == len(callers)

    async def test_a_caller_who_gave_up_spoils_no_other_save(self, store: EmailStore) -> None:
        """A cancelled save may or may not have happened; the one beside it has its own result."""
        for email_id in ("em_a", "em_b"):
            await store.add(queued(email_id), MESSAGE)
        given_up = asyncio.ensure_future(store.save(next_of(queued("em_a"))))
        other = asyncio.ensure_future(store.save(next_of(queued("em_b"))))
        await asyncio.sleep(0)
        given_up.cancel()

        await asyncio.gather(given_up, other, return_exceptions=True)

        assert await store.get("em_b") == next_of(queued("em_b"))
        assert await store.get("em_a") in (queued("em_a"), next_of(queued("em_a")))


def _kinds(results: Sequence[object]) -> dict[str, int]:
    """Return how often each kind of result came."""
    names = [type(result).__name__ for result in results]
    return {name: names.count(name) for name in sorted(names)}
