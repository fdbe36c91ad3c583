"""Try the core's tests on mutants of it and write the scores into docs/explanation/mutation.md.

`nox -s mutation` runs it: mutmut changes one operator, constant or call at a time and runs the quick tests of the core.
It works on a copy of the project in a folder of its own, so that not even a killed run leaves a changed file here.
A run ends after twenty minutes, and the next one goes on from there; `-- retry breaker` tries these modules only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explanation" / "mutation.md"
BEGIN, END = "<!-- the table: nox -s mutation -->\n", "<!-- the end of the table -->\n"
MODULES = (
    "retry",
    "breaker",
    "window",
    "score",
    "strategy",
    "plan",
    "dispatch",
    "lifecycle",
    "route",
    "health",
    "report",
    "validation",
    "addresses",
    "suppression",
)
COPIED = ("src", "tests", "docs", "pyproject.toml", "README.md", "LICENSE")
SLOW = ("simulation", "simulation_bars", "agreement", "reprs", "exported_names", "engine", "outbox", "courier")
WITHIN_S = 1200

KILLED = {1, 3, 24, -24, 36, 37, 152, 255}
"""What a run of the tests ends with if the mutant is found: a failure, an internal error, or no end in time."""


@dataclass(frozen=True)
class Score:
    """What became of a module's mutants.

    Attributes:
        survivors: The names of those that no test noticed.
        untried: Those that there was no time for.
    """

    module: str
    killed: int
    survivors: tuple[str, ...]
    untried: int

    @property
    def row(self) -> str:
        """The module as a row of the table."""
        tried = self.killed + len(self.survivors)
        share = f"{100 * self.killed / tried:.1f} %" if tried else "–"
        return f"| `{self.module}` | {tried} | {self.killed} | {len(self.survivors)} | {self.untried} | {share} |\n"


def settings(modules: Sequence[str]) -> str:
    """Return mutmut's settings: what to change, and which tests must notice."""
    tests = [f"--ignore=tests/core/test_{one}.py" for one in SLOW]
    arguments = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-o", "timeout=0", *tests]
    table = {
        "source_paths": ["src"],
        "only_mutate": [f"src/mailcore/{one}.py" for one in modules],
        "also_copy": [one for one in COPIED if one not in {"src", "tests", "pyproject.toml"}],
        "pytest_add_cli_args": arguments,
        "pytest_add_cli_args_test_selection": ["tests/core"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\nuse_git_change_detection = false\ntimeout_multiplier = 2.0\n"


def prepare(place: Path, modules: Sequence[str]) -> None:
    """Copy the project and tell mutmut what to do with the copy."""
    for one in COPIED:
        if (ROOT / one).is_dir():
            shutil.copytree(ROOT / one, place / one, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / one, place / one)
    with (place / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(settings(modules))


def run(place: Path) -> None:
    """Try the mutants, one after another, for as long as there is time."""
    environment = {**os.environ, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["nice", "-n", "15", sys.executable, "-m", "mutmut", "run", "--max-children", "1"]
    try:
        subprocess.run(command, cwd=place, env=environment, check=False, timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        print("the time is over; the rest was not tried")


def scores(place: Path, modules: Sequence[str]) -> Iterator[Score]:
    """Yield what became of each module's mutants."""
    for module in modules:
        told = json.loads((place / "mutants" / "src" / "mailcore" / f"{module}.py.meta").read_text(encoding="utf-8"))
        ends: Mapping[str, int | None] = told["exit_code_by_key"]
        yield Score(
            module=module,
            killed=sum(end in KILLED for end in ends.values()),
            survivors=tuple(name for name, end in ends.items() if end is not None and end not in KILLED),
            untried=sum(end is None for end in ends.values()),
        )


def changes(place: Path, score: Score) -> Iterator[str]:
    """Yield each survivor as the change that nobody noticed."""
    for name in score.survivors:
        command = [sys.executable, "-m", "mutmut", "show", name]
        shown = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False).stdout
        yield f"# {name}\n" + "\n".join(re.findall(r"^[-+](?![-+]).*$", shown, re.MULTILINE)) + "\n"


def write(found: Sequence[Score]) -> None:
    """Put the table of scores into the page."""
    tried = sum(score.killed + len(score.survivors) for score in found)
    killed = sum(score.killed for score in found)
    untried = sum(score.untried for score in found)
    head = "| module | tried | killed | survived | not yet tried | score |\n|---|---|---|---|---|---|\n"
    total = f"| **all** | {tried} | {killed} | {tried - killed} | {untried} | **{100 * killed / tried:.1f} %** |\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = head + "".join(score.row for score in found) + total
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main(folder: str, asked: Sequence[str]) -> None:
    """Try the mutants of some modules, or of all and write the page."""
    place, modules = Path(folder), asked or MODULES
    prepare(place, modules)
    run(place)
    found = list(scores(place, modules))
    for score in found:
        print(score.row, *(changes(place, score) if asked else score.survivors), sep="\n")
    if not asked:
        write(found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
