"""POSTs: Litestar without a store, and the API, durable before its 201, on either pair of store and queue."""

from pathlib import Path

from tests.bench.load import Load, post_many
from tests.bench.processes import configured, floor, mailcore
from tests.bench.report import Report
from tests.bench.world import Servers

RUNS = 3
POSTS = 4_000
AIMS = {"SQLite": {16: "0.5", 64: "0.65"}, "Mongo + Redis": {16: "0.35", 64: "0.35"}}
NOBODY = "http://127.0.0.1:9"


async def accepting(folder: Path, report: Report, servers: Servers) -> None:
    """Measure them."""
    with floor("litestar", folder=folder) as url:
        floors = await loads(url)
    for pair, lines in (("SQLite", f'store = "sqlite:///{folder}/accept.db"'), ("Mongo + Redis", servers.lines())):
        config, url = configured(folder, NOBODY, lines)
        with mailcore("api", config, url=f"{url}/health/live"):
            found = await loads(url)
        for many, load in found.items():
            aim = AIMS[pair].get(many, "")
            report.rate(f"accept, {pair}, {many} connections", load.per_second, floors[many].per_second, aim)
        p99 = f"{found[16].p99_ms:.1f} ms"
        report.add(f"POST p99, {pair}, 16 connections", p99, f"{floors[16].p99_ms:.1f} ms", "", "≤ 15 ms")


async def loads(url: str) -> dict[int, Load]:
    """Return the load of each number of connections, the median of its runs by rate, after a warm-up."""
    return {many: await _median(int(url.rpartition(":")[2]), many) for many in (1, 16, 64)}


async def _median(port: int, connections: int) -> Load:
    """Return the median of three loads by their rate, after a warm-up."""
    await post_many("127.0.0.1", port, connections=connections, count=500)
    found = [await post_many("127.0.0.1", port, connections=connections, count=POSTS) for _ in range(RUNS)]
    return sorted(found, key=lambda load: load.per_second)[RUNS // 2]
