"""Processes that die, stall or end: rows P1 to P10."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import apsw
import msgspec
import pymongo
from tests.chaos.rig import PROVIDERS, Process
from tests.chaos.trial import Trial
from tests.e2e.test_workers_on_redis import is_alive
from tests.e2e.town import until

from mailcore.leadership import Lease

ROOT = Path(__file__).parents[3]
MORTAL = (sys.executable, "-m", "tests.chaos.crashing")
HERE = {"PYTHONPATH": f"{ROOT}/src:{ROOT}"}
EARLIER = "ae5b5a4763fe"
"""As if it had been a release: the oldest state that reads all that this one writes."""
LONGEST_GAP_S = 21
"""A leader's lease and one look, 20 s, and a second for our own looks."""
POINTS = {
    "before_claim": (1, 1),
    "after_claim": (1, 1),
    "request_written": (1, 2),
    "after_answer": (2, 2),
    "before_finish": (2, 2),
    "after_finish": (1, 1),
}
"""How often providers take an e-mail whose worker dies there, at least and at most."""


async def slow_providers(at: Trial, seconds: float) -> None:
    """Let every provider take its time, so that there is always something under way."""
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider, {"kind": "pass"}, latency=seconds)


async def kill_workers(at: Trial, kills: int) -> None:
    """P1: kill -9 a worker at random, every 3 to 8 seconds."""
    await slow_providers(at, 0.15)
    killed = 0
    while killed < kills:
        await at.wait(at.dice.uniform(3, 8))
        if working := [one for one in at.rig.named("worker") if one.works]:
            await at.rig.kill(at.dice.choice(working))
            killed += 1
        if at.rig.profile == "embedded":
            await at.rig.revive()  # there they have no supervisor, which starts them again after a growing pause


async def kill_each_role(at: Trial) -> None:
    """Kill -9 one process of each role in mid-send, one after the other."""
    await slow_providers(at, 0.5)
    await at.wait(1)
    for role in ("api", "worker", "scheduler"):
        await at.rig.kill(at.dice.choice(at.rig.named(role)))
        await at.wait(2)
        await at.rig.revive()


@asynccontextmanager
async def only(at: Trial, *roles: str) -> AsyncGenerator[None]:
    """Let no process of another role run."""
    away = [one for one in at.rig.named() if one.role not in roles]
    at.rig.killed = True
    for process in away:
        await at.rig.terminate(process)
    yield
    await at.rig.revive()


async def crash_points(at: Trial) -> None:
    """P2: a worker dies at each named point over one e-mail, and another carries on."""
    async with only(at, "api"):
        for point in POINTS:
            await _crash_at(at, point)


async def _crash_at(at: Trial, point: str) -> None:
    """Let a worker die at a point over one e-mail, and a sound one find what is left."""
    mortal, sound = at.rig.processes["worker-1"], at.rig.processes["worker-2"]
    if point == "request_written":
        for provider in PROVIDERS:
            await at.rig.town.break_down(provider, {"kind": "hang", "accept": True}, times=1)
    email_id = await at.submit_one(subject=point)
    await start_mortal(at, mortal, CHAOS_CRASH=f"{point}:1")
    if point == "request_written":
        await until("a provider has it", lambda: at.rig.town.requests(email_id=email_id))
        await at.rig.kill(mortal)
    assert mortal.running is not None
    await until(f"the worker dies {point}", lambda: _gone(mortal), within_s=60)
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider)
    await at.rig.start(sound)
    await at.sent(email_id)
    accepts = (await at.rig.town.accepted()).count(email_id)
    least, most = POINTS[point]
    at.note(f"accepts after a crash at {point}", accepts)
    at.must(least <= accepts <= most, f"{point}: taken {accepts} times, expected {least} to {most}")
    await at.rig.terminate(sound)


async def start_mortal(at: Trial, process: Process, **environ: str) -> None:
    """Start a process without a supervisor that dies as its environment says."""
    alone = ["--alone"] if process.role == "worker" else []
    words, program = process.words, process.program
    process.words, process.program, process.environ = [*words, *alone], MORTAL, {**HERE, **environ}
    try:
        await at.rig.start(process, tries=1)
    except AssertionError:
        at.must(not process.alive, f"{process.name} does not answer")  # else it died before anybody could ask
    finally:
        process.words, process.program, process.environ = words, program, {}


async def _gone(process: Process) -> bool:
    """Return whether a process has ended."""
    return not process.alive


async def crash_the_api(at: Trial) -> None:
    """P3: an API dies between commit and wake-up, and between wake-up and answer."""
    for point in ("after_commit", "after_wake_up") * 2:
        process = at.dice.choice(at.rig.named("api"))
        at.rig.killed = True
        await at.rig.terminate(process)
        await start_mortal(at, process, CHAOS_CRASH=f"{point}:{at.dice.randint(1, 20)}")
        await until(f"an API dies {point}", partial(_gone, process), within_s=60)
        await at.rig.revive()
        await at.wait(1)


def leader(at: Trial) -> Lease | None:
    """Return the lease of the scheduler that leads; None if there never was one."""
    if at.rig.mongo is not None:
        with pymongo.MongoClient[dict[str, str]](at.rig.mongo.url) as client:
            found = client.mailcore.leases.find_one()
            text = found["doc"] if found else None
    else:
        file = at.rig.addresses["store"].removeprefix("sqlite:///")
        db = apsw.Connection(file)
        text = next((row[0] for row in db.execute("SELECT doc FROM leases")), None)
        db.close()
    return msgspec.json.decode(text, type=Lease) if text else None


