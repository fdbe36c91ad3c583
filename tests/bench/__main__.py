"""`nox -s bench`: what mailcore does in a second, each figure beside a bare floor of the same run.

Absolute figures do not carry over to another machine or another hour; the ratios do. Groups of rows may be named
(`nox -s bench -- drain worker`); `--write` puts the table into docs/explanation/speed.md.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from rich.console import Console
from tests.bench.accepting import accepting
from tests.bench.draining import draining
from tests.bench.importing import importing
from tests.bench.memory import staying
from tests.bench.production import working
from tests.bench.report import Report
from tests.bench.size import growing
from tests.bench.world import Servers, servers

from mailapps.roles import tune_interpreter

PAGE = Path(__file__).parents[2] / "docs/explanation/speed.md"

Group = Callable[[Path, Report, Servers], Awaitable[None]]
GROUPS: dict[str, Group] = {
    "accept": accepting,
    "drain": lambda folder, report, _: draining(folder, report),
    "worker": working,
    "size": lambda folder, report, _: growing(folder, report),
    "memory": lambda folder, report, _: staying(folder, report),
    "import": lambda _folder, report, _servers: importing(report),
}


async def measured(names: list[str]) -> Report:
    """Measure some groups of rows, or all."""
    report = Report()
    for name in names or GROUPS:
        with tempfile.TemporaryDirectory() as folder, servers() as two:  # new ones each: the stand-in has little memory
            await GROUPS[name](Path(folder), report, two)
    return report


def main(arguments: list[str]) -> None:
    """Measure, print the table, and write it if that was asked for."""
    tune_interpreter()  # as our own processes do: what drains here is measured as it runs there, and so is its floor
    names = [one for one in arguments if not one.startswith("--")]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(measured(names))
    Console(width=130).print(report.table())
    if "--write" in arguments:
        report.write(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
