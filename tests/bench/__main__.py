"""`nox -s bench`: what mailcore does in a second, each figure beside a bare floor of the same run.

Absolute figures do not carry over to another machine or another hour; the ratios do. Each row is the median of three.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from tests.bench.drain import Drain, bare, embedded, receipts
from tests.bench.load import Load, post_many
from tests.e2e.town import MAILCORE, free_port

RUNS = 3
POSTS = 4_000
MAILS = 4_096
IN_FLIGHT = 256


@contextmanager
def process(*command: str, url: str, folder: Path) -> Iterator[None]:
    """Run a process until it is not needed any more; wait until its address answers at all."""
    with (folder / "log.txt").open("ab") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                httpx.get(url, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait(30)


def floor_command(*arguments: str) -> tuple[str, ...]:
    """Return how to run a floor."""
    top = str(Path(__file__).parents[2])
    code = (
        f"import runpy, sys; sys.path.insert(0, {top!r}); sys.argv[1:] = {list(arguments)!r};"
        "runpy.run_module('tests.bench.floors', run_name='__main__')"
    )
    return (sys.executable, "-c", code)


async def median_load(port: int, connections: int) -> Load:
    """Return the median of three loads by their rate, after a warm-up."""
    await post_many("127.0.0.1", port, connections=connections, count=500)
    loads = [await post_many("127.0.0.1", port, connections=connections, count=POSTS) for _ in range(RUNS)]
    return sorted(loads, key=lambda load: load.per_second)[RUNS // 2]


async def accepting(folder: Path, table: Table) -> None:
    """Measure POSTs: Litestar without a store, and the API on SQLite, durable before its 201."""
    found: dict[str, dict[int, Load]] = {}
    port = free_port()
    with process(*floor_command("litestar", str(port)), url=f"http://127.0.0.1:{port}/", folder=folder):
        found["floor"] = {many: await median_load(port, many) for many in (1, 16, 64)}
    port = free_port()
    config = folder / "api.toml"
    config.write_text(
        f'bind = "127.0.0.1:{port}"\nstore = "sqlite:///{folder}/api.db"\nlog.level = "warning"\n'
        '[providers.sendgrid]\nkind = "sendgrid"\napi_key = "SG.bench"\nbase_url = "http://127.0.0.1:9"\n'
    )
    live = f"http://127.0.0.1:{port}/health/live"
    with process(str(MAILCORE), "api", "--config", str(config), url=live, folder=folder):
        found["api"] = {many: await median_load(port, many) for many in (1, 16, 64)}
    for many, aim in ((1, ""), (16, "0.5"), (64, "0.65")):
        floor, mine = found["floor"][many], found["api"][many]
        add(table, f"accept, SQLite, {many} connections", mine.per_second, floor.per_second, aim)
    table.add_row("POST p99, SQLite, 16 connections", f"{found['api'][16].p99_ms:.1f} ms", "", "", "≤ 15 ms")


async def draining(folder: Path, table: Table) -> None:
    """Measure a backlog's drain: the bare loop over the same provider, and the engine on SQLite."""
    async with provider(2, folder) as settings:
        await drained(folder, table, settings, count=MAILS, aim="0.6")
        waits = sorted(await receipts(folder, settings, count=200))
        table.add_row(
            "POST to receipt, idle, p50 (p99)", f"{waits[100]:.1f} ({waits[197]:.1f}) ms", "2 ms", "", "≤ 5 ms"
        )
    async with provider(300, folder) as settings:
        mine = await drained(folder, table, settings, count=MAILS // 2, aim="")
        add(table, "  of in flight / latency, 300 ms", mine.per_second, IN_FLIGHT / 0.3, "0.8")


@asynccontextmanager
async def provider(wait_ms: int, folder: Path) -> AsyncGenerator[dict[str, object]]:
    """Run a provider that answers after so many milliseconds; give its settings."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process(*floor_command("provider", str(port), str(wait_ms)), url=f"{url}/health/live", folder=folder):
        yield {"api_key": "SG.bench", "base_url": url}


async def drained(folder: Path, table: Table, settings: dict[str, object], *, count: int, aim: str) -> Drain:
    """Measure one drain beside its floor; return the engine's."""
    floor = await median_drain(lambda: bare(settings, count=count, in_flight=IN_FLIGHT))
    mine = await median_drain(lambda: embedded(fresh(folder), settings, count=count, in_flight=IN_FLIGHT))
    add(table, f"drain of {count} e-mails, SQLite, {IN_FLIGHT} in flight", mine.per_second, floor.per_second, aim)
    table.add_row("  CPU per e-mail", f"{mine.cpu_ms:.2f} ms", f"{floor.cpu_ms:.2f} ms", "", "")
    table.add_row("  largest size of the process", f"{mine.rss_mb:.0f} MB", "", "", "≤ 120 MB")
    return mine


def fresh(folder: Path) -> Path:
    """Return a new empty folder."""
    return Path(tempfile.mkdtemp(dir=folder))


async def median_drain(measure: Callable[[], Awaitable[Drain]]) -> Drain:
    """Return the median of three drains by their rate."""
    found = [await measure() for _ in range(RUNS)]
    return sorted(found, key=lambda drain: drain.per_second)[RUNS // 2]


def importing(table: Table) -> None:
    """Measure `import mailcore` beside `import msgspec`."""
    took = {name: statistics.median(_import_ms(name) for _ in range(9)) for name in ("msgspec", "mailcore")}
    table.add_row(
        "import mailcore",
        f"{took['mailcore']:.0f} ms",
        f"{took['msgspec']:.0f} ms",
        f"{took['mailcore'] / took['msgspec']:.2f}",
        "≤ 1.5",
    )


def _import_ms(name: str) -> float:
    """Return how long a fresh interpreter takes to import a module, its own start apart."""
    code = f"import time; t = time.perf_counter(); import {name}; print((time.perf_counter() - t) * 1000)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def add(table: Table, row: str, mine: float, floor: float, aim: str) -> None:
    """Add a row of two rates and their ratio."""
    table.add_row(row, f"{mine:,.0f}/s", f"{floor:,.0f}/s", f"{mine / floor:.2f}", f"≥ {aim}" if aim else "")


def main() -> None:
    """Measure everything and print the table."""
    table = Table("what", "mailcore", "floor", "ratio", "aim")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(accepting(Path(folder), table))
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(draining(Path(folder), table))
    importing(table)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
