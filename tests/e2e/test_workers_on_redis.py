"""Real processes on MongoDB and Redis: what the workers' ends and Redis's outages cost, which is time and no e-mail."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.redis_town import RedisTown, redis_town
from tests.e2e.test_switches import OBEYED_S
from tests.e2e.town import Running, accept, loads, show, until
from tests.servers.running import Server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def place(tmp_path: Path, own_redis: Server, mongo_url: str) -> AsyncGenerator[RedisTown]:
    """Yield a town on an empty database and a Redis that the test may harm."""
    async with redis_town(tmp_path, mongo_url, own_redis) as built:
        yield built


def told(running: Running, event: str) -> list[dict[str, Any]]:
    """Return what a process has logged of one kind."""
    lines = [line for line in running.log.read_text().splitlines() if line.startswith("{")]
    return [row for row in loads("\n".join(lines)) if row.get("event") == event]


def is_alive(process: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def are_gone(processes: list[int]) -> bool:
    """Whether none of these processes is left."""
    return not any(map(is_alive, processes))


async def started(worker: Running, processes: int) -> list[int]:
    """Return the ids of a worker's processes once so many run."""

    async def run() -> bool:
        assert worker.process.poll() is None, worker.log.read_text()
        return len(told(worker, "started")) >= processes

    await until("the workers have started", run)
    return [row["process"] for row in told(worker, "worker_started")]


async def all_sent(place: RedisTown, ids: list[str]) -> None:
    """Wait until a provider has accepted all of these."""

    async def are() -> bool:
        return set(ids) <= set(await place.town.accepted())

    await until("all are sent", are, within_s=60)


async def test_with_a_frozen_redis_mail_is_accepted_and_sent(place: RedisTown, own_redis: Server) -> None:
    """I4, R3: no POST waits for Redis longer than its budget, and workers take due e-mails from the store."""
    api, worker = await place.api(), await place.worker()
    await started(worker, 1)
    await all_sent(place, [await accept(api)])
    own_redis.freeze()
    loop, took, ids = asyncio.get_running_loop(), list[float](), list[str]()

    for _ in range(20):
        began = loop.time()
        ids.append(await accept(api))
        took.append(loop.time() - began)
    await all_sent(place, ids)
    ready = await api.http.get("/health/ready")
    own_redis.thaw()

    assert sorted(took)[-2] < 0.5
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["queue"])
    assert await asyncio.to_thread(worker.terminate) == 0


async def test_a_pause_is_obeyed_within_five_seconds_with_a_frozen_redis(place: RedisTown, own_redis: Server) -> None:
    """A stop is kept in the store: all workers obey it, and its end, though nothing that they share answers."""
    api, worker = await place.api(), await place.worker(2)
    await started(worker, 2)
    await all_sent(place, [await accept(api)])
    own_redis.freeze()

    paused = await api.http.put("/api/lanes/all/pause", json={"paused": True, "reason": "wrong prices"})
    await asyncio.sleep(OBEYED_S)
    ids = [await accept(api, lane=lane) for lane in ("urgent", "transactional", "bulk") * 3]
    await asyncio.sleep(3)
    during = await place.town.accepted()
    resumed = await api.http.put("/api/lanes/all/pause", json={"paused": False})
    await all_sent(place, ids)
    own_redis.thaw()

    assert (paused.status_code, resumed.status_code) == (200, 200)
    assert len(during) == 1
    assert await asyncio.to_thread(worker.terminate) == 0


async def test_a_worker_that_is_killed_is_replaced(place: RedisTown) -> None:
    """P5: one dead process takes nobody along, a new one comes, and what the dead one held is sent."""
    api, worker = await place.api(), await place.worker(2)
    first = await started(worker, 2)
    ids = [await accept(api) for _ in range(20)]
    os.kill(first[0], signal.SIGKILL)
    ids += [await accept(api) for _ in range(20)]

    await started(worker, 3)
    await all_sent(place, ids)

    assert [row["process"] for row in told(worker, "worker_died")] == [first[0]]
    assert await asyncio.to_thread(worker.terminate) == 0


async def test_a_polite_end_under_load_leaves_no_unknown_outcome(place: RedisTown) -> None:
    """I37, P8: every attempt that was begun ends, what was not begun is sent by the next worker, exit code 0."""
    await place.town.break_down("sendgrid", {"kind": "pass"}, latency=0.3)
    api, worker = await place.api(), await place.worker(2, in_flight=8)
    await started(worker, 2)
    ids = list(await asyncio.gather(*(accept(api) for _ in range(150))))

    code = await asyncio.to_thread(worker.terminate)
    unfinished = [one for one in ids if (await show(api, one))["status"] == "sending"]
    before = len(await place.town.accepted())
    second = await place.worker()
    await started(second, 1)
    await all_sent(place, ids)

    emails = [await show(api, one) for one in ids]
    assert code == 0
    assert unfinished == []
    assert before < len(ids)
    assert [one["code"] for email in emails for one in email["attempts"] if one["outcome"] == "unknown"] == []
    assert sorted(await place.town.accepted()) == sorted(ids)
    assert await asyncio.to_thread(second.terminate) == 0


async def test_no_worker_outlives_its_supervisor(place: RedisTown) -> None:
    """P5: the processes of a supervisor that was killed end by themselves, politely."""
    worker = await place.worker(2)
    processes = await started(worker, 2)

    worker.kill()

    await until("the processes have ended", partial(are_gone, processes))
    assert len(told(worker, "stopped")) == 2


async def test_a_second_signal_ends_all_at_once(place: RedisTown) -> None:
    """P8: whoever cannot wait for what is under way need not."""
    await place.town.break_down("sendgrid", {"kind": "hang"})
    api, worker = await place.api(), await place.worker(2)
    processes = await started(worker, 2)
    await accept(api)
    await until("an attempt is under way", place.town.requests)

    worker.process.send_signal(signal.SIGTERM)
    await until("the workers are told", partial(said, worker, "Shutting down..."))
    code = await asyncio.to_thread(worker.terminate)

    assert code == 128 + signal.SIGTERM
    await until("the processes are gone", partial(are_gone, processes), within_s=2)


async def said(running: Running, event: str) -> bool:
    """Whether a process has logged something."""
    return bool(told(running, event))


async def test_one_process_without_a_supervisor(place: RedisTown) -> None:
    """`--alone` leaves the supervision to somebody else."""
    api, worker = await place.api(), await place.worker(3, "--alone")
    await started(worker, 1)

    await all_sent(place, [await accept(api)])

    assert told(worker, "worker_started") == []
    assert await asyncio.to_thread(worker.terminate) == 0
