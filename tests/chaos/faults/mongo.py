"""A MongoDB that is killed or frozen, or whose answers are lost: rows M1 to M7."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.faults.redis import readiness
from tests.chaos.history import Kind
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
    at.counted = False  # a lost answer makes a repeat of what was fresh
    server_of(at).freeze()
    await at.wait(1)
    await _must_fail_fast(at, "frozen", FAILS_WITHIN_S)
    await at.wait(seconds)
    server_of(at).thaw()
    await _must_come_back(at, "thawed")


async def kill_mongo(at: Trial, seconds: float = 3.0) -> None:
    """SIGKILL and a restart: no 201 that is not true, and workers go on within 10 s."""
    at.counted = False
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


def unknown_share(at: Trial) -> float:
    """Return which part of all answers so far left the caller in doubt."""
    answers = [answer for one in at.client.done for answer in one.answers]
    return sum(answer.kind is Kind.UNKNOWN for answer in answers) / max(1, len(answers))
