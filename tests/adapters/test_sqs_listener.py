"""A worker that listens to a real SQS server: what it hands to the engine, what it drops, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from tests.adapters.gate import Engine, once
from tests.servers.running import Server
from tests.servers.sqs_world import bodies, empty_queue, fresh_url, make_queues, sizes

from mailadapters.sqs_connection import SqsPlace
from mailadapters.sqs_queue import SqsQueue, open_queue
from mailcore.errors import QueueUnavailableError
from mailcore.events import Happening
from mailcore.message import Lane


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask often: the stand-in goes on holding a request that was given up, and takes messages for it."""
    monkeypatch.setattr("mailadapters.sqs_connection.WAIT_S", 1)


@pytest.fixture
async def queue(shared_sqs: Server) -> AsyncIterator[SqsQueue]:
    """Yield an empty queue."""
    async with empty_queue(shared_sqs) as queue:
        yield queue


async def emptied(queue: SqsQueue, place: SqsPlace) -> None:
    """Wait until nothing is left in any lane."""

    async def is_empty() -> bool:
        return not any(await sizes(queue, place))

    await once(is_empty)


async def test_wake_ups_of_every_lane_reach_the_engine(queue: SqsQueue) -> None:
    """What was enqueued is handed over in its lane, once, and deleted."""
    engine = Engine()
    wanted = {(lane, f"em_{lane}_{n}") for lane in Lane for n in range(120)}

    async with queue.waking(engine.admit, engine.watch):
        for lane in Lane:
            await queue.enqueue([one for of, one in sorted(wanted) if of is lane], lane=lane)
        await engine.until(lambda: len(engine.taken) >= len(wanted))
        await emptied(queue, queue._place)

    assert set(engine.taken) == wanted
    assert len(engine.taken) == len(wanted)


GARBAGE = {
    "no_json": "{",
    "a_text": "em_a",
    "a_list": '["em_a"]',
    "no_ids": "{}",
    "an_empty_list": '{"ids": []}',
    "a_number": '{"ids": [1]}',
    "a_long_id": '{"ids": ["' + "x" * 65 + '"]}',
    "more_than_ids": '{"ids": ["em_a"], "to": "ann@example.com"}',
    "deep": "[" * 10_000,
    "large": '{"ids": ["' + "x" * 200_000 + '"]}',
}


async def test_garbage_is_deleted_and_told(queue: SqsQueue) -> None:
    """K2: what is no wake-up raises nothing, is told once each, and keeps nobody from theirs."""
    engine, name = Engine(), queue._place.lane(Lane.URGENT)
    for body in GARBAGE.values():
        await queue._connection.send(name, [body])
    await queue.enqueue(["em_a"], lane=Lane.URGENT)

    async with queue.waking(engine.admit, engine.watch):
        await engine.until(lambda: len(engine.told) >= len(GARBAGE) and bool(engine.taken))
        await emptied(queue, queue._place)

    assert engine.taken == [(Lane.URGENT, "em_a")]
    assert [event.what for event in engine.told] == [Happening.STRANGE_WAKE_UP] * len(GARBAGE)
    assert {event.note for event in engine.told} == {f"in the queue {name}"}


async def test_bulk_that_waits_for_slots_holds_up_no_urgent_wake_up(queue: SqsQueue) -> None:
    """Each lane has its own listeners."""
    engine = Engine()
    engine.gate.clear()

    async with queue.waking(engine.admit, engine.watch):
        await queue.enqueue([f"em_{n}" for n in range(200)], lane=Lane.BULK)
        await engine.until(lambda: any(lane is Lane.BULK for lane, _ in engine.asked))
        await queue.enqueue(["em_urgent"], lane=Lane.URGENT)
        await engine.until(lambda: (Lane.URGENT, "em_urgent") in engine.asked)

    assert engine.taken == []


async def test_what_was_not_taken_goes_back(queue: SqsQueue) -> None:
    """P8: a wake-up that waits for a slot when the worker ends is there at once for the next one."""
    engine = Engine()
    engine.gate.clear()

    async with queue.waking(engine.admit, engine.watch):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)
        await engine.until(lambda: bool(engine.asked))

    assert engine.taken == []
    assert await bodies(queue, queue._place.lane(Lane.URGENT)) == [{"ids": ["em_a"]}]


async def test_a_worker_outlives_sqs(own_sqs: Server) -> None:
    """With SQS gone nothing is raised, and once it is back wake-ups arrive again."""
    url, engine = fresh_url(own_sqs), Engine()
    await make_queues(url)
    queue = open_queue(url)

    async def is_down() -> bool:
        return queue._reach.down

    async def is_taken() -> bool:
        with suppress(QueueUnavailableError):
            await queue.enqueue(["em_a"], lane=Lane.URGENT)
            return True
        return False

    async with queue.waking(engine.admit, engine.watch):
        await asyncio.to_thread(own_sqs.kill)
        await once(is_down)
        with pytest.raises(QueueUnavailableError):
            await queue.enqueue(["em_lost"], lane=Lane.URGENT)
        await asyncio.to_thread(own_sqs.restart)
        await make_queues(url)
        await once(is_taken)
        await engine.until(lambda: bool(engine.taken))

    await queue.aclose()
    assert set(engine.taken) == {(Lane.URGENT, "em_a")}
