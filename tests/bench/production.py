"""One dramatiq worker process on MongoDB and Redis: its drain, its size, how soon it hears, and what a crash costs."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from tests.bench.drain import filled
from tests.bench.draining import IN_FLIGHT, MAILS, bare_loop, halves, settings_of
from tests.bench.hearing import heard
from tests.bench.processes import configured, floor, mailcore
from tests.bench.report import Report
from tests.bench.seen import Provider, steady
from tests.bench.world import Servers
from tests.e2e.town import free_port

RUNS = 3
LEASE_S = 20


async def working(folder: Path, report: Report, servers: Servers) -> None:
    """Measure it with a quick provider and with a slow one."""
    with floor("provider", 2, folder=folder) as url:
        lowest = await bare_loop(settings_of(url))
        found = sorted([await drained(folder, servers, Provider(url), MAILS) for _ in range(RUNS)])
        rate, cpu_ms, trips, size = found[RUNS // 2]
        report.rate(f"drain of {MAILS}, one worker, Mongo + Redis", rate, lowest.per_second, "0.4")
        report.add("  processor time per e-mail", f"{cpu_ms:.2f} ms", f"{lowest.cpu_ms:.2f} ms")
        report.add("  round trips to the store per e-mail", f"{trips:.2f}", "", "", "≤ 0.2")
        report.add("  largest size of the worker process", f"{size:.0f} MB", "", "", "≤ 100 MB")
        waits = await hearing(folder, servers, Provider(url))
        report.add("POST to receipt, idle, through Redis, p50 (p99)", halves(waits), "", "", "≤ 10 ms")
        await killed(folder, report, servers, Provider(url))
    with floor("provider", 300, folder=folder) as url:
        rate, _, trips, _ = await drained(folder, servers, Provider(url), MAILS)
        report.rate("drain, one worker, 300 ms, of in flight / latency", rate, IN_FLIGHT / 0.3, "0.8")
        report.add("  at once at the provider, at most", str(await Provider(url).peak()), str(IN_FLIGHT), "", "≥ 256")
        report.add("  round trips to the store per e-mail", f"{trips:.2f}", "", "", "≤ 0.6")


Found = tuple[float, float, float, float]


async def drained(folder: Path, servers: Servers, provider: Provider, count: int) -> Found:
    """Drain a backlog by one worker; return its rate, its CPU in ms and its trips per e-mail, and its size in MB.

    Rate and CPU are those of a process that is warm: its start and the first quarter are left out.
    """
    async with backlog(servers, provider, count) as lines:
        port = free_port()
        config, _ = configured(folder, provider.url, f'{lines}\nmetrics.bind = "127.0.0.1:{port}"')
        with mailcore("worker", config, "--alone") as worker:
            warm, before = len(await provider.until(count // 4)), worker.cpu_s()
            times = await provider.until(count)
            cpu_ms = (worker.cpu_s() - before) / (count - warm) * 1000
            trips = await round_trips(f"http://127.0.0.1:{port}/metrics")
            return steady(times[warm:]), cpu_ms, trips / count, worker.largest_mb()


@asynccontextmanager
async def backlog(servers: Servers, provider: Provider, count: int, more: str = "") -> AsyncGenerator[str]:
    """Fill a new store with due e-mails; give the settings that say where it is."""
    store, queue = servers.urls()
    await filled(store, [{"kind": "sendgrid", "name": "sendgrid", **settings_of(provider.url)}], count)
    await provider.forget()
    yield f'store = "{store}"\nqueue = "{queue}"\n{more}'


async def round_trips(url: str) -> float:
    """Return how often a process has been at the store."""
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(url)).raise_for_status()
    counts = re.findall(r"^mailcore_store_batches_total\S* (\S+)$", page.text, re.MULTILINE)
    return sum(map(float, counts))


async def hearing(folder: Path, servers: Servers, provider: Provider) -> list[float]:
    """Return how long e-mails took to the provider, in ms, an API and a worker both idle."""
    config, url = configured(folder, provider.url, servers.lines())
    with mailcore("api", config, url=f"{url}/health/live"), mailcore("worker", config, "--alone"):
        return await heard(url, provider)


async def killed(folder: Path, report: Report, servers: Servers, provider: Provider) -> None:
    """Kill a worker with SIGKILL in the middle of a drain, start another, and measure both halves and the last ones.

    The dead one held no more e-mails than it had slots. Those come back when their hiding or their lease ends, and so
    the last of that many are no measure of the rate.
    """
    quick = f'lease = "{LEASE_S}s"\ncall_deadline = "3s"\nunknown_grace = "100ms"'
    async with backlog(servers, provider, 2 * MAILS, quick) as lines:
        config, _ = configured(folder, provider.url, lines)
        with mailcore("worker", config, "--alone") as first:
            before = await provider.until(MAILS)
            first.process.kill()
            died = time.monotonic()
        sent = await provider.count()  # some came from the dead one's sockets after its end
        again = time.monotonic()
        with mailcore("worker", config, "--alone"):
            await provider.until(2 * MAILS)
            await asyncio.sleep(max(0.0, died + LEASE_S + 5 - time.monotonic()))
            times = await provider.times()
    later = times[sent:]
    held_by_nobody = later[:-IN_FLIGHT]
    rate = steady(held_by_nobody)
    report.rate("backlog after kill -9 and restart, of the drain before", rate, steady(before), "0.8")
    report.add("  first e-mail, after the start of the new process", f"{later[0] - again:.1f} s", "", "", "")
    idle = max((at for at in later if at < died + LEASE_S - 1), default=died)
    report.add("  last e-mail that was not in flight, after the kill", f"{idle - died:.1f} s", "", "", "")
    last = max(0.0, later[-1] - died - LEASE_S)
    report.add("  last e-mail that was in flight, after its lease's end", f"{last:.1f} s", "", "", "≤ 5 s")
