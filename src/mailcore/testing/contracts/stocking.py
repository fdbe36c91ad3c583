"""What a store must hold to that counts its unfinished e-mails at one glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.ports import EmailStore
from mailcore.stock import Pile, TakesStock
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued


class Counted(EmailStore, TakesStock, Protocol):
    """A store that takes stock."""


class StockContract:
    """The fixture `store` gives an empty store, and closes it after the test."""

    async def test_an_empty_store_has_no_piles(self, store: Counted) -> None:
        """What is not there is not counted as 0."""
        assert await store.stock() == []

    async def test_each_lane_and_status_is_a_pile_with_its_first_waking(self, store: Counted) -> None:
        """Counts and moments are of those alone that lie together."""
        await store.add(queued("em_a", due_at=NOW + MINUTE), MESSAGE)
        await store.add(queued("em_b", due_at=NOW), MESSAGE)
        await store.add(queued("em_c", due_at=NOW - MINUTE, lane=Lane.BULK), MESSAGE)
        await store.add(queued("em_d", due_at=NOW + MINUTE, status=Status.RETRYING, blocked_on=("p1", "p2")), MESSAGE)

        piles = await store.stock()

        assert in_order(piles) == [
            Pile(lane=Lane.BULK, status=Status.QUEUED, count=1, wakes_at=NOW - MINUTE),
            Pile(lane=Lane.TRANSACTIONAL, status=Status.QUEUED, count=2, wakes_at=NOW),
            Pile(lane=Lane.TRANSACTIONAL, status=Status.RETRYING, count=1, wakes_at=NOW + MINUTE),
        ]

    async def test_of_those_that_wait_for_providers_the_first_waking_counts_too(self, store: Counted) -> None:
        """A backlog that is parked behind closed providers is seen, whichever of them it waits for."""
        parked = queued("em_a", status=Status.RETRYING, blocked_on=("p2",), due_at=NOW - MINUTE)
        await store.add(parked, MESSAGE)
        await store.add(queued("em_b", status=Status.RETRYING, blocked_on=("p1",), due_at=NOW), MESSAGE)

        piles = await store.stock()

        assert piles == [Pile(lane=Lane.TRANSACTIONAL, status=Status.RETRYING, count=2, wakes_at=NOW - MINUTE)]

    async def test_what_is_settled_is_in_no_pile(self, store: Counted) -> None:
        """The cost of counting follows what is unfinished, whatever lies beside it."""
        await store.add(queued("em_a"), MESSAGE)

        await store.save(next_of(queued("em_a"), status=Status.SENT, due_at=None, settled_at=NOW))

        assert await store.stock() == []


def in_order(piles: Sequence[Pile]) -> list[Pile]:
    """Return piles by lane and status."""
    return sorted(piles, key=lambda pile: (pile.lane, pile.status))
