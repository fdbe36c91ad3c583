"""Deployments on SQS: each with queues of its own, and the other end of them as somebody else's program sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import urlencode

import msgspec
from tests.servers.running import Server

from mailadapters.sqs_connection import Connection, SqsPlace, place_of
from mailadapters.sqs_queue import SqsQueue, open_queue

REGION = "eu-central-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
"""A stand-in takes any keys; without the last one a missing key is looked for in the network."""

_numbers = count(1)


def fresh_url(server: Server) -> str:
    """Return a deployment's URL that nobody has used before; its queues are not there yet."""
    prefix = f"test_{os.getpid()}_{next(_numbers)}"
    return f"sqs://{REGION}?{urlencode({'prefix': prefix, 'endpoint': server.url})}"


async def make_queues(url: str, seconds: int = 30) -> None:
    """Make the queues of a deployment, as its operator would; a message that was received comes again after a while."""
    place, connection = place_of(url), Connection(place_of(url))
    client = await connection._ready()
    for name in place.queues:
        await client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(seconds)})
    await connection.aclose()


@asynccontextmanager
async def empty_queue(server: Server) -> AsyncGenerator[SqsQueue]:
    """Give a queue that nobody has used before, and close it."""
    url = fresh_url(server)
    await make_queues(url)
    queue = open_queue(url)
    yield queue
    await queue.aclose()


async def bodies(queue: SqsQueue, name: str) -> Sequence[Any]:
    """Receive all messages of a queue there are, decoded; they are not there for others afterwards."""
    found: list[Any] = []
    while messages := await queue._connection.receive(name, 0):
        found += [msgspec.json.decode(message["Body"]) for message in messages]
        await queue._connection.delete(name, messages)
    return found


async def sizes(queue: SqsQueue, place: SqsPlace) -> Sequence[int]:
    """Return how many messages each of the lanes' queues has, received ones included."""
    client = await queue._connection._ready()
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answers = await asyncio.gather(
        *[
            client.get_queue_attributes(QueueUrl=await queue._connection._url(name), AttributeNames=wanted)
            for name in place.queues[:-1]
        ]
    )
    return [sum(int(answer["Attributes"][key]) for key in wanted) for answer in answers]
