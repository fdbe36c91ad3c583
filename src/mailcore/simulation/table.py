"""Figures as the cells of a table, for a terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Final

from mailcore.simulation.contest import Match
from mailcore.simulation.figures import Figures

TITLES: Final = (
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
"""What stands above the cells."""


def cells(match: Match, figures: Figures) -> tuple[str, ...]:
    """Return one match as cells; a dash where the scenario has no trouble to go and come back from."""
    watch = match.scenario.watch
    return (
        match.scenario.name,
        match.contestant,
        f"{100 * figures.first_try:.1f} %",
        f"{figures.failed:.1f}",
        _seconds(figures.gone_s) if watch.settling else "–",
        _seconds(figures.back_s) if watch.after else "–",
        f"{100 * figures.share:.0f} %",
        f"{figures.openings:.1f}",
        f"{figures.throttled:.1f}",
        f"{figures.unsent:.1f}",
        f"{figures.given_up:.1f}",
        f"{figures.plans:.2f}",
        f"{figures.late_s:.0f} s",
    )


def record(match: Match, figures: Figures) -> Mapping[str, object]:
    """Return one match for machines; null for what never happened."""
    numbers = {name: getattr(figures, name) for name in figures.__struct_fields__}
    known = {name: None if isinf(number) else number for name, number in numbers.items()}
    return {"scenario": match.scenario.name, "strategy": match.contestant, "seeds": match.seeds, **known}


def _seconds(seconds: float) -> str:
    """Return a time, or that it never came."""
    return "never" if isinf(seconds) else f"{seconds:.0f} s"
