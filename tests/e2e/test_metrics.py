"""Metrics of real processes: under load they reconcile with the store, and each process shows its own share."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.apps.metrics.numbers import Numbers, numbers, total
from tests.e2e.town import Running, Town, accept, free_port, reach, until

UNAVAILABLE = {"kind": "status", "status": 503}
REFUSED = {"kind": "status", "status": 400}
AT_ONCE = 4
SLOTS = 8


async def scrape(service: Running) -> Numbers:
    """Return the numbers of a scrape."""
    answer = await service.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return numbers(answer.content)


def is_fresh(found: Numbers) -> bool:
    """Whether the store was counted for this very scrape."""
    return total(found, "mailcore_stock_age_seconds") < 0.02


def apart(found: Numbers) -> float:
    """Return by how much accepted differs from sent + failed + cancelled + unfinished; 0 when nothing moves."""
    settled = total(found, "mailcore_settled_total") - total(found, "mailcore_reopened_total")
    return abs(total(found, "mailcore_accepted_total") - settled - total(found, "mailcore_unfinished_emails"))


def settled(found: Numbers) -> Counter[str]:
    """Return how many e-mails ended in each status."""
    ends = ("sent", "failed", "cancelled")
    return Counter({end: int(total(found, "mailcore_settled_total", status=end)) for end in ends})


def stored(place: Town) -> Counter[str]:
    """Return how many e-mails the store has in each status, by its own word."""
    with closing(sqlite3.connect(place.folder / "mail.db")) as db:
        return Counter(dict(db.execute("SELECT status, count(*) FROM emails GROUP BY status")))


async def flood(service: Running, count: int) -> list[str]:
    """Post e-mails of all fates, a few at a time; return the ids of those that can be cancelled."""
    slots, later = asyncio.Semaphore(AT_ONCE), {"scheduled_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}

    async def one(number: int) -> str:
        async with slots:
            to = f"{'no' if number % 7 == 0 else 'ann'}@example.com"
            return await accept(
                service, to=to, lane=["bulk", "urgent"][number % 2], **(later if number % 5 == 0 else {})
            )

    ids = await asyncio.gather(*(one(number) for number in range(count)))
    return [email_id for number, email_id in enumerate(ids) if number % 5 == 0]


async def test_under_load_accepted_is_sent_and_failed_and_cancelled_and_unfinished(place: Town) -> None:
    """I39: in every scrape but for what moves at that moment, and exactly once nothing does."""
    service = await place.service("sendgrid", "mailgun", more=f"in_flight = {SLOTS}\n")
    rules = [{"action": REFUSED, "match": {"recipient": "no@example.com"}}, {"action": UNAVAILABLE, "probability": 0.3}]
    for kind in ("sendgrid", "mailgun"):
        await place.emulator.http.put(f"/emulator/faults/{kind}", json={"rules": rules})
    load = asyncio.ensure_future(flood(service, 140))
    seen: list[Numbers] = []
    while not load.done():
        seen.append(await scrape(service))
        await asyncio.sleep(0.05)
    for email_id in await load:
        await service.http.post(f"/api/emails/{email_id}/cancel")

    async def at_rest() -> Numbers | None:
        found = await scrape(service)
        return found if is_fresh(found) and total(found, "mailcore_unfinished_emails") == 0 else None

    end = await until("all is settled", at_rest)

    fresh = [found for found in seen if is_fresh(found)]
    assert fresh
    assert max(map(apart, fresh)) <= 3 * (SLOTS + AT_ONCE)
    assert apart(end) == 0
    assert settled(end) == stored(place)
    assert min(settled(end).values()) > 0
    assert total(end, "mailcore_attempts_total", outcome="accepted") == settled(end)["sent"]
    assert total(end, "mailcore_sent_seconds_count") == settled(end)["sent"]


async def test_each_process_shows_its_own_share_and_together_they_reconcile(place: Town) -> None:
    """The API accepts, the worker settles; the worker's listener also tells whether it is ready."""
    api = await place.service("sendgrid", role="api")
    worker = await _worker(place)

    email_id = await accept(api)
    await reach(api, email_id, "sent")

    shares = [await scrape(api), await scrape(worker)]
    assert [total(one, "mailcore_accepted_total") for one in shares] == [1, 0]
    assert [total(one, "mailcore_settled_total", status="sent") for one in shares] == [0, 1]
    assert [total(one, "mailcore_slots") for one in shares] == [0, 320]
    assert (await worker.http.get("/health/ready")).json()["status"] == "ready"


async def test_a_dead_workers_lease_and_the_possible_duplicate_are_counted(place: Town) -> None:
    """A crash in mid-send shows at the process that finds it."""
    api = await place.service("sendgrid", role="api")
    doomed = await _worker(place)
    await place.break_down("sendgrid", {"kind": "hang", "accept": True}, times=1)
    email_id = await accept(api)
    await until("the provider has it", lambda: place.requests(email_id=email_id))
    doomed.kill()

    heir = await _worker(place)
    await reach(api, email_id, "sent")

    found = await scrape(heir)
    assert total(found, "mailcore_lease_expiries_total") == 1
    assert total(found, "mailcore_possible_duplicates_total", provider="sendgrid") == 1


async def test_an_address_that_is_taken_is_named_with_its_setting(place: Town) -> None:
    """A second worker on the same settings says which key to change."""
    first = await _worker(place)
    config = place.configure("sendgrid", port=free_port(), more=_bound(int(first.url.rpartition(":")[2])))

    process = await asyncio.create_subprocess_exec(
        *(str(first.process.args[0]), "worker", "--config", str(config)),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, said = await process.communicate()

    assert process.returncode == 1
    assert b"is in use already: stop what listens there, or choose another metrics.bind" in said


def _bound(port: int) -> str:
    """Return the setting of the listener."""
    return f'metrics.bind = "127.0.0.1:{port}"\n'


async def _worker(place: Town) -> Running:
    """Start a worker with a listener, and wait until that answers."""
    port = free_port()
    running = await place.service("sendgrid", role="worker", more=_bound(port), port=port)
    await until("the worker answers", running.answers)
    return running
