"""A Redis that is killed, emptied, frozen or full: rows R1 to R7."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis
from tests.chaos.checker import percentile
from tests.chaos.faults.providers import OPEN_FOR
from tests.chaos.history import Answer, Kind
from tests.chaos.rig import PROVIDERS
from tests.chaos.trial import Trial
from tests.servers.proxy import Toxic
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
    began = at.now()
    await at.wait(seconds)
    answers = at.answers(began)
    degraded = await readiness(at)
    server_of(at).thaw()
    must_answer_all(at, answers)
    p99 = percentile([answer.took for answer in answers]).total_seconds()
    at.note("POST p99 with Redis frozen, ms", f"{p99 * 1000:.0f}")
    at.must(p99 <= 0.5, f"with Redis frozen POST p99 is {p99 * 1000:.0f} ms")
    at.must(degraded == [(200, ["queue"])] * 2, f"with Redis frozen readiness says {degraded}")
    await at.wait(1)


def must_answer_all(at: Trial, answers: Sequence[Answer]) -> None:
    """Note POSTs that were not answered 201."""
    failed = [answer for answer in answers if answer.kind is not Kind.OK]
    at.must(bool(answers) and not failed, f"{len(failed)} of {len(answers)} POSTs failed, such as {failed[:1]}")


async def readiness(at: Trial) -> list[tuple[int, list[str]]]:
    """Return what each API says of itself."""
    said = [await one.running.http.get("/health/ready") for one in at.rig.named("api") if one.running]
    return [(answer.status_code, answer.json()["degraded"]) for answer in said]


async def kill_often(at: Trial) -> None:
    """R1: five times; no POST fails."""
    began = at.now()
    for _ in range(5):
        await kill_redis(at)
        await at.wait(1)
    must_answer_all(at, at.answers(began))


async def stay_down(at: Trial) -> None:
    """R4: down for the whole run; what is sent meanwhile is at least half of what is accepted."""
    server_of(at).kill()
    began, sent = at.now(), len(await at.rig.town.accepted())
    await at.wait(20)
    posted = len(at.answers(began))
    share = (len(await at.rig.town.accepted()) - sent) / max(1, posted)
    at.note("sent of what was accepted without Redis", f"{share:.0%}")
    at.must(share >= 0.5, f"only {share:.0%} was sent without Redis")
    must_answer_all(at, at.answers(began))


async def restart_while_retrying(at: Trial) -> None:
    """R5: a restart while e-mails wait for their next attempt; nothing of ours is in it, so nothing is stranded."""
    at.limits["settling"] = OPEN_FOR
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider, {"kind": "status", "status": 503}, probability=0.7)
    await at.wait(4)
    await kill_redis(at)
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider)
    await at.wait(2)


async def refuse_writes(at: Trial) -> None:
    """R6: out of memory without eviction, then a replica that takes no writes."""
    with redis.Redis.from_url(server_of(at).url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        await _must_post(at, 6)
        client.config_set("maxmemory", "0")
        client.replicaof("127.0.0.1", "1")
        await _must_post(at, 6)
        client.replicaof("NO", "ONE")


async def _must_post(at: Trial, seconds: float) -> None:
    """Let time pass, and note every POST of it that fails."""
    began = at.now()
    await at.wait(seconds)
    must_answer_all(at, at.answers(began))


async def lose_answers(at: Trial) -> None:
    """R7: every tenth answer is lost after the command was done, while a provider is half-open again and again."""
    at.limits["settling"] = OPEN_FOR
    for proxy in at.rig.between("queue"):
        proxy.toxic = Toxic(cut_every=10)
    await at.rig.town.break_down("sendgrid", {"kind": "status", "status": 503})
    await at.wait(25)
    lost = sum(proxy.lost for proxy in at.rig.between("queue"))
    at.note("answers of Redis lost", lost)
    at.must(lost > 10, f"only {lost} answers were lost")
    await at.must_probe_little("sendgrid")
