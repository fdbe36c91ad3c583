"""The queues on SQS hold to the contract, seen from the other end as any receiver sees them."""

from collections.abc import AsyncIterator, Sequence

import pytest
from tests.servers.running import Server
from tests.servers.sqs_world import bodies, fresh_url, make_queues

from mailadapters.sqs_queue import SqsQueue, open_queue
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.testing.contracts import QueueContract


class TestSqsQueue(QueueContract[SqsQueue]):
    """SqsQueue is a WakeUpQueue."""

    @pytest.fixture
    async def queue(self, shared_sqs: Server) -> AsyncIterator[SqsQueue]:
        """Yield an empty queue."""
        url = fresh_url(shared_sqs)
        await make_queues(url)
        queue = open_queue(url)
        yield queue
        await queue.aclose()

    async def woken(self, queue: SqsQueue, lane: Lane) -> Sequence[EmailId]:
        """Receive what there is."""
        return [one for body in await bodies(queue, queue._place.lane(lane)) for one in body["ids"]]

    async def buried(self, queue: SqsQueue) -> Sequence[tuple[EmailId, str]]:
        """Read the dead-letter queue as another system would."""
        return [(body["id"], body["reason"]) for body in await bodies(queue, queue._place.dead_letters)]
