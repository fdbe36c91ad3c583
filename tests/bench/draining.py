"""Draining a backlog in one process over SQLite, beside a bare loop over the same provider."""

import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.drain import Drain, bare, embedded
from tests.bench.hearing import heard
from tests.bench.processes import configured, floor, fresh, mailcore
from tests.bench.report import Report
from tests.bench.seen import Provider

RUNS = 3
MAILS = 4_096
IN_FLIGHT = 320
Settings = dict[str, object]


def settings_of(url: str) -> Settings:
    """Return the settings of a provider."""
    return {"api_key": "SG.bench", "base_url": url}


async def draining(folder: Path, report: Report) -> None:
    """Measure it with a quick provider and with a slow one."""
    with floor("provider", 2, folder=folder) as url:
        await _quick(folder, report, settings_of(url))
        waits = await hearing(folder, Provider(url))
        report.add("POST to receipt, idle, in process, p50 (p99)", halves(waits), "", "", "≤ 5 ms")
    with floor("provider", 300, folder=folder) as url:
        mine = await median(lambda: embedded(fresh(folder), settings_of(url), count=MAILS, in_flight=IN_FLIGHT))
        report.rate("drain, SQLite, 300 ms, of in flight / latency", mine.per_second, IN_FLIGHT / 0.3, "0.8")
        report.add("  round trips to the store per e-mail", f"{mine.trips:.2f}", "", "", "≤ 0.6")


async def _quick(folder: Path, report: Report, settings: Settings) -> None:
    """Measure the drain of a provider that answers in 2 ms."""
    lowest = await bare_loop(settings)
    mine = await median(lambda: embedded(fresh(folder), settings, count=MAILS, in_flight=IN_FLIGHT))
    report.rate(f"drain of {MAILS}, SQLite in process", mine.per_second, lowest.per_second, "0.6")
    report.add("  processor time per e-mail", f"{mine.cpu_ms:.2f} ms", f"{lowest.cpu_ms:.2f} ms")
    report.add("  round trips to the store per e-mail", f"{mine.trips:.2f}", "", "", "≤ 0.2")


async def hearing(folder: Path, provider: Provider) -> list[float]:
    """Return how long e-mails took to the provider, in ms, through one idle process that is API and worker."""
    config, url = configured(folder, provider.url, f'store = "sqlite:///{folder}/idle.db"')
    with mailcore("up", config, url=f"{url}/health/live"):
        return await heard(url, provider)


async def bare_loop(settings: Settings) -> Drain:
    """Measure the floor: the same requests by the same client, without store or decision."""
    return await median(lambda: bare(settings, count=MAILS, in_flight=IN_FLIGHT))


async def median(measure: Callable[[], Awaitable[Drain]]) -> Drain:
    """Return the median of three drains by their rate."""
    found = [await measure() for _ in range(RUNS)]
    return sorted(found, key=lambda drain: drain.per_second)[RUNS // 2]


def halves(waits_ms: list[float]) -> str:
    """Return the median and the 99th percentile of waits."""
    cuts = statistics.quantiles(waits_ms, n=100)
    return f"{cuts[49]:.1f} ({cuts[98]:.1f}) ms"
