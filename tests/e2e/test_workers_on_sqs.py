"""Real processes on MongoDB and SQS: wake-ups go by SQS while it is there, and mail goes on without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.e2e.redis_town import RedisTown
from tests.e2e.town import accept, loads, town, until
from tests.servers.running import Server
from tests.servers.sqs_world import fresh_url, make_queues, sizes

from mailadapters.sqs_queue import open_queue

pytestmark = pytest.mark.timeout(180)


async def test_mail_goes_by_sqs_and_goes_on_without_it(tmp_path: Path, own_sqs: Server, mongo_url: str) -> None:
    """I4: wake-ups are taken from SQS and deleted; once it is gone, what is due is found in the store."""
    url = fresh_url(own_sqs)
    await make_queues(url)
    async with town(tmp_path) as built:
        place = RedisTown(built, mongo_url, url)
        api, queue = await place.api(), open_queue(url)

        async def arrived() -> bool:
            return any(await sizes(queue, queue._place))

        async def sent(ids: list[str]) -> bool:
            return set(ids) <= set(await built.accepted())

        async def emptied() -> bool:
            return not any(await sizes(queue, queue._place))

        first = [await accept(api) for _ in range(5)]
        await until("their wake-ups are in SQS", arrived)
        worker = await place.worker(1, "--alone")
        await until("the first are sent", lambda: sent(first), within_s=60)
        await until("their wake-ups are deleted", emptied)
        await queue.aclose()
        lost_before = told(api.log)
        await asyncio.to_thread(own_sqs.kill)
        later = [await accept(api) for _ in range(5)]
        await until("the later ones are sent", lambda: sent(later), within_s=60)
        ready = await api.http.get("/health/ready")
        code = await asyncio.to_thread(worker.terminate)

    assert told(api.log) == lost_before + len(later)
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["queue"])
    assert code == 0


def told(log: Path) -> int:
    """Return how many wake-ups a process has told to be lost."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return sum(row.get("event") == "wake_up_lost" for row in loads("\n".join(lines)))
