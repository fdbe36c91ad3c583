"""Wake-ups on their way into SQS: gathered, bounded in time, and refused at once while SQS is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import botocore.exceptions
import pytest
from tests.adapters.gate import once
from tests.servers.running import Server
from tests.servers.sqs_world import bodies, empty_queue, fresh_url, sizes

from mailadapters import sqs_connection
from mailadapters.sqs_connection import FAULTS, place_of
from mailadapters.sqs_format import MOST_IDS
from mailadapters.sqs_queue import SqsQueue, open_queue
from mailcore.errors import QueueUnavailableError, SettingsError
from mailcore.message import Lane

SECRET = "hunter2"


@pytest.fixture
async def queue(shared_sqs: Server) -> AsyncIterator[SqsQueue]:
    """Yield an empty queue."""
    async with empty_queue(shared_sqs) as queue:
        yield queue


@pytest.fixture
async def own(own_sqs: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqsQueue]:
    """Yield an empty queue on a server that the test may harm; a call may take a second."""
    monkeypatch.setattr("mailadapters.sqs_connection.LIMIT_S", 1.0)
    async with empty_queue(own_sqs) as queue:
        yield queue


async def test_wake_ups_at_once_share_messages(queue: SqsQueue) -> None:
    """SQS is paid for by the request: an API under load writes a message for many e-mails."""
    await asyncio.gather(*(queue.enqueue([f"em_{n}"], lane=Lane.BULK) for n in range(200)))

    assert max(await sizes(queue, queue._place)) <= 200 / MOST_IDS + 1


async def test_a_message_holds_ids_and_nothing_else(queue: SqsQueue) -> None:
    """I41: whoever may read the queue learns nothing about anybody."""
    await queue.enqueue(["em_a", "em_b"], lane=Lane.URGENT)

    assert await bodies(queue, queue._place.lane(Lane.URGENT)) == [{"ids": ["em_a", "em_b"]}]


async def test_a_frozen_sqs_is_waited_for_once(own: SqsQueue, own_sqs: Server) -> None:
    """The first call waits for its time, the next ones not at all."""
    loop = asyncio.get_running_loop()
    own_sqs.freeze()
    with pytest.raises(QueueUnavailableError):
        await own.enqueue(["em_a"], lane=Lane.URGENT)
    began = loop.time()

    for _ in range(100):
        with pytest.raises(QueueUnavailableError, match="SQS does not answer"):
            await own.enqueue(["em_a"], lane=Lane.URGENT)

    took = loop.time() - began
    own_sqs.thaw()
    assert took < 5  # and not 100 times a second


async def test_sqs_is_found_again_without_anybody_waiting(own: SqsQueue, own_sqs: Server) -> None:
    """Once it is back, wake-ups go through it again."""
    own_sqs.freeze()
    with pytest.raises(QueueUnavailableError):
        await own.enqueue(["em_a"], lane=Lane.URGENT)
    own_sqs.thaw()

    async def is_taken() -> bool:
        with suppress(QueueUnavailableError):
            await own.enqueue(["em_b"], lane=Lane.URGENT)
            return True
        return False

    await once(is_taken)

    assert {"ids": ["em_b"]} in await bodies(own, own._place.lane(Lane.URGENT))


async def test_a_queue_that_is_not_there_is_named(shared_sqs: Server) -> None:
    """The operator makes the queues, and reads which one he forgot."""
    queue = open_queue(fresh_url(shared_sqs))

    with pytest.raises(QueueUnavailableError, match=f"no queue {queue._place.prefix}-urgent"):
        await queue.ping()

    await queue.aclose()


async def test_what_sqs_refuses_is_told(queue: SqsQueue) -> None:
    """A part of a batch that was not taken is a wake-up that was lost, and its caller hears of it."""
    name = queue._place.lane(Lane.URGENT)
    sent = (await queue._connection.receive(name, 0), await queue._connection.send(name, ["x"]))
    assert sent[0] == ()
    [message] = await queue._connection.receive(name, 1)
    forged: dict[str, Any] = {**message, "ReceiptHandle": "forged"}

    with pytest.raises(FAULTS) as refused:
        await queue._connection.delete(name, [forged])

    assert "forged" not in sqs_connection.told(refused.value)


def test_every_error_of_the_driver_is_mapped() -> None:
    """What botocore raises for a server or a network comes out as one of ours."""
    known: list[Any] = [one for one in vars(botocore.exceptions).values() if isinstance(one, type)]
    raised = [one for one in known if issubclass(one, Exception)]

    unmapped = {one.__name__ for one in raised if not issubclass(one, FAULTS)}

    of_programs = {"UndefinedModelAttributeError", "MissingServiceIdError"}
    warnings = {"ImminentRemovalWarning", "UnsupportedTLSVersionWarning"}
    assert unmapped == of_programs | warnings


@pytest.mark.parametrize(
    "url",
    [
        "sqs://",
        "sqs://eu",
        f"sqs://AKIA:{SECRET}@eu-central-1",
        "sqs://eu-central-1/queue",
        "sqs://eu-central-1?prefix=a%20b",
        "sqs://eu-central-1?prefix=",
        f"sqs://eu-central-1?secret={SECRET}",
        "sqs://eu-central-1?endpoint=127.0.0.1",
        "http://eu-central-1",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    """A key in the URL is refused, and the error says what is expected and not what stands there."""
    with pytest.raises(SettingsError, match="queue:") as refused:
        open_queue(url)

    assert SECRET not in str(refused.value)


def test_a_url_names_region_and_deployment() -> None:
    """The queues' names follow from the prefix: one for each lane, and one for dead letters."""
    place = place_of("sqs://us-gov-west-1?prefix=shop")

    assert (place.region, place.endpoint) == ("us-gov-west-1", None)
    assert list(place.queues) == ["shop-urgent", "shop-transactional", "shop-bulk", "shop-dead-letters"]
    assert place_of("sqs://eu-central-1").prefix == sqs_connection.DEFAULT_PREFIX
