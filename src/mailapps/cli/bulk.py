"""Sending many messages: a few at once, with patience for a service that is busy, and a tally of what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx

from mailapps.cli.client import TIMEOUT_S, UNAUTHORIZED, RefusedError, address_of, answer_of, unreachable
from mailapps.cli.exits import CommandError
from mailapps.cli.letters import BadLine, Letter
from mailapps.cli.options import Reach

AT_ONCE: Final = 8
"""How many requests are under way at once; below where httpx's pool grows slow."""

TRIES: Final = 4
PAUSE_S: Final = 0.5

Tell = Callable[[str], None]
Step = Callable[[], None]


@dataclass
class Tally:
    """What came of a file.

    Attributes:
        accepted: Messages that are e-mails now, and were not before.
        repeated: Messages that were e-mails already: an earlier run, or an equal line, brought them.
        failed: Lines that were refused.
        ids: The e-mails' ids by line.
    """

    accepted: int = 0
    repeated: int = 0
    failed: int = 0
    ids: dict[int, str] = field(default_factory=dict[int, str])


@dataclass(frozen=True)
class Progress:
    """Whom to tell.

    Attributes:
        wrong: Is told of each line that failed.
        step: Is called after each line.
    """

    wrong: Tell
    step: Step


async def send_all(letters: Iterator[Letter | BadLine], reach: Reach, progress: Progress) -> Tally:
    """Submit every message of a file and return what came of them.

    Raises:
        UnreachableError: The service went away; what was accepted is not sent twice by another run.
    """
    tally = Tally()
    url, headers = address_of(reach)

    async def crew(client: httpx.AsyncClient) -> None:
        for letter in letters:  # shared: whoever is free takes the next
            await _one(client, letter, tally, progress)

    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(crew(client))
        except* CommandError as errors:
            raise errors.exceptions[0] from None
    return tally


async def _one(client: httpx.AsyncClient, letter: Letter | BadLine, tally: Tally, progress: Progress) -> None:
    """Submit one message, and write down what came of it."""
    problem = letter.problem if isinstance(letter, BadLine) else await _submitted(client, letter, tally)
    if problem:
        tally.failed += 1
        progress.wrong(f"line {letter.line}: {'; '.join(problem.splitlines())}")
    progress.step()


async def _submitted(client: httpx.AsyncClient, letter: Letter, tally: Tally) -> str:
    """Submit one message; return why it was refused, or nothing."""
    try:
        answer = await _accepted(client, letter)
    except RefusedError as error:
        if error.status == UNAUTHORIZED:
            raise
        return str(error)
    repeated = answer.headers.get("idempotency-replayed") == "true"
    tally.repeated += repeated
    tally.accepted += not repeated
    tally.ids[letter.line] = answer.json()["id"]
    return ""


async def _accepted(client: httpx.AsyncClient, letter: Letter) -> httpx.Response:
    """Return the answer to a message, asked again a few times if the service is busy or away for a moment.

    Raises:
        RefusedError: The answer is no.
        UnreachableError: Nobody answers.
    """
    for number in range(TRIES):
        try:
            answer = await client.post("/api/emails", json=letter.message, headers={"Idempotency-Key": letter.key})
            answer_of(answer)
        except (httpx.TransportError, RefusedError) as error:
            again = number + 1 < TRIES
            if isinstance(error, RefusedError) and not (error.retryable and again):
                raise
            if isinstance(error, httpx.TransportError) and not again:
                raise unreachable(str(client.base_url).rstrip("/"), error) from error
            await asyncio.sleep(PAUSE_S * 2**number)
        else:
            return answer
    raise AssertionError("the last try returns or raises")
