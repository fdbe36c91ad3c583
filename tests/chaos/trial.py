"""One trial: load on a rig, a fault that is injected and healed, a drain, and the history of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Any

import aiohttp
import httpx
from msgspec import Struct, convert
from tests.apps.metrics.numbers import total
from tests.chaos.client import CONTENT, PATIENCE, Client
from tests.chaos.history import Answer, Counted, History, Limits, Record, Request
from tests.chaos.rig import Rig
from tests.chaos.settings import ADMIN_KEY
from tests.e2e.town import complaints, show, until

UNFINISHED = ("scheduled", "queued", "sending", "retrying")
AT_ONCE = 32
PROBES = 3
OPEN_FOR_AT_LEAST_S = 13.5
"""The breaker's permits, and the shortest time for which it is open."""


@dataclass
class Trial:
    """What a fault may reach for while it acts.

    Attributes:
        dice: All that is left to chance follows from the seed.
        notes: What it measured beside what every trial does, by name.
        wrong: What it found broken itself.
        limits: What this trial is judged by, where it is not the usual.
    """

    rig: Rig
    client: Client
    dice: Random
    notes: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)

    async def wait(self, seconds: float) -> None:
        """Let time pass under load."""
        await asyncio.sleep(seconds)

    def now(self) -> datetime:
        """Return the time by which answers are asked for."""
        return datetime.now(UTC)

    def answers(self, since: datetime) -> Sequence[Answer]:
        """Return what was answered, so far, to POSTs since some time."""
        return [answer for one in self.client.done for answer in one.answers if answer.at >= since]

    async def submit_one(self, **fields: Any) -> str:
        """Submit one message beside the load, and return its e-mail's id."""
        before = len(self.client.done)
        key = self.client.submit(**fields)

        async def settled() -> str:
            return next((min(one.ids()) for one in self.client.done[before:] if one.key == key), "")

        return str(await until("it is accepted", settled))

    async def show(self, email_id: str) -> Mapping[str, Any]:
        """Return an e-mail with its attempts."""
        process = next(one for one in self.rig.named("api") if one.alive)
        assert process.running is not None
        return await show(process.running, email_id)

    async def sent(self, email_id: str) -> None:
        """Wait until an e-mail is sent."""

        async def is_sent() -> bool:
            return str((await self.show(email_id))["status"]) == "sent"

        await until(f"{email_id} is sent", is_sent, within_s=self.rig.pace.drain_s)

    async def _ask(self, path: str, **query: Any) -> Any:
        """Return what an API that runs answers."""
        process = next(one for one in self.rig.named("api") if one.alive)
        assert process.running is not None
        return await _answer(process.running.http, path, query)

    async def obstacles(self) -> Mapping[str, str | None]:
        """Return what keeps each provider from attempts; None for nothing."""
        return {one["name"]: one["obstacle"] for one in (await self._ask("/api/providers"))["data"]}

    async def listed(self, status: str) -> Sequence[Mapping[str, Any]]:
        """Return some e-mails with a status."""
        return list((await self._ask("/api/emails", status=status, limit=100))["data"])

    async def shown(self, count: int, **wanted: str) -> Sequence[Mapping[str, Any]]:
        """Return the latest e-mails with their attempts, of those that are wanted."""
        found = (await self._ask("/api/emails", limit=count, **wanted))["data"]
        return [await self.show(one["id"]) for one in found]

    async def longest_call(self) -> float:
        """Return how long the longest of the latest calls of a provider took, in seconds."""
        attempts = [one for email in await self.shown(100) for one in email["attempts"]]
        return max((one["latency_ms"] or 0 for one in attempts), default=0) / 1000

    async def hits(self, provider: str) -> list[float]:
        """Return when a provider was asked, in seconds since the epoch, oldest first."""
        rows = await self.rig.town.requests(provider=provider)
        return [datetime.fromisoformat(row["received_at"]).timestamp() for row in rows]

    async def must_probe_little(self, provider: str, within_s: float = 10.0) -> None:
        """Note if a provider that fails was asked more than its probe permits allow in the latest seconds."""
        hits = [at for at in await self.hits(provider) if at > time.time() - within_s]
        periods = within_s / OPEN_FOR_AT_LEAST_S + 1
        self.note(f"hits of the failing {provider} in {within_s:g} s", len(hits))
        self.must(len(hits) <= PROBES * periods, f"{provider} was asked {len(hits)} times while its breaker was open")

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


