"""Play every strategy in every scenario and write the table of docs/explanation/choosing-a-provider.md.

`nox -s simulate` runs it. It fails if the default strategy is not the best, or within a point of it, everywhere (SB11).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from itertools import groupby
from math import isinf
from multiprocessing import get_context
from pathlib import Path

from mailcore.simulation import CATALOGUE, Figures, Match, all_played, matches
from mailcore.strategy import STRATEGIES

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "choosing-a-provider.md"
BEGIN, END = "<!-- the table: nox -s simulate -->\n", "<!-- the end of the table -->\n"
DEFAULT = "preferred_band"
WITHIN = 0.01
TITLES = (
    "scenario",
    "strategy",
    "first try",
    "failed per 1000",
    "gone after",
    "back after",
    "share",
    "openings",
    "429",
    "unsent",
    "given up",
    "decisions",
    "last sent after",
)

Played = tuple[Match, Figures]


def cells(match: Match, figures: Figures) -> tuple[str, ...]:
    """Return one match as cells."""
    watch = match.scenario.watch
    return (
        match.scenario.name,
        match.contestant,
        f"{100 * figures.first_try:.1f} %",
        f"{figures.failed:.1f}",
        seconds(figures.gone_s, watch.settling),
        seconds(figures.back_s, watch.after),
        f"{100 * figures.share:.0f} %",
        f"{figures.openings:.1f}",
        f"{figures.throttled:.1f}",
        f"{figures.unsent:.1f}",
        f"{figures.given_up:.1f}",
        f"{figures.plans:.2f}",
        f"{figures.late_s:.0f} s",
    )


def seconds(passed: float, watched: timedelta) -> str:
    """Return a time, or for how long it was waited for in vain; a dash if it was not."""
    if not watched:
        return "–"
    return f"> {watched.total_seconds():.0f} s" if isinf(passed) else f"{passed:.0f} s"


def row(match: Match, figures: Figures) -> str:
    """Return a line of the page's table."""
    return f"| {' | '.join(cells(match, figures))} |\n"


def table(played: Iterable[Played]) -> str:
    """Return the page's table."""
    head = f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}\n"
    return head + "".join(row(*one) for one in played)


def written(page: str, played: Iterable[Played]) -> str:
    """Return the page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + table(played) + "\n" + END + rest.partition(END)[2]


def beaten(played: Iterable[Played]) -> Mapping[str, float]:
    """Return the scenarios in which another strategy succeeds more often than the default, by more than a point."""
    lost: dict[str, float] = {}
    for name, group in groupby(played, key=lambda one: one[0].scenario.name):
        tries = {match.contestant: figures.first_try for match, figures in group if match.contestant in STRATEGIES}
        if max(tries.values()) - tries[DEFAULT] > WITHIN:
            lost[name] = max(tries.values()) - tries[DEFAULT]
    return lost


def main() -> int:
    """Play, write and judge."""
    everybody = matches(list(CATALOGUE))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        played: list[Played] = []
        for match, figures in zip(everybody, all_played(everybody, processes), strict=True):
            played.append((match, figures))
            print(row(match, figures), end="", flush=True)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), played), encoding="utf-8")
    lost = beaten(played)
    for name, by in lost.items():
        print(f"SB11 does not hold in {name}: the best is {100 * by:.1f} points better")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
