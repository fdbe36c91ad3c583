"""What a worker on MongoDB and Redis is made of: one of each, and room for as many sends as its settings say."""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest
from pymongo import AsyncMongoClient
from tests.adapters.providers.raw_server import Connection, serving
from tests.e2e.town import until
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailapps.container import Container, Role, opened
from mailapps.roles import carrying, tune_interpreter
from mailapps.settings import Settings
from mailcore.lifecycle import Status
from mailcore.mailer import Mailer
from mailcore.message import Message
from mailcore.ports import Query
from mailcore.secret import Secret
from mailcore.waking import woken

SLOTS = Settings().in_flight
"""Sends in flight in one process, by default."""
MORE = 44
MESSAGE = Message(from_="shop@example.com", to="ann@example.com", subject="Hi", text="Hello")

pytestmark = pytest.mark.timeout(180)


class Patience:
    """A provider that answers nobody before it has as many requests at once as a worker may have in flight.

    Attributes:
        peak: The most that it had at once.
    """

    def __init__(self) -> None:
        self.peak = self._now = 0
        self.full, self.go = asyncio.Event(), asyncio.Event()

    async def serve(self, connection: Connection) -> None:
        """Answer one connection's requests."""
        while True:
            await connection.request()
            self._now += 1
            self.peak = max(self.peak, self._now)
            if self._now >= SLOTS:
                self.full.set()
            await self.go.wait()
            self._now -= 1
            await connection.answer(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: x\r\nContent-Length: 0\r\n\r\n")


@asynccontextmanager
async def worker(url: str, mongo: str, server: Server) -> AsyncGenerator[Container]:
    """Run a worker with the usual settings, but for who it talks to and how patient it is."""
    table = {"kind": "sendgrid", "api_key": Secret("SG.x"), "base_url": url}
    settings = Settings(store=f"{mongo}?timeoutMS=20000", queue=fresh_url(server), providers={"only": table})
    async with opened(settings, Role.WORKER) as parts:
        engine = parts.assembled().engine
        async with carrying(engine, parts.stop()), woken(engine):
            yield parts


def there(*kinds: type) -> list[int]:
    """Return how many of each kind there are in this process."""
    gc.collect()
    found = gc.get_objects()
    return [sum(isinstance(one, kind) for one in found) for kind in kinds]


async def all_sent(mailer: Mailer) -> bool:
    """Whether nothing is left to send."""
    return await mailer.ports.store.count(Query(status=Status.SENT)) == SLOTS + MORE


async def test_a_worker_has_one_of_each_and_at_least_256_sends_in_flight(mongo_url: str, shared_redis: Server) -> None:
    """One event loop, one client of MongoDB, one HTTP client for each provider; all slots are in use, and no more."""
    kinds = (AbstractEventLoop, AsyncMongoClient, aiohttp.ClientSession)
    before, patience = there(*kinds), Patience()

    async with serving(patience.serve) as provider, worker(provider.url, mongo_url, shared_redis) as parts:
        mailer = parts.assembled().mailer
        await asyncio.gather(*(mailer.submit(MESSAGE) for _ in range(SLOTS + MORE)))
        async with asyncio.timeout(60):
            await patience.full.wait()
        during = there(*kinds)
        patience.go.set()
        await until("all are sent", partial(all_sent, mailer), within_s=60)

    assert [now - then for now, then in zip(during, before, strict=True)] == [0, 1, 1]
    assert patience.peak == SLOTS >= 256


def test_the_interpreter_is_tuned_for_what_a_process_does() -> None:
    """The collector goes through what is new alone, and not every few e-mails; a thread has its turn soon."""
    usual, turn = gc.get_threshold(), sys.getswitchinterval()
    loaded: list[object] = [{}]

    try:
        tune_interpreter()
        found, often, tuned = gc.get_objects(), gc.get_threshold()[0], sys.getswitchinterval()
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
        sys.setswitchinterval(turn)

    assert not any(one is loaded for one in found)
    assert often > usual[0]
    assert tuned < turn