async def trial(
    rig: Rig,
    fault: Fault,
    seed: str,
    *,
    warm_s: float = 3.0,
    limits: Mapping[str, Any] = MappingProxyType({}),
    **client: Any,
) -> Outcome:
    """Put load on a rig while a fault acts, heal, drain, and return what happened.

    Args:
        seed: Begins every key, and all dice follow from it.
        warm_s: After so long memory is looked at first.
        limits: What it is judged by, where that is not the usual.
        client: Options of the client.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(_connection(one.url)) for one in rig.named("api")]
        callers = [await stack.enter_async_context(_caller(one.url)) for one in rig.named("api")]
        caller = Client(callers, name=seed, **client)
        at = Trial(rig, caller, Random(seed), limits={**limits})
        load = asyncio.create_task(caller.load(3600))
        await asyncio.sleep(warm_s)
        before = rig.memory()
        try:
            await fault(at)
        except BaseException:
            caller.stop()
            raise
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        await rig.heal()
        healed_at = datetime.now(UTC)
        await caller.finish(within_s=30)
        await _drained(rig, apis[0])
        after = rig.memory()
        history = await collected(at, apis[0], healed_at)
        at.wrong += indiscreet(rig)
    growth = max((after[name] / size - 1 for name, size in before.items() if name in after), default=0.0)
    took = time.monotonic() - began
    return Outcome(history=history, notes=at.notes, wrong=at.wrong, took_s=took, memory_growth=growth)


HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}


def indiscreet(rig: Rig) -> Iterator[str]:
    """Yield who has said in its log what nobody may: addresses, content, stacks (I40), errors that nobody foresaw."""
    for name, said in rig.logs():
        yield from (f"{name} complains: {line}" for line in complaints(said))
        yield from (f"{word!r} is in the log of {name}" for word in (*CONTENT, "Traceback") if word in said)


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
            if (await _answer(api, "/api/emails", {"status": status, "limit": "1"}))["data"]:
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
        limits=Limits(lease=at.rig.pace.lease, **at.limits),
    )


async def _records(api: httpx.AsyncClient) -> list[Record]:
    """Return every e-mail that the store has, with its attempts."""
    records = list[Record]()
    ids = await _ids(api)
    for part in range(0, len(ids), AT_ONCE):
        calls = (_answer(api, f"/api/emails/{email_id}") for email_id in ids[part : part + AT_ONCE])
        records += [_record(shown) for shown in await asyncio.gather(*calls)]
    return records


async def _answer(api: httpx.AsyncClient, path: str, query: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Return what an API answers, once it does: the machine may be busy."""
    heard = list[str]()
    for _ in range(10):
        try:
            said = await api.get(path, params=query)
        except httpx.TransportError as error:
            heard.append(type(error).__name__)
            continue
        if said.status_code == httpx.codes.OK:
            return said.json()
        heard.append(f"{said.status_code} {said.text[:300]}")
        await asyncio.sleep(1)
    raise AssertionError(f"{path} is not answered: {heard}")


async def _ids(api: httpx.AsyncClient) -> list[str]:
    """Return the ids of every e-mail that the store has."""
    ids, after = list[str](), dict[str, str]()
    while True:
        page = await _answer(api, "/api/emails", {"limit": "100", **after})
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
    if at.rig.killed:
        return Counted()
    shares = await at.rig.counted()
    accepted, settled, reopened = (
        int(sum(total(share, f"mailcore_{name}_total") for share in shares))
        for name in ("accepted", "settled", "reopened")
    )
    return Counted(accepted=accepted, settled=settled - reopened, doubtful=at.client.doubtful_cancels)
