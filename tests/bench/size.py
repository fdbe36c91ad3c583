"""What a POST, a claim and a sweep cost in a large store and in a small one (SQLite)."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import apsw
from msgspec.structs import replace
from tests.bench.drain import AT_ONCE, MESSAGE, filled
from tests.bench.processes import fresh
from tests.bench.report import Report

import mailcore
from mailcore.lifecycle import EmailId, Status
from mailcore.mailer import Mailer
from mailcore.message import Lane
from mailcore.ports import Due

TIMES = 200
SMALL = (1_000, 512)
LARGE = (1_000_000, 10_048)
"""How many e-mails are stored, and how many of them are unfinished."""

COPIES = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO emails (id, version, tenant, status, reason, lane, created_at, wake_at, give_up_at, blocked_on,
                    possible_duplicate, doc, addressed)
SELECT 'em_' || printf('%026d', n), version, tenant, 'sent', '', lane, created_at - n, NULL, give_up_at, '',
       possible_duplicate, replace(doc, id, 'em_' || printf('%026d', n)), addressed
FROM emails, numbers WHERE seq = (SELECT max(seq) FROM emails)
"""


@dataclass(frozen=True)
class Costs:
    """Medians, in milliseconds."""

    post: float
    claim: float
    sweep: float


async def growing(folder: Path, report: Report) -> None:
    """Measure both."""
    provider: dict[str, object] = {"kind": "sendgrid", "api_key": "SG.bench", "base_url": "http://127.0.0.1:9"}
    small, large = [await costs(fresh(folder), [provider], *size) for size in (SMALL, LARGE)]
    for what in ("post", "claim", "sweep"):
        mine, floor = getattr(large, what), getattr(small, what)
        name = f"a {what} with {LARGE[0]:,} e-mails stored, of one with {SMALL[0]:,}, SQLite"
        report.add(name, f"{mine:.2f} ms", f"{floor:.2f} ms", f"{mine / floor:.2f}", "≤ 1.2")


async def costs(folder: Path, tables: list[dict[str, object]], stored: int, unfinished: int) -> Costs:
    """Fill a store and measure it."""
    url = f"sqlite:///{folder}/size.db"
    await filled(url, tables, unfinished)
    with apsw.Connection(str(folder / "size.db")) as db:
        db.execute(COPIES, (stored - unfinished,))
        db.execute("ANALYZE")
    async with mailcore.open(url, providers=tables, tuning=mailcore.Tuning(rules=AT_ONCE), run="submit") as mailer:
        return await measured(mailer)


async def measured(mailer: Mailer) -> Costs:
    """Measure one store, one call after the other."""
    store, now = mailer.ports.store, mailer.ports.clock.now
    taken: list[EmailId] = []

    async def post() -> None:
        await mailer.submit(MESSAGE)

    async def sweep() -> None:
        due = Due(lane=Lane.TRANSACTIONAL, limit=2, hide_for=timedelta(minutes=5), closed=frozenset())
        taken.extend(await store.take_due(now(), due))

    async def claim() -> None:
        email = await store.get(taken.pop())
        until = now() + timedelta(minutes=1)
        await store.save(replace(email, version=email.version + 1, status=Status.SENDING, lease_until=until))

    return Costs(post=await median_ms(post), sweep=await median_ms(sweep), claim=await median_ms(claim))


async def median_ms(act: Callable[[], Awaitable[None]]) -> float:
    """Return how long an act takes, the median of many after a few to warm up."""
    took: list[float] = []
    for _ in range(TIMES + 20):
        began = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[20:])