async def kill_the_leader(at: Trial, kills: int) -> None:
    """P4: kill -9 the scheduler that leads; the other one follows within 20 s."""
    gaps = list[float]()
    for _ in range(kills):
        await at.wait(at.dice.uniform(0, 2))
        gaps.append(await _followed(at, signal.SIGKILL))
        await at.rig.revive()
    at.note("longest time without a leader, s", f"{max(gaps):.1f}")
    at.must(max(gaps) <= LONGEST_GAP_S, f"nobody led for {max(gaps):.1f} s")


async def _followed(at: Trial, number: int) -> float:
    """Send a signal to whoever leads, and return after how long another one does.

    Which of the two leads is found by trial: if the one that was hit does not, the lease is renewed all the same.
    """
    for process in at.rig.named("scheduler"):
        at.rig.killed = True
        began = time.monotonic()
        process.signal(number)
        await at.wait(0.3)  # what it had begun to store is stored
        before = leader(at)
        assert before is not None
        while time.monotonic() - began < LONGEST_GAP_S + 10:
            now = leader(at)
            if now is not None and now.term > before.term:
                return time.monotonic() - began
            if now is not None and now.until > before.until:
                break  # the other one leads
            await at.wait(0.2)
        if number == signal.SIGSTOP:
            process.signal(signal.SIGCONT)
        await at.rig.revive()
    return float("inf")


async def kill_supervisors(at: Trial) -> None:
    """P5: kill -9 a supervised worker, then a supervisor: the first is replaced, the second leaves nobody behind."""
    for process in at.rig.named("worker"):
        assert process.running is not None
        first = process.pid()
        process.signal(signal.SIGKILL)
        at.rig.killed = True
        began = time.monotonic()
        await until("a new worker", partial(_replaced, process, first), within_s=30)
        at.note("worker replaced after, s", f"{time.monotonic() - began:.1f}")
        await until("it answers", process.running.answers, within_s=60)
        orphan = process.pid()
        process.running.kill()
        await until("its worker ends", partial(_dead, orphan), within_s=30)
        await at.rig.revive()


async def _replaced(process: Process, was: int) -> bool:
    """Return whether another process does the work now."""
    assert process.running is not None
    return process.pid() not in (was, process.running.process.pid)


async def _dead(pid: int) -> bool:
    """Return whether a process is gone, or only its remains are left."""
    return not is_alive(pid)


async def stall_a_worker(at: Trial) -> None:
    """P6: SIGSTOP a worker in mid-send for longer than its lease, then let it go on."""
    process = at.dice.choice(at.rig.named("worker"))
    await slow_providers(at, 0.5)
    await at.wait(2)
    process.signal(signal.SIGSTOP)
    await at.wait(at.rig.pace.lease.total_seconds() + 2)
    process.signal(signal.SIGCONT)
    await at.wait(2)


async def stall_the_leader(at: Trial) -> None:
    """P7: SIGSTOP the scheduler that leads; the other one follows, and the first does nothing once it goes on."""
    gap = await _followed(at, signal.SIGSTOP)
    at.note("time without a leader, s", f"{gap:.1f}")
    at.must(gap <= LONGEST_GAP_S, f"nobody led for {gap:.1f} s")
    await at.wait(10)
    term = leader(at)
    for process in at.rig.named("scheduler"):
        process.signal(signal.SIGCONT)
    await at.wait(8)
    now = leader(at)
    at.must(term is not None and now is not None and now.term == term.term, "the one that was stalled took over")


async def terminate_each_role(at: Trial) -> None:
    """P8: SIGTERM one process of each role: it ends within the deadline and five seconds, with exit code 0 (I37)."""
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


async def roll(at: Trial) -> None:
    """P9: an earlier state of the project beside this one, and each process changed over, three rounds."""
    old = at.rig.town.folder / "old"
    _take_out(old)
    for _ in range(3):
        for environ in ({"PYTHONPATH": str(old / "src")}, {}):
            for process in at.rig.named():
                at.rig.killed = True
                process.environ = environ
                at.must(await at.rig.terminate(process) == 0, f"{process.name} did not end well")
                await at.rig.start(process)


def _take_out(folder: Path) -> None:
    """Write the earlier state into a folder."""
    command = ["git", "archive", EARLIER, "src"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


async def poison(at: Trial) -> None:
    """P10: over one e-mail every worker dies; it is given up as a crash loop, and charges no other after the first."""
    async with only(at, "api"):
        workers = at.rig.named("worker")
        email_id = await at.submit_one(subject="poison")
        began = time.monotonic()
        while (shown := await at.show(email_id))["status"] != "failed" and time.monotonic() - began < 150:
            for process in workers:
                if not process.alive:
                    await start_mortal(at, process, CHAOS_POISON="poison")
            await asyncio.sleep(0.2)
        at.note("crashes over the poisonous e-mail", shown["crashes"])
        at.must((shown["status"], shown["reason"], shown["crashes"]) == ("failed", "crash_loop", 3), str(shown))
        for process in workers:
            if process.alive:
                await at.rig.terminate(process)
