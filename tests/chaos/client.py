"""A caller that gives no submission up: it posts at a steady rate, keeps what it heard, and repeats what is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from random import Random
from typing import Any

import aiohttp
from tests.chaos.history import Answer, Cancel, Kind, Submission

PATIENCE = aiohttp.ClientTimeout(total=10)
"""How long a caller waits for an answer; much longer than any may take, so that how long one takes is measured."""

PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0
"""How long before it repeats: twice as long each time."""

CONTENT = ("ann@example.com", "Your receipt", "Thank you.")
"""Recipient, subject and text of every message."""

NO_ANSWER = (aiohttp.ClientError, TimeoutError, ValueError)

RATE = 20.0
LANES = ("urgent", "transactional", "transactional", "bulk")


@dataclass
class Client:
    """Posts messages to several APIs.

    Attributes:
        apis: One connection for each API.
        rate: Submissions a second.
        name: Begins every key, so that no two clients share one; all dice follow from the keys.
        plain: Nothing is scheduled or cancelled.
        done: What was submitted, and is settled for the caller.
    """

    apis: Sequence[aiohttp.ClientSession]
    name: str
    rate: float = RATE
    plain: bool = False
    done: list[Submission] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    given_up: bool = False
    doubtful_cancels: int = 0
    _asked: int = 0
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def load(self, seconds: float) -> None:
        """Submit at the rate for so many seconds."""
        loop = asyncio.get_running_loop()
        following = loop.time()
        end = following + seconds
        while following < end:
            self.submit()
            following += 1 / self.rate
            await asyncio.sleep(max(0.0, following - loop.time()))

    def submit(self, **fields: Any) -> str:
        """Begin one submission, and return its key."""
        self._asked += 1
        key = f"{self.name}:{self._asked}"
        task = asyncio.get_running_loop().create_task(self._settle(key, fields, Random(key)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return key

    def stop(self) -> None:
        """Leave everything as it is."""
        for task in self._under_way:
            task.cancel()

    async def finish(self, within_s: float) -> None:
        """Wait until every submission is settled; after so many seconds no more is repeated."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=within_s)
        self.given_up = True
        await asyncio.gather(*self._under_way)

    def _drawn(self, fields: Mapping[str, Any], dice: Random) -> dict[str, Any]:
        """Return a message with what its dice add to it."""
        letter = {**dict(zip(("to", "subject", "text"), CONTENT, strict=True)), "lane": "transactional"}
        if not self.plain:
            letter["lane"] = dice.choice(LANES)
            if dice.random() < 0.1:
                wish = datetime.now(UTC) + timedelta(seconds=dice.uniform(1, 8))
                letter["scheduled_at"] = wish.isoformat(timespec="milliseconds")
        return {**letter, **fields}

    async def _settle(self, key: str, fields: Mapping[str, Any], dice: Random) -> None:
        """Post a message until what became of it is known, and withdraw some of those that wait."""
        letter = {**self._drawn(fields, dice), "metadata": {"key": key}}
        answers = [await self._post(key, letter, dice.choice(self.apis))]
        while answers[-1].kind is Kind.UNKNOWN and not self.given_up:
            await asyncio.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2 ** (len(answers) - 1)))
            answers.append(await self._post(key, letter, dice.choice(self.apis)))
        wish = letter.get("scheduled_at")
        scheduled_at = datetime.fromisoformat(wish) if isinstance(wish, str) else None
        self.done.append(Submission(key=key, answers=tuple(answers), scheduled_at=scheduled_at))
        if wish and not fields and answers[-1].kind is Kind.OK and dice.random() < 0.3:
            await self._cancel(answers[-1].email_id, dice.choice(self.apis))

    async def _post(self, key: str, letter: Mapping[str, Any], api: aiohttp.ClientSession) -> Answer:
        """Post once."""
        at, began = datetime.now(UTC), asyncio.get_running_loop().time()
        status, problem, email_id, replayed = None, "", "", False
        try:
            async with api.post("/api/emails", json=letter, headers={"Idempotency-Key": key}) as said:
                body = await said.json(content_type=None)
                status, replayed = said.status, "Idempotency-Replayed" in said.headers
                problem, email_id = str(body.get("code", "")), str(body.get("id", ""))
        except NO_ANSWER as error:
            problem = type(error).__name__
        took = timedelta(seconds=asyncio.get_running_loop().time() - began)
        kind = kind_of(status)
        return Answer(at=at, took=took, kind=kind, status=status, problem=problem, email_id=email_id, replayed=replayed)

    async def _cancel(self, email_id: str, api: aiohttp.ClientSession) -> None:
        """Withdraw an e-mail; only a 200 counts."""
        try:
            async with api.post(f"/api/emails/{email_id}/cancel") as said:
                status: int | None = said.status
        except NO_ANSWER:
            status = None
        if status == HTTPStatus.OK:
            self.cancels.append(Cancel(email_id, datetime.now(UTC)))
        self.doubtful_cancels += kind_of(status) is Kind.UNKNOWN


def kind_of(status: int | None) -> Kind:
    """Return what a caller knows after an answer with this status; 429 and 503 may be repeated, and change nothing."""
    if status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Kind.UNKNOWN
    return Kind.OK if status < HTTPStatus.BAD_REQUEST else Kind.FAIL
