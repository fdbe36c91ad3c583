"""Deployments on a Redis: each with a prefix of its own, and as many processes' worth of connections as wanted."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count

import redis.asyncio
from tests.servers.running import Server

from mailadapters.reach import Reach
from mailadapters.redis_connection import RedisPlace, client, place_of, reach_of
from mailadapters.redis_health import RedisHealth
from mailcore.testing import ManualClock

_numbers = count(1)


def fresh_url(server: Server) -> str:
    """Return a deployment's URL that nobody has used before."""
    return f"{server.url}/0?prefix=test_{os.getpid()}_{next(_numbers)}"


@dataclass
class Worker:
    """What one process has of Redis: connections, and a clock that stands still until a test moves it."""

    place: RedisPlace
    clock: ManualClock
    connection: redis.asyncio.Redis
    reach: Reach
    health: RedisHealth


@asynccontextmanager
async def workers(server: Server, number: int, url: str | None = None) -> AsyncGenerator[list[Worker]]:
    """Make so many processes' worth of one deployment, and close it."""
    place = place_of(url or fresh_url(server))
    async with AsyncExitStack() as stack:
        yield [_worker(stack, place) for _ in range(number)]


def _worker(stack: AsyncExitStack, place: RedisPlace) -> Worker:
    """Make one process's worth."""
    clock, connection = ManualClock(), client(place)
    reach = reach_of(connection, clock.monotonic)
    health = RedisHealth(connection, reach, place.prefix, clock.monotonic)
    stack.push_async_callback(connection.aclose)
    stack.push_async_callback(reach.aclose)
    stack.push_async_callback(health.aclose)
    return Worker(place, clock, connection, reach, health)
