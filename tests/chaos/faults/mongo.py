"""A MongoDB that is killed or frozen, or whose answers are lost: rows M1 to M7."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.faults.redis import readiness
from tests.chaos.trial import Trial
from tests.e2e.town import post
from tests.servers.running import Server

FAILS_WITHIN_S = 2.5


def server_of(at: Trial) -> Server:
    """Return the MongoDB of a rig in production shape."""
    assert at.rig.mongo is not None
    return at.rig.mongo


async def freeze_mongo(at: Trial, seconds: float = 5.0) -> None:
    """SIGSTOP: a POST fails fast with a problem that may be retried, and readiness says who is missing."""
    server_of(at).freeze()
    await at.wait(1)
    await _must_fail_fast(at, "frozen", FAILS_WITHIN_S)
    await at.wait(seconds)
    server_of(at).thaw()
    await _must_come_back(at, "thawed")


async def kill_mongo(at: Trial, seconds: float = 3.0) -> None:
    """SIGKILL and a restart: no 201 that is not true, and workers go on within 10 s."""
    server_of(at).kill()
    await at.wait(1)
    await _must_fail_fast(at, "gone", FAILS_WITHIN_S)
    await at.wait(seconds)
    await asyncio.to_thread(server_of(at).restart)
    await _must_come_back(at, "restarted")


async def _must_fail_fast(at: Trial, how: str, within_s: float) -> None:
    """Note what is wrong with a POST to each API while there is no store."""
    for process in at.rig.named("api"):
        assert process.running is not None
        began = time.monotonic()
        said = await post(process.running)
        took = time.monotonic() - began
        body = said.json()
        at.note(f"POST with Mongo {how}, ms", f"{took * 1000:.0f}")
        at.must(took <= within_s, f"with Mongo {how} a POST took {took:.2f} s")
        at.must(
            (said.status_code, body.get("code"), body.get("retryable")) == (500, "store_unavailable", True),
            f"with Mongo {how} a POST was answered {said.status_code} {body}",
        )
        at.must(
            said.headers["Content-Type"].startswith("application/problem+json"), f"it is no problem: {said.headers}"
        )
    degraded = await readiness(at)
    at.must(degraded == [(200, ["store"])] * 2, f"with Mongo {how} readiness says {degraded}")


async def _must_come_back(at: Trial, how: str) -> None:
    """Note how long after its return something is sent, and what is wrong if that takes over 10 s."""
    began, before = time.monotonic(), len(await at.rig.town.accepted())
    while len(await at.rig.town.accepted()) <= before and time.monotonic() - began < 30:
        await at.wait(0.1)
    took = time.monotonic() - began
    at.note(f"first e-mail after Mongo is {how}, s", f"{took:.1f}")
    at.must(took <= 10, f"nothing was sent for {took:.1f} s after Mongo was {how}")


async def lose_answers(at: Trial, marked: bytes, role: str) -> None:
    """M3 to M5: again and again the answer to what holds these bytes is lost, after it was done."""
    for _ in range(20):
        for proxy in at.rig.between("store", role):
            proxy.lose(marked)
        await at.wait(0.5)
    lost = sum(proxy.lost for proxy in at.rig.between("store", role))
    at.note("answers of Mongo lost", lost)
    at.must(lost > 5, f"only {lost} answers were lost")
