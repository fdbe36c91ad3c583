"""Processes that die, stall or end: rows P1 to P10."""

from __future__ import annotations

import signal
import time

from tests.chaos.rig import PROVIDERS
from tests.chaos.trial import Trial


async def kill_each_role(at: Trial) -> None:
    """Kill -9 one process of each role in mid-send, one after the other."""
    await slow_providers(at, 0.5)
    await at.wait(1)
    for role in ("api", "worker", "scheduler"):
        await at.rig.kill(at.dice.choice(at.rig.named(role)))
        await at.wait(2)
        await at.rig.revive()


async def terminate_each_role(at: Trial) -> None:
    """SIGTERM one process of each role: it ends within the deadline and five seconds, with exit code 0 (I37)."""
    for role in ("api", "worker", "scheduler"):
        process = at.dice.choice(at.rig.named(role))
        at.rig.killed = True  # what it has counted goes with it
        began = time.monotonic()
        code = await at.rig.terminate(process)
        took = time.monotonic() - began
        at.must(code == 0, f"{process.name} ended with {code}")
        at.must(took <= at.rig.pace.deadline.total_seconds() + 5, f"{process.name} took {took:.1f} s to end")
        at.note(f"SIGTERM of {role}, s", f"{took:.1f}")
        await at.rig.revive()
        await at.wait(1)


async def stall_a_worker(at: Trial) -> None:
    """SIGSTOP a worker in mid-send for longer than its lease, then let it go on."""
    process = at.dice.choice(at.rig.named("worker"))
    await slow_providers(at, 0.5)
    await at.wait(2)
    process.signal(signal.SIGSTOP)
    await at.wait(at.rig.pace.lease.total_seconds() + 2)
    process.signal(signal.SIGCONT)
    await at.wait(2)


async def slow_providers(at: Trial, seconds: float) -> None:
    """Let every provider take its time, so that there is always something under way."""
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider, {"kind": "pass"}, latency=seconds)
