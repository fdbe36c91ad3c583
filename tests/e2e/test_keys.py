"""API keys over two API processes on MongoDB and Redis: counted once, and obeyed everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.redis_town import RedisTown, redis_town
from tests.e2e.town import Running, letter
from tests.servers.running import Server

REVOKED_WITHIN_S = 5.0


@pytest.fixture
async def place(tmp_path: Path, own_redis: Server, mongo_url: str) -> AsyncGenerator[RedisTown]:
    """Give a town whose Redis may be frozen."""
    async with redis_town(tmp_path, mongo_url, own_redis) as built:
        yield built


async def made(api: Running, **more: Any) -> tuple[str, dict[str, str]]:
    """Make a key; return its id and the header that shows it."""
    told = (await api.http.post("/api/keys", json={"scopes": ["send", "read"], **more})).json()
    return told["id"], {"Authorization": f"Bearer {told['key']}"}


async def statuses(apis: list[Running], headers: dict[str, str], times: int) -> list[int]:
    """Submit so many messages at the same time, at each API in turn; return what was answered."""
    async with httpx.AsyncClient(headers=headers, timeout=60, limits=httpx.Limits(max_connections=times)) as client:
        urls = (f"{apis[number % len(apis)].url}/api/emails" for number in range(times))
        answers = await asyncio.gather(*(client.post(url, json=letter(subject=str(n))) for n, url in enumerate(urls)))
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    "bound", [{"rate_limit": {"requests": 10, "per_s": 3600}}, {"daily": 10}], ids=lambda one: next(iter(one))
)
async def test_of_fifty_requests_through_two_processes_ten_pass(
    place: RedisTown, own_redis: Server, bound: dict[str, Any]
) -> None:
    """A limit or a cap is the key's and not each process's; without Redis each process goes on from there."""
    apis = [await place.api(), await place.api()]
    _, headers = await made(apis[0], **bound)

    for api in apis:  # connects to Redis
        await statuses([api], (await made(api, rate_limit={"requests": 1, "per_s": 3600}))[1], 1)
    together = await statuses(apis, headers, 50)
    busy = sum("Redis cannot be used" in api.log.read_text() for api in apis)  # each is then as if without it
    own_redis.freeze()
    apart = await statuses(apis, headers, 50)
    own_redis.thaw()

    assert 10 <= together.count(201) <= 10 * (1 + busy)
    assert set(together) == {201, 429}
    assert apart == [429] * 50


async def test_a_revoked_key_opens_nothing_anywhere_five_seconds_later(place: RedisTown) -> None:
    """The process that did not hear of it itself has it from the store; until then it may go on."""
    here, there = await place.api(), await place.api()
    key_id, headers = await made(here)
    async with httpx.AsyncClient(timeout=60) as client:
        before = await client.get(f"{there.url}/api/emails", headers=headers)
        revoked = await here.http.delete(f"/api/keys/{key_id}")
        at_once = await client.get(f"{here.url}/api/emails", headers=headers)
        at, opened = time.monotonic(), list[float]()
        while (asked := time.monotonic() - at) < REVOKED_WITHIN_S + 2:
            answer = await client.get(f"{there.url}/api/emails", headers=headers)
            opened += [asked] if answer.status_code != 401 else []
            await asyncio.sleep(0.1)

    assert (before.status_code, revoked.json()["state"], at_once.status_code) == (200, "revoked", 401)
    assert max(opened, default=0) < REVOKED_WITHIN_S
