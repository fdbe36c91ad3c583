"""How large the all-in-one process gets while 100 000 e-mails go through it."""

import asyncio
from pathlib import Path

from tests.bench.load import post_many
from tests.bench.processes import configured, floor, mailcore
from tests.bench.report import Report
from tests.bench.seen import Provider

MAILS = 100_000
STEP = 20_000


async def staying(folder: Path, report: Report) -> None:
    """Measure its size after each fifth."""
    sizes: list[float] = []
    with floor("provider", 2, folder=folder) as provider:
        config, url = configured(folder, provider, f'store = "sqlite:///{folder}/memory.db"')
        with mailcore("up", config, url=f"{url}/health/live") as running:
            for done in range(STEP, MAILS + 1, STEP):
                await post_many("127.0.0.1", int(url.rpartition(":")[2]), connections=16, count=STEP)
                await Provider(provider).until(done)
                await asyncio.sleep(1)
                sizes.append(running.rss_mb())
    told = ", ".join(f"{size:.0f}" for size in sizes)
    report.add(f"size of `mailcore up` after each fifth of {MAILS:,} e-mails", f"{told} MB", "", "", "≤ 120 MB, flat")
