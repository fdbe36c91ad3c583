"""The scheduler's lease: one leads, a paused one does nothing, and a dead one is followed soon (I35, I36)."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import NOW, SECOND

from mailcore.errors import StoreUnavailableError
from mailcore.leadership import Leadership, Lease, LeaseRules, candidacy
from mailcore.testing import ManualClock, MemoryStore

RULES = LeaseRules()
MINE = Lease(name="scheduler", holder="me", until=NOW + RULES.ttl, term=1)
THEIRS = replace(MINE, holder="them", term=7)


def candidate(store: MemoryStore, clock: ManualClock, holder: str = "me") -> Leadership:
    """Return one that would lead."""
    return Leadership(store=store, clock=clock, holder=holder)


@pytest.mark.parametrize(
    ("stored", "now", "expected"),
    [
        (None, NOW, MINE),
        (replace(MINE, term=4), NOW, replace(MINE, term=4)),
        (replace(MINE, term=4), NOW + timedelta(hours=1), replace(MINE, term=4)),
        (THEIRS, THEIRS.until - timedelta(milliseconds=1), None),
        (THEIRS, THEIRS.until, replace(MINE, term=8)),
        (THEIRS, NOW - RULES.ttl, None),
        (THEIRS, NOW - timedelta(hours=1), replace(MINE, term=8)),
    ],
)
def test_a_lease_is_taken_where_there_is_none_or_its_time_is_over(
    stored: Lease | None, now: datetime, expected: Lease | None
) -> None:
    """Whoever holds it renews it in the same term; another begins the next term, not before any end that can be."""
    assert candidacy(stored, MINE, now, RULES.ttl) == expected


async def test_one_of_many_leads() -> None:
    """However many begin at once, one gets the lease."""
    store, clock = MemoryStore(), ManualClock()
    candidates = [candidate(store, clock, f"c{n}") for n in range(10)]

    led = await asyncio.gather(*(one.campaign() for one in candidates))

    assert sum(led) == 1
    assert sum(one.leading for one in candidates) == 1


async def test_a_leader_that_was_paused_does_nothing() -> None:
    """Its trust ends a margin before others may take over, counted from before it asked (I35)."""
    store, clock = MemoryStore(), ManualClock()
    me = candidate(store, clock)
    await me.campaign()
    trusted = (RULES.ttl - RULES.margin).total_seconds()

    clock.advance(trusted - 0.001)
    before = me.leading
    clock.advance(0.001)

    assert (before, me.leading) == (True, False)


async def test_trust_counts_from_before_the_lease_was_asked_for() -> None:
    """A store that takes its time to answer shortens the trust, not the others' wait."""
    store, clock = MemoryStore(), ManualClock()

    class Slow(MemoryStore):
        async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
            clock.advance(RULES.ttl.total_seconds())
            return await store.swap_lease(before, after)

    late = Leadership(store=Slow(), clock=clock, holder="me")

    led = await late.campaign()

    assert (led, late.leading) == (False, False)


async def test_a_jump_of_the_wall_clock_makes_no_paused_leader_act() -> None:
    """Trust goes by the clock that never jumps, whatever time of day it is said to be."""

    class Jumping(ManualClock):
        def now(self) -> datetime:
            return NOW

    clock = Jumping()
    me = candidate(MemoryStore(), clock)
    await me.campaign()

    clock.advance(RULES.ttl.total_seconds())

    assert not me.leading


async def test_a_leader_keeps_its_term_as_long_as_it_renews() -> None:
    """Nobody else leads while the leader lives."""
    store, clock = MemoryStore(), ManualClock()
    me, them = candidate(store, clock), candidate(store, clock, "them")

    for _ in range(20):
        assert (await me.campaign(), await them.campaign()) == (True, False)
        clock.advance(RULES.every.total_seconds())

    assert store.leases["scheduler"].term == 1


async def test_a_dead_leader_is_followed_within_twenty_seconds() -> None:
    """The next one takes over at its first look after the lease has ended (I36)."""
    store, clock = MemoryStore(), ManualClock()
    await candidate(store, clock).campaign()
    began, them = clock.monotonic(), candidate(store, clock, "them")

    while not await them.campaign():
        clock.advance(RULES.every.total_seconds())

    assert clock.monotonic() - began <= 20
    assert (store.leases["scheduler"].holder, store.leases["scheduler"].term) == ("them", 2)


async def test_a_clock_that_was_set_right_leaves_nobody_waiting() -> None:
    """A dead leader's lease from when the common time was an hour ahead is not waited for."""

    class Ahead(ManualClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=1)

    store = MemoryStore()
    await candidate(store, Ahead()).campaign()

    assert await candidate(store, ManualClock(), "them").campaign()


async def test_a_leader_that_comes_back_too_late_follows() -> None:
    """What it finds in the store is another's lease, and it leaves it alone."""
    store, clock = MemoryStore(), ManualClock()
    me, them = candidate(store, clock), candidate(store, clock, "them")
    await me.campaign()
    clock.advance(60)
    await them.campaign()

    assert not await me.campaign()
    assert not me.leading
    assert them.leading


async def test_who_resigns_is_followed_at_once() -> None:
    """A polite stop leaves no gap, and takes nobody else's lease away."""
    store, clock = MemoryStore(), ManualClock()
    me, them, third = (candidate(store, clock, name) for name in ("me", "them", "third"))
    await me.campaign()

    await me.resign()
    followed = await them.campaign()
    await me.resign()

    assert (me.leading, followed, them.leading) == (False, True, True)
    assert not await third.campaign()


async def test_a_leader_whose_store_is_silent_leads_on_for_its_time() -> None:
    """What could not be renewed is trusted as long as it was given, and no longer."""
    store, clock = MemoryStore(), ManualClock()
    me = candidate(store, clock)
    await me.campaign()
    store.down = True
    clock.advance(5)

    with pytest.raises(StoreUnavailableError):
        await me.campaign()
    still = me.leading
    clock.advance(10)

    assert (still, me.leading) == (True, False)


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), max_size=40))
def test_never_do_two_lead(steps: list[tuple[int, int]]) -> None:
    """Whoever campaigns when, and whoever sleeps for how long: with one time, at most one trusts its lease."""
    store, clock = MemoryStore(), ManualClock()
    candidates = [candidate(store, clock, f"c{n}") for n in range(3)]

    async def scenario() -> None:
        for who, seconds in steps:
            await candidates[who].campaign()
            assert sum(one.leading for one in candidates) <= 1
            clock.advance(seconds)
            assert sum(one.leading for one in candidates) <= 1

    asyncio.run(scenario())
    assert RULES.ttl > RULES.every + RULES.margin + SECOND
