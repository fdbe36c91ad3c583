"""Taking what is due: the sweep finds everything, and nobody gets what another was just given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.lifecycle import SETTLED, WAITING, Email, EmailId, Status
from mailcore.message import Lane
from mailcore.ports import Due, EmailStore
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, SECOND, emails, next_of, queued
from mailcore.testing.contracts.roundtrip import DRAWN, unused_id
from mailcore.testing.selection import is_due

EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00Z")


def asked(**fields: object) -> Due:
    """Return what to take: up to a hundred of the transactional lane, with no provider closed, hidden for a minute."""
    usual = Due(lane=Lane.TRANSACTIONAL, limit=100, hide_for=MINUTE, closed=frozenset())
    return replace(usual, **fields)


async def filled(store: EmailStore, emails: Sequence[Email]) -> None:
    """Add e-mails to a store."""
    await asyncio.gather(*(store.add(email, MESSAGE) for email in emails))


class TakingContract:
    """The sweep finds everything that is due and nothing else (I5)."""

    async def test_an_empty_store_has_nothing_due(self, store: EmailStore) -> None:
        """A sweep over nothing takes nothing."""
        taken = await store.take_due(NOW, asked())

        assert list(taken) == []

    @pytest.mark.parametrize(("late", "expected"), [(-SECOND, 0), (timedelta(), 1), (SECOND, 1)])
    async def test_it_is_due_from_its_moment_on(self, store: EmailStore, late: timedelta, expected: int) -> None:
        """Never early: an e-mail is due at its time, not a moment before (I17)."""
        await filled(store, [queued(due_at=NOW)])

        taken = await store.take_due(NOW + late, asked())

        assert len(taken) == expected

    async def test_a_millisecond_early_is_early(self, store: EmailStore) -> None:
        """The comparison is as fine as the moments are."""
        await filled(store, [queued(due_at=NOW + timedelta(milliseconds=1))])

        early = await store.take_due(NOW, asked())
        on_time = await store.take_due(NOW + timedelta(milliseconds=1), asked())

        assert (list(early), list(on_time)) == ([], ["em_a"])

    @pytest.mark.parametrize("status", sorted(SETTLED))
    async def test_what_is_settled_is_never_due(self, store: EmailStore, status: Status) -> None:
        """An e-mail that has ended is not looked at again, whatever moments it still carries."""
        await filled(store, [queued()])
        await store.save(next_of(queued(), status=status, settled_at=NOW))

        taken = await store.take_due(NOW + MINUTE, asked())

        assert list(taken) == []

    @pytest.mark.parametrize("status", sorted(WAITING - {Status.HELD}))
    async def test_what_waits_is_due_at_its_due_time(self, store: EmailStore, status: Status) -> None:
        """Schedules, lost wake-ups and retries are found by the same comparison."""
        await filled(store, [queued(status=status, due_at=NOW, hold_until=NOW + MINUTE, lease_until=NOW + MINUTE)])

        taken = await store.take_due(NOW, asked())

        assert list(taken) == ["em_a"]

    async def test_what_is_held_is_due_when_the_hold_ends(self, store: EmailStore) -> None:
        """A held e-mail wakes at `hold_until`, so that it is not held for ever."""
        await filled(store, [queued(status=Status.HELD, due_at=NOW, hold_until=NOW + MINUTE)])

        early, on_time = await store.take_due(NOW, asked()), await store.take_due(NOW + MINUTE, asked())

        assert (list(early), list(on_time)) == ([], ["em_a"])

    async def test_what_is_being_sent_is_due_when_its_lease_ends(self, store: EmailStore) -> None:
        """A worker that died is found by its lease, and one that lives is left alone until then."""
        await filled(store, [queued(status=Status.SENDING, due_at=None, lease_until=NOW + MINUTE)])

        early, on_time = await store.take_due(NOW, asked()), await store.take_due(NOW + MINUTE, asked())

        assert (list(early), list(on_time)) == ([], ["em_a"])

    @pytest.mark.parametrize("lane", Lane)
    async def test_one_lane_never_shows_another(self, store: EmailStore, lane: Lane) -> None:
        """Urgent mail is not found behind bulk, nor bulk by those who take urgent."""
        await filled(store, [queued(f"em_{other}", lane=other) for other in Lane])

        taken = await store.take_due(NOW, asked(lane=lane))

        assert list(taken) == [f"em_{lane}"]

    async def test_the_longest_overdue_comes_first(self, store: EmailStore) -> None:
        """Nobody is overtaken by those who became due after him."""
        minutes = [3, 1, 4, 0, 5, 2]
        await filled(store, [queued(f"em_{n}", due_at=NOW - n * MINUTE) for n in minutes])

        taken = await store.take_due(NOW, asked())

        assert list(taken) == ["em_5", "em_4", "em_3", "em_2", "em_1", "em_0"]

    async def test_a_limit_takes_the_longest_overdue(self, store: EmailStore) -> None:
        """What a limit leaves is what became due last, and the next call takes it."""
        await filled(store, [queued(f"em_{n}", due_at=NOW - n * MINUTE) for n in range(5)])

        first = await store.take_due(NOW, asked(limit=3))
        second = await store.take_due(NOW, asked(limit=3))

        assert (list(first), list(second)) == (["em_4", "em_3", "em_2"], ["em_1", "em_0"])

    async def test_a_limit_of_none_takes_nothing(self, store: EmailStore) -> None:
        """A caller without a free slot takes and hides nothing."""
        await filled(store, [queued()])

        nothing = await store.take_due(NOW, asked(limit=0))

        assert list(nothing) == []
        assert list(await store.take_due(NOW, asked())) == ["em_a"]

    async def test_what_was_taken_is_hidden_for_a_while(self, store: EmailStore) -> None:
        """The next calls leave it alone until the time is up; then it is due again."""
        await filled(store, [queued()])
        await store.take_due(NOW, asked(hide_for=MINUTE))

        hidden = await store.take_due(NOW + MINUTE - SECOND, asked())
        again = await store.take_due(NOW + MINUTE, asked())

        assert (list(hidden), list(again)) == ([], ["em_a"])

    async def test_taking_without_hiding_ends(self, store: EmailStore) -> None:
        """Whoever hides nothing is given each e-mail once a call, and may be given it again by the next."""
        await filled(store, [queued("em_a"), queued("em_b")])

        first = await store.take_due(NOW, asked(hide_for=timedelta()))
        second = await store.take_due(NOW, asked(hide_for=timedelta()))

        assert sorted(first) == sorted(second) == ["em_a", "em_b"]

    async def test_taking_does_not_change_the_email(self, store: EmailStore) -> None:
        """Hiding is the store's affair: whoever was given an e-mail can save the version he knows."""
        await filled(store, [queued()])

        await store.take_due(NOW, asked())

        assert await store.get("em_a") == queued()
        await store.save(next_of(queued()))

    async def test_a_save_ends_the_hiding(self, store: EmailStore) -> None:
        """After a save the e-mail's own moment counts, sooner or later than the hiding would have ended."""
        await filled(store, [queued()])
        await store.take_due(NOW, asked(hide_for=60 * MINUTE))
        await store.save(next_of(queued(), due_at=NOW + SECOND))

        taken = await store.take_due(NOW + SECOND, asked())

        assert list(taken) == ["em_a"]

    @pytest.mark.parametrize("takers", [2, 8])
    async def test_no_two_takers_get_one_email(self, store: EmailStore, takers: int) -> None:
        """What one call was given, no other call gets while it is hidden; and together they get all."""
        await filled(store, [queued(f"em_{n:03d}") for n in range(60)])

        shares = await asyncio.gather(*(store.take_due(NOW, asked(limit=20)) for _ in range(takers)))

        taken = [email_id for share in shares for email_id in share]
        assert len(taken) == len(set(taken)) == min(60, 20 * takers)

    @pytest.mark.parametrize(
        ("blocked_on", "closed", "expected"),
        [
            ((), set[str](), ["em_a"]),
            ((), {"a"}, ["em_a"]),
            (("a",), set[str](), ["em_a"]),
            (("a",), {"b"}, ["em_a"]),
            (("a",), {"a"}, []),
            (("a", "b"), {"b", "c"}, ["em_a"]),
            (("a", "b"), {"a", "b", "c"}, []),
            (("ab",), {"a", "b"}, ["em_a"]),
        ],
    )
    async def test_what_waits_for_closed_providers_is_left(
        self, store: EmailStore, blocked_on: tuple[str, ...], closed: set[str], expected: list[str]
    ) -> None:
        """What waits for providers is taken once one of them is not closed: open, or not configured any more."""
        await filled(store, [queued(status=Status.RETRYING, blocked_on=blocked_on)])

        taken = await store.take_due(NOW, asked(closed=frozenset(closed)))

        assert list(taken) == expected

    async def test_what_waits_for_closed_providers_is_found_when_it_is_given_up(self, store: EmailStore) -> None:
        """Nobody waits for a provider beyond his age: at `give_up_at` he is taken to be ended."""
        await filled(store, [queued(blocked_on=("a",), give_up_at=NOW + MINUTE)])

        shut = asked(closed=frozenset({"a"}))
        early = await store.take_due(NOW + MINUTE - SECOND, shut)
        on_time = await store.take_due(NOW + MINUTE, shut)
        hidden = await store.take_due(NOW + MINUTE, shut)

        assert (list(early), list(on_time), list(hidden)) == ([], ["em_a"], [])

    async def test_a_parked_backlog_hides_nobody(self, store: EmailStore) -> None:
        """However many longer overdue ones wait for a closed provider, the others are found behind them."""
        parked = [queued(f"em_p{n:03d}", blocked_on=("a",), due_at=NOW - MINUTE) for n in range(150)]
        await filled(store, [*parked, queued("em_free"), queued("em_other", blocked_on=("b",))])

        taken = await store.take_due(NOW, asked(limit=2, closed=frozenset({"a"})))

        assert set(taken) == {"em_free", "em_other"}

    async def test_what_waits_for_several_sets_comes_in_one_order(self, store: EmailStore) -> None:
        """The longest overdue comes first, whatever each of them waits for."""
        sets: list[tuple[str, ...]] = [(), ("a",), ("a", "b"), ("b",), ()]
        await filled(
            store, [queued(f"em_{n}", blocked_on=sets[n], due_at=NOW - (n * 7 % 5) * MINUTE) for n in range(5)]
        )

        taken = await store.take_due(NOW, asked())

        assert list(taken) == ["em_2", "em_4", "em_1", "em_3", "em_0"]

    async def test_a_redriven_email_is_found_again(self, store: EmailStore) -> None:
        """An e-mail that was settled and is waiting once more is due like any other."""
        failed = next_of(queued(), status=Status.FAILED, due_at=None, settled_at=NOW)
        await filled(store, [queued()])
        await store.save(failed)
        await store.save(next_of(failed, status=Status.QUEUED, due_at=NOW, settled_at=None))

        taken = await store.take_due(NOW, asked())

        assert list(taken) == ["em_a"]

    @DRAWN
    @given(
        drawn=st.lists(emails(), max_size=6),
        now=st.integers(min_value=0, max_value=2**42).map(lambda ms: EARLIEST + timedelta(milliseconds=ms)),
        lane=st.sampled_from(Lane),
        closed=st.frozensets(st.sampled_from("abc")),
    )
    async def test_the_sweep_takes_what_the_oracle_says(
        self, store: EmailStore, drawn: list[Email], now: datetime, lane: Lane, closed: frozenset[str]
    ) -> None:
        """For any e-mails, the store's predicate is the oracle's: everything due is found, and nothing else (I5)."""
        mine = [replace(email, id=unused_id()) for email in drawn]
        await filled(store, mine)
        due = asked(lane=lane, closed=closed, limit=1000, hide_for=timedelta(days=200_000))

        taken = await store.take_due(now, due)

        assert _among(mine, taken) == {email.id for email in mine if is_due(email, email.wake_at, due, now)}


def _among(mine: Sequence[Email], taken: Sequence[EmailId]) -> set[EmailId]:
    """Return those of the taken that belong to this example."""
    return {email.id for email in mine} & set(taken)
