"""Wake-ups that are lost, repeated, shuffled, strange or far too many: rows K1 to K3."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import redis.asyncio
from tests.chaos.faults.redis import server_of
from tests.chaos.trial import Trial

from mailadapters.dramatiq_queue import DramatiqQueue, open_queue
from mailadapters.redis_connection import place_of
from mailcore.message import Lane

MANY = 100_000


@asynccontextmanager
async def queue_of(at: Trial) -> AsyncGenerator[DramatiqQueue]:
    """Give the rig's own queue."""
    queue = open_queue(at.rig.addresses["queue"])
    yield queue
    await queue.aclose()


async def shuffle(at: Trial, seconds: int = 20) -> None:
    """K1: each wake-up comes up to five times more, late and in any order, in any lane; some are lost."""
    async with queue_of(at) as queue:
        for _ in range(seconds):
            ids = [one for done in at.client.done[-200:] for one in done.ids()]
            repeated = at.dice.choices(ids, k=len(ids) * 3)
            for part in range(0, len(repeated), 50):
                await queue.enqueue(repeated[part : part + 50], lane=at.dice.choice(list(Lane)))
            await at.wait(1)
    async with redis.asyncio.Redis.from_url(server_of(at).url) as client:
        await client.flushall()


async def litter(at: Trial) -> None:
    """K2: what is no wake-up is taken away and counted, and nothing else happens."""
    prefix = place_of(at.rig.addresses["queue"]).prefix
    key = f"{prefix}:{prefix}.transactional"
    good = {"queue_name": f"{prefix}.transactional", "actor_name": f"{prefix}.transactional", "kwargs": {}}
    usual = {**good, "message_id": "m", "message_timestamp": 0}
    litter = [
        b"{", b"null", b"\xff\xfe", pickle.dumps({"a": 1}), b"x" * 5_000_000, b"[" * 5000,
        json.dumps({**usual, "actor_name": "rm", "args": [["em_a"]], "options": {}}).encode(),
        json.dumps({**usual, "args": [], "options": {}}).encode(),
        json.dumps({**usual, "args": [["em_nobody"]], "options": {"redis_message_id": "x"}}).encode(),
        json.dumps({**usual, "args": [["../../etc"]], "options": {"redis_message_id": "y", "eta": 1}}).encode(),
    ]  # fmt: skip
    async with redis.asyncio.Redis.from_url(server_of(at).url) as client:
        for number, octets in enumerate(litter * 5):
            await client.hset(f"{key}.msgs", f"l{number}", octets)
            await client.rpush(key, f"l{number}")
        began, left = time.monotonic(), len(litter)
        while left and time.monotonic() - began < 30:
            await at.wait(0.2)
            left = await client.llen(key)  # none at one moment is enough: under load new wake-ups come all the time
    at.note("messages left in the queue", left)
    at.must(left == 0, f"{left} messages stay in the queue")
    at.must(not [name for name, said in at.rig.logs() if "Traceback" in said], "a process said a traceback")


async def crowd(at: Trial) -> None:
    """K3: 100 000 wake-ups for one e-mail: it is sent once, and in a minute they are gone."""
    prefix = place_of(at.rig.addresses["queue"]).prefix
    key = f"{prefix}:{prefix}.transactional"
    email_id = await at.submit_one(lane="transactional")
    async with queue_of(at) as queue:
        for _ in range(MANY // 1000 // 20):
            calls = (queue.enqueue([email_id] * 50, lane=Lane.TRANSACTIONAL) for _ in range(400))
            await asyncio.gather(*calls, return_exceptions=True)
    began = time.monotonic()
    async with redis.asyncio.Redis.from_url(server_of(at).url) as client:
        while await client.llen(key) > 50 and time.monotonic() - began < 90:
            await at.wait(0.5)
    took = time.monotonic() - began
    at.note("100 000 wake-ups were gone after, s", f"{took:.1f}")
    at.must(took < 60, f"100 000 wake-ups took {took:.0f} s")
    accepts = (await at.rig.town.accepted()).count(email_id)
    at.must(accepts == 1, f"taken {accepts} times")
