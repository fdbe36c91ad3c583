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
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
from tests.chaos.checker import judge
from tests.chaos.faults import clocks
from tests.chaos.report import Result, broken_down, report, result_of
from tests.chaos.rig import rig
from tests.chaos.rows import JUMPS, ROWS, Row
from tests.chaos.trial import trial

REPORT = Path(__file__).parents[2] / "docs" / "explanation" / "fault-report.md"
RESULTS = Path("chaos-results.jsonl")
SHOWN = 10
"""So many of the things that broke are printed; the file has all."""

JOBS = 4
"""So the whole takes less than an hour on two cores: most of a run is waiting."""


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


def asked_for(asked: argparse.Namespace) -> list[tuple[Row, str]]:
    """Return the rows and profiles that are asked for, the longest first: so what runs side by side ends together."""
    wanted = {name for name in asked.rows.split(",") if name}
    if strange := wanted - {row.id for row in ROWS}:
        raise SystemExit(f"no such rows: {', '.join(sorted(strange))}")
    rows = [row for row in ROWS if not wanted or row.id in wanted]
    runs = [(row, profile) for row in rows for profile in row.profiles if asked.profile in (None, profile)]
    return sorted(runs, key=lambda one: -one[0].minutes)


async def side_by_side(runs: Sequence[tuple[Row, str]], asked: argparse.Namespace) -> int:
    """Run each in a process of its own, so many at once, and return how many did not pass."""
    free = asyncio.Semaphore(asked.jobs)
    done = list[bool]()

    async def one(row: Row, profile: str) -> None:
        async with free:
            passed, said = await apart(row, profile, asked)
            done.append(passed)
            print(f"{datetime.now(UTC):%H:%M:%S} {len(done)}/{len(runs)} {said}", flush=True)

    await asyncio.gather(*(one(row, profile) for row, profile in runs))
    return done.count(False)


async def apart(row: Row, profile: str, asked: argparse.Namespace) -> tuple[bool, str]:
    """Run one row on one profile in a process of its own; return whether it passed, and what it said."""
    words = ["--rows", row.id, "--profile", profile, "--seed", str(asked.seed)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos", *words, "--results", str(asked.results)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode == 0, said.decode(errors="replace").strip()


def here(row: Row, profile: str, asked: argparse.Namespace) -> int:
    """Run one row on one profile, keep what came of it, and return how many did not pass."""
    began = time.monotonic()
    result = asyncio.run(tried(row, profile, asked.seed))
    with asked.results.open("ab") as file:
        file.write(msgspec.json.encode(result) + b"\n")
    verdict = "passed" if result.passed else "\n  ".join([f"{len(result.broken)} BROKEN", *result.broken[:SHOWN]])
    print(f"{row.id} {profile}: {row.what}: {verdict}, {time.monotonic() - began:.0f} s", flush=True)
    return int(not result.passed)


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for, write the report, and return 1 if a row did not pass."""
    asked = parsed(argv)
    runs = asked_for(asked)
    failed = here(*runs[0], asked) if len(runs) == 1 else asyncio.run(side_by_side(runs, asked))
    if asked.report:
        REPORT.write_text(report(asked.results, Path(__file__).parents[2]))
    return int(failed > 0)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Run the fault campaign.")
    parser.add_argument("--rows", default="", help="ids, with commas between them; all if none")
    parser.add_argument("--profile", choices=("production", "embedded"), help="both if none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many runs go on side by side; {JOBS} if not said")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where runs are kept")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.name} from all runs that are kept")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
