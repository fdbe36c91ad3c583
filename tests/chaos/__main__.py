"""The fault campaign: `python -m tests.chaos`, or some rows of it: `--rows P1,R3 --profile embedded --seed 7`.

Each run of a row is kept as a line of JSON in a file (`--results`), so that a campaign may be run in pieces; the report
is written from the latest run of each row.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import msgspec
from msgspec.structs import replace
from tests.chaos.checker import judge
from tests.chaos.client import RATE
from tests.chaos.faults import clocks, load
from tests.chaos.report import Result, broken_down, report, result_of
from tests.chaos.rig import rig
from tests.chaos.rows import JUMPS, MONKEY, MONKEY_EMBEDDED, ROWS, Row
from tests.chaos.trial import trial

REPORT = Path(__file__).parents[2] / "docs" / "explanation" / "fault-report.md"
RESULTS = Path("chaos-results.jsonl")


async def tried(row: Row, profile: str, seed: int) -> Result:
    """Run one row on one profile; a run that breaks down has not passed, and the others are run all the same."""
    try:
        return await run(row, profile, seed)
    except (AssertionError, OSError, httpx.HTTPError, KeyError) as error:
        traceback.print_exc()
        return broken_down(row, profile, seed, f"the run itself: {type(error).__name__}: {str(error)[-300:]}")


async def run(row: Row, profile: str, seed: int) -> Result:
    """Run one row on one profile; keep its folder if it did not pass."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    if row.environ and clocks.LIBRARY is None:
        raise SystemExit(clocks.HOW_TO_INSTALL)
    JUMPS.write_text("+0\n")
    try:
        async with rig(folder, profile, row.pace, addresses=row.addresses, environ=row.environ) as place:
            client = {"rate": row.rate, **row.client}
            outcome = await trial(
                place, row.fault, f"{seed}:{row.id}:{profile}", warm_s=row.warm_s, limits=row.limits, **client
            )
        result = result_of(row, profile, seed, outcome, judge(outcome.history))
    finally:
        JUMPS.unlink(missing_ok=True)
    if result.passed:
        shutil.rmtree(folder)
    else:
        print(f"  kept: {folder}")
    return result


def rows_of(names: str, soak: float, rate: float) -> list[Row]:
    """Return the rows that are asked for, in the order of the matrix."""
    if soak:
        return [
            Row(
                id="L2",
                what=f"soak: something fails every 20 s, for {soak / 60:.0f} min",
                fault=partial(load.monkey, faults=faults, seconds=soak),
                rate=rate,
                profiles=(profile,),
                warm_s=60,
            )
            for profile, faults in (("production", MONKEY), ("embedded", MONKEY_EMBEDDED))
        ]
    rows = [replace(row, rate=rate) if row.rate == RATE else row for row in ROWS]
    wanted = {name for name in names.split(",") if name}
    if strange := wanted - {row.id for row in ROWS}:
        raise SystemExit(f"no such rows: {', '.join(sorted(strange))}")
    return [row for row in rows if not wanted or row.id in wanted]


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for, write the report, and return 1 if a row did not pass."""
    asked = parsed(argv)
    failed = 0
    for row in rows_of(asked.rows, asked.soak, asked.rate):
        for profile in row.profiles:
            if asked.profile in (None, profile):
                print(f"{datetime.now(UTC):%H:%M:%S} {row.id} {profile}: {row.what}", flush=True)
                result = asyncio.run(tried(row, profile, asked.seed))
                with asked.results.open("ab") as file:
                    file.write(msgspec.json.encode(result) + b"\n")
                print("  passed" if result.passed else "\n  ".join(["  FAILED", *result.broken]), flush=True)
                failed += not result.passed
    if asked.report:
        REPORT.write_text(report(asked.results, Path(__file__).parents[2]))
    return int(failed > 0)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Run the fault campaign.")
    parser.add_argument("--rows", default="", help="ids, with commas between them; all if none")
    parser.add_argument("--profile", choices=("production", "embedded"), help="both if none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS", help="run the soak instead")
    parser.add_argument(
        "--rate", type=float, default=20.0, help="submissions a second, where a row has no rate of its own"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where runs are kept")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.name} from all runs that are kept")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
