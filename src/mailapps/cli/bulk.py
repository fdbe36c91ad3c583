"""Sending many messages: a few at once, with patience for a service that is busy, and a tally of what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from msgspec import Struct

from mailadapters.system import new_clock
from mailapps.cli.client import (
    TIMEOUT_S,
    UNAUTHORIZED,
    Json,
    RefusedError,
    address_of,
    answer_of,
    problem_of,
    unreachable,
)
from mailapps.cli.exits import CommandError
from mailapps.cli.letters import Letter
from mailapps.cli.lines import BadLine
from mailapps.cli.options import Reach
from mailapps.cli.patience import Patience

AT_ONCE: Final = 8
"""How many requests are under way at once; below where httpx's pool grows slow."""

Step = Callable[[], None]
Sleep = Callable[[float], Awaitable[object]]


class Failure(Struct, frozen=True):
    """A line that is no e-mail.

    Attributes:
        line: Where it begins, counted from 1.
        key: Its idempotency key; empty if the line could not be read.
        problems: Everything that is wrong with it: pointer, code, detail.
    """

    line: int
    key: str
    problems: Sequence[Json]


@dataclass
class Tally:
    """What came of a file.

    Attributes:
        accepted: Messages that are e-mails now, and were not before.
        repeated: Messages that were e-mails already: an earlier run, or an equal line, brought them.
        ids: The e-mails' ids by line.
        failures: Lines that were refused.
    """

    accepted: int = 0
    repeated: int = 0
    ids: dict[int, str] = field(default_factory=dict[int, str])
    failures: list[Failure] = field(default_factory=list[Failure])

    @property
    def done(self) -> int:
        """Lines that are e-mails."""
        return self.accepted + self.repeated


async def send_all(
    letters: Iterator[Letter | BadLine], reach: Reach, tally: Tally, step: Step, sleep: Sleep = asyncio.sleep
) -> None:
    """Submit every message of a file.

    Args:
        letters: The file's lines.
        reach: Where the service is.
        tally: Gets what came of them, also if this does not come to its end.
        step: Is called after each line.
        sleep: Waits so many seconds.

    Raises:
        UnreachableError: The service went away; what was accepted is not sent twice by another run.
    """
    url, headers = address_of(reach)

    async def crew(client: httpx.AsyncClient) -> None:
        for letter in letters:  # shared: whoever is free takes the next
            await _one(client, letter, tally, sleep)
            step()

    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(crew(client))
        except* CommandError as errors:
            raise errors.exceptions[0] from None


async def _one(client: httpx.AsyncClient, letter: Letter | BadLine, tally: Tally, sleep: Sleep) -> None:
    """Submit one message, and write down what came of it."""
    if isinstance(letter, BadLine):
        tally.failures.append(Failure(letter.line, "", (problem_of(letter.problem, "unreadable"),)))
        return
    patience = Patience()
    try:
        headers = {"Idempotency-Key": letter.key}
        request = client.build_request("POST", "/api/emails", json=letter.message, headers=headers)
        answer = await answered(client, request, patience, sleep)
    except RefusedError as error:
        if error.status == UNAUTHORIZED:
            raise
        tally.failures.append(Failure(letter.line, letter.key, error.problems))
        return
    # What is replayed after a try that may have been accepted was most likely accepted by that one.
    repeated = answer.headers.get("idempotency-replayed") == "true" and not patience.unsure
    tally.repeated += repeated
    tally.accepted += not repeated
    tally.ids[letter.line] = answer.json()["id"]


async def answered(
    client: httpx.AsyncClient, request: httpx.Request, patience: Patience, sleep: Sleep
) -> httpx.Response:
    """Return the answer to a request, asked again as patience has it if the service is busy or away for a moment.

    Raises:
        RefusedError: The answer is no.
        UnreachableError: Nobody answers.
    """
    while True:
        try:
            answer = await client.send(request)
            answer_of(answer)
        except (httpx.TransportError, RefusedError) as error:
            wait = patience.wait_s(error, new_clock().now())
            if wait is None and isinstance(error, httpx.TransportError):
                raise unreachable(str(client.base_url).rstrip("/"), error) from error
            if wait is None:
                raise
        else:
            return answer
        await sleep(wait)
