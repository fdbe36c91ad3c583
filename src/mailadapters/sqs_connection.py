"""Amazon SQS as adapters see it: which queues there are, one client for a process, and what may go wrong.

The queues are the operator's: they are looked up by their names and never made here, so that no process needs the right
to. Keys come from where all AWS programs find theirs, never from the URL.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from mailcore.errors import SettingsError
from mailcore.message import Lane

LIMIT_S: Final = 2.0
"""How long a call may take. Who waits for a wake-up does not: he gives up after 250 ms, and the call goes on."""

WAIT_S: Final = 20
"""How long SQS holds a request for messages open until there is one; the longest that it allows."""

BATCH: Final = 10
"""So many messages go into one request at most, says SQS."""

DEAD_LETTERS: Final = "dead-letters"
DEFAULT_PREFIX: Final = "mailcore"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_EXPECTED: Final = (
    'queue: expected a URL such as "sqs://eu-central-1", or "sqs://eu-central-1?prefix=shop" for queues '
    "of other names; a prefix is up to 40 letters, digits, - and _, an endpoint=… an http(s) URL; "
    "keys come from the environment or the role of the machine, not from the URL"
)


class NotTakenError(Exception):
    """SQS did not do a part of what it was asked; the text says why."""


FAULTS: Final = (BotoCoreError, ClientError, NotTakenError, OSError, TimeoutError)
"""All that the driver raises for what a server or a network does."""


class SqsPlace(Struct, frozen=True):
    """Where a deployment's queues are.

    Attributes:
        prefix: Begins the names of its queues.
        endpoint: Where SQS is, if not at Amazon: a stand-in for tests.
    """

    region: str
    prefix: str
    endpoint: str | None = None

    def lane(self, lane: Lane) -> str:
        """Return the name of a lane's queue."""
        return f"{self.prefix}-{lane}"

    @property
    def dead_letters(self) -> str:
        """The name of the queue that tells of dead letters."""
        return f"{self.prefix}-{DEAD_LETTERS}"

    @property
    def queues(self) -> Sequence[str]:
        """The names of all queues."""
        return [*map(self.lane, Lane), self.dead_letters]


def place_of(url: str) -> SqsPlace:
    """Return what ``sqs://region?prefix=name`` names.

    Raises:
        SettingsError: The URL is none of that form, or has a key in it.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix, endpoint = query.pop("prefix", DEFAULT_PREFIX), query.pop("endpoint", None)
    sound = (
        parts.scheme == "sqs"
        and _REGION.fullmatch(parts.netloc)
        and parts.path in {"", "/"}
        and not query
        and _NAME.fullmatch(prefix)
        and (endpoint is None or urlsplit(endpoint).scheme in {"http", "https"})
    )
    if not sound:
        raise SettingsError(_EXPECTED)
    return SqsPlace(parts.netloc, prefix, endpoint)


def told(error: Exception) -> str:
    """Return what a log may say of a fault: no text of the driver's, which may quote the request."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return str(error) if isinstance(error, NotTakenError) else type(error).__name__


class Connection:
    """The client of one process, made with its first use; every call may raise `FAULTS` and takes what it takes."""

    def __init__(self, place: SqsPlace) -> None:
        self._place = place
        self._making = asyncio.Lock()
        self._open = AsyncExitStack()
        self._client: Any = None
        self._urls: dict[str, str] = {}

    async def ping(self) -> None:
        """Return if all queues are there."""
        for queue in self._place.queues:
            self._urls.pop(queue, None)
            await self._url(queue)

    async def send(self, queue: str, bodies: Sequence[str]) -> None:
        """Put messages into a queue, in as few requests as may be."""
        client, url = await self._ready(), await self._url(queue)
        for at in range(0, len(bodies), BATCH):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + BATCH])]
            _must_all_be_done(await client.send_message_batch(QueueUrl=url, Entries=entries))

    async def receive(self, queue: str, wait_s: int) -> Sequence[Any]:
        """Return messages as soon as there are any, none after so many seconds; others do not see them for a while."""
        client, url = await self._ready(), await self._url(queue)
        answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_s)
        messages: Sequence[Any] = answer.get("Messages", ())
        return messages

    async def delete(self, queue: str, messages: Sequence[Any]) -> None:
        """Forget messages that were received."""
        client, url = await self._ready(), await self._url(queue)
        _must_all_be_done(await client.delete_message_batch(QueueUrl=url, Entries=_handles(messages)))

    async def give_back(self, queue: str, messages: Sequence[Any]) -> None:
        """Let others see messages again that were received."""
        client, url = await self._ready(), await self._url(queue)
        entries = [{**handle, "VisibilityTimeout": 0} for handle in _handles(messages)]
        _must_all_be_done(await client.change_message_visibility_batch(QueueUrl=url, Entries=entries))

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._open.aclose()

    async def _ready(self) -> Any:
        """Return the client."""
        async with self._making:
            if self._client is None:
                self._client = await self._open.enter_async_context(_client(self._place))
        return self._client

    async def _url(self, queue: str) -> str:
        """Return the URL of a queue, by which SQS wants it named."""
        if queue not in self._urls:
            client = await self._ready()
            try:
                answer = await client.get_queue_url(QueueName=queue)
            except client.exceptions.QueueDoesNotExist as error:
                raise NotTakenError(f"there is no queue {queue}, or no right to use it") from error
            self._urls[queue] = answer["QueueUrl"]
        return self._urls[queue]


def _client(place: SqsPlace) -> Any:
    """Return what makes a client. The driver tries once more by itself; how long all may take its callers say."""
    config = AioConfig(connect_timeout=LIMIT_S, read_timeout=WAIT_S + LIMIT_S, retries={"total_max_attempts": 2})
    session: Any = AioSession()
    return session.create_client("sqs", region_name=place.region, endpoint_url=place.endpoint, config=config)


def _handles(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the names by which SQS knows messages that it handed out."""
    return [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]


def _must_all_be_done(answer: Any) -> None:
    """Return if all parts of a batch were done.

    Raises:
        NotTakenError: Some were not.
    """
    if failed := answer.get("Failed"):
        raise NotTakenError(f"{failed[0]['Code']} for {len(failed)} of a batch")
