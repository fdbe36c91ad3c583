"""The queue on RabbitMQ that docs/how-to/use-another-broker.md shows does what it says, by the code of that page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import aio_pika
import pytest
from tests.adapters.gate import Engine, once

from mailcore.events import Happening
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.testing.contracts import QueueContract

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-another-broker.md"
_numbers = count(1)


def code() -> ModuleType:
    """Return the page's first example as a module."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert found
    module = ModuleType("rabbit")
    exec(found[1], module.__dict__)  # noqa: S102 - our own page
    return module


RABBIT = code()


@pytest.fixture
async def queue() -> AsyncIterator[Any]:
    """Yield an empty queue, and delete it."""
    prefix = f"test_{os.getpid()}_{next(_numbers)}"
    queue = RABBIT.RabbitQueue(os.environ["MAILCORE_TEST_AMQP"], prefix)
    yield queue
    async with await aio_pika.connect(os.environ["MAILCORE_TEST_AMQP"]) as connection:
        channel = await connection.channel()
        for name in (*Lane, "dead-letters"):
            await channel.queue_delete(f"{prefix}.{name}")
    await queue.aclose()


async def received(queue: Any, name: str) -> list[Any]:
    """Return all there is in a queue, decoded."""
    channel = await queue._ready()
    found, of = [], await channel.get_queue(f"{queue._prefix}.{name}")
    while message := await of.get(fail=False):
        found.append(json.loads(message.body))
        await message.ack()
    return found


class TestRabbitQueue(QueueContract[Any]):
    """RabbitQueue is a WakeUpQueue."""

    @pytest.fixture(name="queue")
    def _queue(self, queue: Any) -> Any:
        """Return an empty queue."""
        return queue

    async def woken(self, queue: Any, lane: Lane) -> Sequence[EmailId]:
        """Receive what there is."""
        return [one for body in await received(queue, lane) for one in body["ids"]]

    async def buried(self, queue: Any) -> Sequence[tuple[EmailId, str]]:
        """Read the dead letters as another system would."""
        return [(body["id"], body["reason"]) for body in await received(queue, "dead-letters")]


async def test_wake_ups_reach_the_engine_and_garbage_does_not(queue: Any) -> None:
    """Each lane's ids arrive once; what is no wake-up is told and gone."""
    engine = Engine()
    wanted = {(lane, f"em_{lane}_{n}") for lane in Lane for n in range(120)}
    channel = await queue._ready()
    for body in (b"{", b"[]", b'{"ids": [1]}', b'{"ids": "x"}x', b"\xff"):
        await channel.default_exchange.publish(aio_pika.Message(body), f"{queue._prefix}.urgent")

    async with queue.waking(engine.admit, engine.watch):
        for lane in Lane:
            await queue.enqueue([one for of, one in sorted(wanted) if of is lane], lane=lane)
        await engine.until(lambda: len(engine.taken) >= len(wanted) and len(engine.told) >= 5)

    assert sorted(engine.taken) == sorted(wanted)
    assert [event.what for event in engine.told] == [Happening.STRANGE_WAKE_UP] * 5


async def test_what_was_not_taken_goes_back(queue: Any) -> None:
    """A wake-up that waits for a slot when the worker ends is there for the next one."""
    engine = Engine()
    engine.gate.clear()

    async with queue.waking(engine.admit, engine.watch):
        await queue.enqueue(["em_a"], lane=Lane.URGENT)
        await engine.until(lambda: bool(engine.asked))

    async def is_back() -> bool:
        return await received(queue, "urgent") == [{"ids": ["em_a"]}]

    await once(is_back)
    assert engine.taken == []
