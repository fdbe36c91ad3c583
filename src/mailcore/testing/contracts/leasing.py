"""What every store that keeps leases must hold to."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from mailcore.leadership import KeepsLease, Lease
from mailcore.testing.contracts.examples import MINUTE, NOW

MINE = Lease(name="scheduler", holder="me", until=NOW + MINUTE, term=1)
THEIRS = replace(MINE, holder="them", term=2)


class LeaseContract:
    """A lease changes by compare-and-set. The fixture `store` gives an empty store."""

    async def test_at_first_there_is_none(self, store: KeepsLease) -> None:
        """Nobody leads what nobody has led."""
        assert await store.load_lease("scheduler") is None

    async def test_the_first_one_is_taken_by_one(self, store: KeepsLease) -> None:
        """Where there is no lease, only who expects none gets it."""
        late = await store.swap_lease(MINE, THEIRS)
        taken = await store.swap_lease(None, MINE)
        again = await store.swap_lease(None, THEIRS)

        assert (late, taken, again) == (False, True, False)
        assert await store.load_lease("scheduler") == MINE

    async def test_it_is_replaced_by_who_knows_it(self, store: KeepsLease) -> None:
        """Whoever has seen the stored lease may replace it."""
        await store.swap_lease(None, MINE)

        swapped = await store.swap_lease(MINE, THEIRS)

        assert swapped
        assert await store.load_lease("scheduler") == THEIRS

    @pytest.mark.parametrize("change", [{"holder": "x"}, {"until": NOW}, {"term": 2}])
    async def test_every_field_is_compared(self, store: KeepsLease, change: dict[str, object]) -> None:
        """One who has seen another lease, even an older one of the same holder, gets nothing."""
        await store.swap_lease(None, MINE)

        swapped = await store.swap_lease(replace(MINE, **change), THEIRS)

        assert not swapped
        assert await store.load_lease("scheduler") == MINE

    async def test_of_many_at_the_same_time_one_gets_it(self, store: KeepsLease) -> None:
        """However many would lead, the swap lets one."""
        await store.swap_lease(None, MINE)
        wanted = [replace(THEIRS, holder=f"them-{n}") for n in range(20)]

        swapped = await asyncio.gather(*(store.swap_lease(MINE, one) for one in wanted))

        assert sum(swapped) == 1
        assert await store.load_lease("scheduler") == wanted[swapped.index(True)]

    async def test_leases_are_apart(self, store: KeepsLease) -> None:
        """What is led has a name, and another's lease is not touched."""
        other = replace(THEIRS, name="other")
        await store.swap_lease(None, MINE)

        await store.swap_lease(None, other)

        assert await store.load_lease("scheduler") == MINE
        assert await store.load_lease("other") == other
