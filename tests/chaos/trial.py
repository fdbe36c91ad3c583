"""One trial: load on a rig, a fault that is injected and healed, a drain, and the history of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp
import httpx
from msgspec import Struct, convert
from tests.apps.metrics.numbers import total
from tests.chaos.client import PATIENCE, Client
from tests.chaos.history import Counted, History, Limits, Record, Request
from tests.chaos.rig import Rig
from tests.chaos.settings import ADMIN_KEY
from tests.e2e.town import until

RATE = 20.0
UNFINISHED = ("scheduled", "queued", "sending", "retrying")
AT_ONCE = 32


@dataclass
class Trial:
    """What a fault may reach for while it acts.

    Attributes:
        dice: All that is left to chance follows from the seed.
        notes: What it measured beside what every trial does, by name.
        wrong: What it found broken itself.
        counted: Whether the processes' counters must add up: no, where one of them may have lost some.
    """

    rig: Rig
    client: Client
    dice: Random
    notes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    counted: bool = True
    attempts: int = 64

    async def wait(self, seconds: float) -> None:
        """Let time pass under load."""
        await asyncio.sleep(seconds)

    def must(self, holds: bool, what: str) -> None:
        """Note what is wrong unless it holds."""
        if not holds:
            self.wrong.append(what)

    def note(self, name: str, value: object) -> None:
        """Keep a number for the report."""
        self.notes[name] = str(value)


Fault = Callable[[Trial], Awaitable[None]]
"""Injects a fault, lets it last, and measures what the fault's own pass numbers are about."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What a trial left behind."""

    history: History
    notes: Mapping[str, str]
    wrong: Sequence[str]
    took_s: float
    memory_growth: float


async def trial(rig: Rig, fault: Fault, seed: str, *, rate: float = RATE, **options: Any) -> Outcome:
    """Put load on a rig while a fault acts, heal, drain, and return what happened."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(_connection(one.url)) for one in rig.named("api")]
        callers = [await stack.enter_async_context(_caller(one.url)) for one in rig.named("api")]
        client = Client(callers, name=seed, rate=rate, **options)
        at = Trial(rig, client, Random(seed))
        load = asyncio.create_task(client.load(3600))
        await asyncio.sleep(3)
        before = rig.memory()
        try:
            await fault(at)
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        await rig.heal()
        healed_at = datetime.now(UTC)
        await client.finish(within_s=30)
        await _drained(rig, apis[0])
        after = rig.memory()
        history = await collected(at, apis[0], healed_at)
    growth = max((after[name] / size - 1 for name, size in before.items() if name in after), default=0.0)
    took = time.monotonic() - began
    return Outcome(history=history, notes=at.notes, wrong=at.wrong, took_s=took, memory_growth=growth)


HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}


def _caller(url: str) -> aiohttp.ClientSession:
    """Return a caller's connections to an API, as many as it needs."""
    return aiohttp.ClientSession(url, timeout=PATIENCE, headers=HEADERS, connector=aiohttp.TCPConnector(limit=0))


def _connection(url: str) -> httpx.AsyncClient:
    """Return a reader's connection to an API."""
    return httpx.AsyncClient(base_url=url, timeout=10, headers=HEADERS, trust_env=False)


async def _drained(rig: Rig, api: httpx.AsyncClient) -> None:
    """Wait until everything is settled, or for as long as it may take: what is left then, the checker tells."""

    async def is_empty() -> bool:
        for status in UNFINISHED:
            said = await api.get("/api/emails", params={"status": status, "limit": 1})
            if said.status_code != httpx.codes.OK or said.json()["data"]:
                await asyncio.sleep(0.3)
                return False
        return True

    try:
        await until("everything is settled", is_empty, within_s=rig.pace.drain_s)
    except AssertionError:
        return


async def collected(at: Trial, api: httpx.AsyncClient, healed_at: datetime) -> History:
    """Return the whole history."""
    records = await _records(api)
    return History(
        submissions=tuple(at.client.done),
        cancels=tuple(at.client.cancels),
        requests=tuple(_request(row) for row in await at.rig.town.requests() if row["email_id"]),
        records=tuple(records),
        counted=await _counted(at),
        healed_at=healed_at,
        limits=Limits(lease=at.rig.pace.lease, attempts=at.attempts),
    )


async def _records(api: httpx.AsyncClient) -> list[Record]:
    """Return every e-mail that the store has, with its attempts."""
    records = list[Record]()
    ids = await _ids(api)
    for part in range(0, len(ids), AT_ONCE):
        answers = await asyncio.gather(*(api.get(f"/api/emails/{one}") for one in ids[part : part + AT_ONCE]))
        records += [_record(answer.json()) for answer in answers]
    return records


async def _ids(api: httpx.AsyncClient) -> list[str]:
    """Return the ids of every e-mail that the store has."""
    ids, after = list[str](), dict[str, str]()
    while True:
        answer = await api.get("/api/emails", params={"limit": 100, **after})
        answer.raise_for_status()
        page = answer.json()
        ids += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            return ids
        after = {"after": page["next_cursor"]}


def _record(shown: Mapping[str, Any]) -> Record:
    """Return an e-mail as the API shows it as the checker reads it."""
    return convert({**shown, "key": shown["metadata"].get("key", ""), "listed": shown["possible_duplicate"]}, Record)


def _request(row: Mapping[str, Any]) -> Request:
    """Return a row of the ledger as the checker reads it."""
    return convert({**row, "accepted": row["verdict"] == "accepted"}, Request)


async def _counted(at: Trial) -> Counted:
    """Return what all processes have counted, if none of them has lost any."""
    if at.rig.killed or not at.counted:
        return Counted()
    shares = await at.rig.counted()
    accepted, settled, reopened = (
        int(sum(total(share, f"mailcore_{name}_total") for share in shares))
        for name in ("accepted", "settled", "reopened")
    )
    return Counted(accepted=accepted, settled=settled - reopened)
