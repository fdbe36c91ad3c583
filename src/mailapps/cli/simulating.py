"""The command simulate: how the strategies fare in made-up outages, in virtual time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from math import isinf
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import convert
from msgspec.structs import asdict

from mailapps.cli.exits import Exit, UsageError
from mailapps.cli.printing import Column, console, print_json, table_of
from mailapps.container import provider_problems
from mailapps.settings_sources import load
from mailapps.tuning import Role, rules_of
from mailcore.discovery import Share
from mailcore.rules import Rules
from mailcore.simulation import CATALOGUE, CONTESTANTS, PAIR, Figures, MadeUp, Match, Scenario, all_played, matches

Names = Annotated[tuple[str, ...], Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]

_SHARED: Final = ("weight", "max_per_second")
_COLUMNS: Final = (
    Column("strategy"),
    Column("first try"),
    Column("failed per 1000"),
    Column("gone after", least=60),
    Column("back after", least=72),
    Column("share", least=80),
    Column("openings", least=90),
    Column("unsent", least=100),
    Column("given up", least=110),
)


def simulate(
    *,
    scenario: Names = (),
    strategy: Names = (),
    seeds: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 3,
    own: Flag = False,
    config: Annotated[Path | None, Parameter(env_var="MAILCORE_CONFIG")] = None,
    json: Flag = False,
) -> int:
    """Show how the strategies fare in made-up outages, in virtual time: nothing is sent.

    For each scenario: the share of e-mails that the first attempt delivered during the trouble, failed attempts per
    1000 e-mails, how soon new mail left the provider in trouble and how soon it came back, its share of first
    attempts, how often breakers opened, and what was not sent. `oracle` knows who fails; `static` knows nothing.

    Args:
        scenario: Only those whose name begins like this.
        strategy: Only these.
        seeds: How many made-up worlds to average over; 20 for steady figures.
        own: With the providers, weights and rules of your settings, the first provider being the one in trouble.
        config: The settings file, for --own.
        json: Print JSON for machines.
    """
    names = [name for name in CATALOGUE if name.startswith(scenario or ("",))]
    if not names:
        raise UsageError(f"no such scenario; there are: {', '.join(CATALOGUE)}")
    if not set(strategy) <= set(CONTESTANTS):
        raise UsageError(f"no such strategy; there are: {', '.join(CONTESTANTS)}")
    providers, rules = _own(config) if own else (PAIR, Rules())
    found = matches(names, strategy or CONTESTANTS, providers=providers, rules=rules, seeds=seeds)
    results = _results(found)
    if json:
        _print_json(results)
    else:
        _print_tables(results)
    return Exit.OK


Result = tuple[Scenario, Mapping[str, Figures]]


def _own(config: Path | None) -> tuple[Sequence[MadeUp], Rules]:
    """Return the providers of the settings as made-up ones, and the rules of the settings."""
    settings = load(config, os.environ, provider_problems)
    shares = {
        name: convert({key: table[key] for key in _SHARED if key in table}, Share)
        for name, table in settings.providers.items()
    }
    made_up = [MadeUp(name=name, weight=one.weight, max_per_second=one.max_per_second) for name, one in shares.items()]
    return made_up, rules_of(settings, Role.UP)


def _results(found: Sequence[Match]) -> Iterator[Result]:
    """Yield the figures of each scenario in order; every processor of the machine helps."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        pairs = zip(found, all_played(found, pool), strict=True)
        for _, group in groupby(pairs, key=lambda one: one[0].scenario.name):
            played = list(group)
            yield played[0][0].scenario, {match.contestant: figures for match, figures in played}


def _print_json(results: Iterator[Result]) -> None:
    """Print all figures for machines; what never happened is null."""
    rows = (
        {
            "scenario": scenario.name,
            "strategy": name,
            **{key: None if isinf(one) else one for key, one in asdict(of).items()},
        }
        for scenario, figures in results
        for name, of in figures.items()
    )
    print_json({"data": list(rows)})


def _print_tables(results: Iterator[Result]) -> None:
    """Print a table for each scenario as soon as it is known."""
    out = console()
    for scenario, figures in results:
        out.print(f"{scenario.name}: {scenario.says}", style="bold")
        out.print(table_of(_COLUMNS, [_cells(name, of) for name, of in figures.items()], out.width))
        out.print()


def _cells(name: str, of: Figures) -> Sequence[str]:
    """Return the cells of one strategy."""
    return (
        name,
        f"{of.first_try:.1%}",
        f"{of.failed:.1f}",
        _seconds(of.gone_s),
        _seconds(of.back_s),
        f"{of.share:.0%}",
        f"{of.openings:.1f}",
        f"{of.unsent:.0f}",
        f"{of.given_up:.0f}",
    )


def _seconds(span: float) -> str:
    """Return a span of time, or a dash for what never happened."""
    return "-" if isinf(span) else f"{span:.0f} s"
