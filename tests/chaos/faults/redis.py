"""A Redis that is killed, emptied, frozen or full: rows R1 to R7."""

from __future__ import annotations

import asyncio

import redis
from tests.chaos.checker import percentile
from tests.chaos.history import Answer, Kind
from tests.chaos.trial import Trial
from tests.servers.running import Server


def server_of(at: Trial) -> Server:
    """Return the Redis of a rig in production shape."""
    assert at.rig.redis is not None
    return at.rig.redis


async def kill_redis(at: Trial) -> None:
    """SIGKILL, and a restart from the append-only file."""
    server_of(at).kill()
    await at.wait(1)
    await asyncio.to_thread(server_of(at).restart)
    await at.wait(1)


async def flush_redis(at: Trial) -> None:
    """FLUSHALL under load."""
    with redis.Redis.from_url(server_of(at).url) as client:
        client.flushall()
    await at.wait(2)


async def freeze_redis(at: Trial, seconds: float = 6.0) -> None:
    """SIGSTOP: every POST is answered 201, 99 of 100 within 500 ms, and readiness says who is missing (I4, I38)."""
    server_of(at).freeze()
    began = len(at.client.done)
    await at.wait(seconds)
    answers = [answer for one in at.client.done[began:] for answer in one.answers]
    degraded = await readiness(at)
    server_of(at).thaw()
    must_answer_all(at, answers)
    p99 = percentile([answer.took for answer in answers]).total_seconds()
    at.note("POST p99 with Redis frozen, ms", f"{p99 * 1000:.0f}")
    at.must(p99 <= 0.5, f"with Redis frozen POST p99 is {p99 * 1000:.0f} ms")
    at.must(degraded == [(200, ["queue"])] * 2, f"with Redis frozen readiness says {degraded}")
    await at.wait(1)


def must_answer_all(at: Trial, answers: list[Answer]) -> None:
    """Note POSTs that were not answered 201."""
    failed = [answer for answer in answers if answer.kind is not Kind.OK]
    at.must(bool(answers) and not failed, f"{len(failed)} of {len(answers)} POSTs failed, such as {failed[:1]}")


async def readiness(at: Trial) -> list[tuple[int, list[str]]]:
    """Return what each API says of itself."""
    said = [await one.running.http.get("/health/ready") for one in at.rig.named("api") if one.running]
    return [(answer.status_code, answer.json()["degraded"]) for answer in said]
