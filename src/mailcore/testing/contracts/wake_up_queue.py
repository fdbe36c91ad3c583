"""What every WakeUpQueue must hold to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

import pytest

from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.ports import WakeUpQueue

Q = TypeVar("Q", bound=WakeUpQueue)


class QueueContract(Generic[Q]):
    """A queue that is up carries what it is given. The fixture `queue` gives an empty one, and closes it.

    A subclass says how to look at the queue's other end: `woken`, and `buried` if burials can be seen there.
    """

    async def woken(self, queue: Q, lane: Lane) -> Sequence[EmailId]:
        """Return the ids that have arrived in a lane, in any order."""
        raise AssertionError(f"say how to see what arrived in the lane {lane} of {queue}")

    async def buried(self, queue: Q) -> Sequence[tuple[EmailId, str]]:
        """Return the burials that have arrived, in any order, each with its reason."""
        raise AssertionError(f"say how to see what was buried by {queue}")

    async def test_a_wake_up_arrives(self, queue: Q) -> None:
        """What was enqueued wakes somebody up."""
        await queue.enqueue(["em_a"], lane=Lane.TRANSACTIONAL)

        assert list(await self.woken(queue, Lane.TRANSACTIONAL)) == ["em_a"]

    async def test_many_wake_ups_arrive(self, queue: Q) -> None:
        """One call may carry many ids, and carries them all."""
        ids = [f"em_{n:03d}" for n in range(200)]

        await queue.enqueue(ids, lane=Lane.BULK)

        assert sorted(await self.woken(queue, Lane.BULK)) == ids

    async def test_none_is_no_wake_up(self, queue: Q) -> None:
        """A call without ids is no error and wakes nobody up."""
        await queue.enqueue([], lane=Lane.URGENT)

        assert list(await self.woken(queue, Lane.URGENT)) == []

    @pytest.mark.parametrize("lane", Lane)
    async def test_a_wake_up_stays_in_its_lane(self, queue: Q, lane: Lane) -> None:
        """Each lane is a queue of its own, so that bulk is never in front of urgent."""
        for other in Lane:
            await queue.enqueue([f"em_{other}"], lane=other)

        assert list(await self.woken(queue, lane)) == [f"em_{lane}"]

    async def test_wake_ups_at_once_all_arrive(self, queue: Q) -> None:
        """Calls that share a round trip do not lose each other."""
        ids = [f"em_{n:03d}" for n in range(100)]

        await asyncio.gather(*(queue.enqueue([email_id], lane=Lane.BULK) for email_id in ids))

        assert sorted(await self.woken(queue, Lane.BULK)) == ids

    async def test_any_sequence_of_ids_will_do(self, queue: Q) -> None:
        """The port promises to take the widest type."""
        await queue.enqueue(("em_a", "em_b"), lane=Lane.URGENT)

        assert sorted(await self.woken(queue, Lane.URGENT)) == ["em_a", "em_b"]

    async def test_a_burial_arrives_with_its_reason(self, queue: Q) -> None:
        """Other systems learn of a dead letter, and why it died."""
        await queue.bury("em_a", reason="rejected")

        assert list(await self.buried(queue)) == [("em_a", "rejected")]

    async def test_burials_wake_nobody_up(self, queue: Q) -> None:
        """A dead letter is not delivered."""
        await queue.bury("em_a", reason="gave_up")

        assert [list(await self.woken(queue, lane)) for lane in Lane] == [[], [], []]

    async def test_closing_twice_is_closing_once(self, queue: Q) -> None:
        """A shutdown that is told twice to close a queue does not fail the second time."""
        await queue.enqueue(["em_a"], lane=Lane.URGENT)

        await queue.aclose()

        await queue.aclose()  # raises nothing
