"""`import mailcore` beside `import msgspec`."""

import statistics
import subprocess
import sys

from tests.bench.report import Report


async def importing(report: Report) -> None:
    """Measure both, each in fresh interpreters, the median of nine."""
    took = {name: statistics.median(_import_ms(name) for _ in range(9)) for name in ("msgspec", "mailcore")}
    ratio = f"{took['mailcore'] / took['msgspec']:.2f}"
    report.add("import mailcore", f"{took['mailcore']:.0f} ms", f"{took['msgspec']:.0f} ms", ratio, "≤ 1.5")


def _import_ms(name: str) -> float:
    """Return how long a fresh interpreter takes to import a module, its own start apart."""
    code = f"import time; t = time.perf_counter(); import {name}; print((time.perf_counter() - t) * 1000)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
