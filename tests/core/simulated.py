"""Simulations for the tests: each is run once, over its seeds, by as many processes as there are processors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

from mailcore.simulation import CATALOGUE, PAIR, SEEDS, Figures, MadeUp, Match, averaged
from mailcore.simulation.contest import run

RARE = 60
"""Seeds where mail is rare: 20 hold too few e-mails for an average."""


@cache
def processes() -> ProcessPoolExecutor:
    """Return the processes that simulate."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))


def each(match: Match, seeds: Sequence[int] = range(SEEDS)) -> list[Figures]:
    """Return the figures of every seed."""
    return list(processes().map(run, [match] * len(seeds), seeds))


@cache
def figures(scenario: str, contestant: str = "preferred_band", seeds: int = SEEDS) -> Figures:
    """Return the average figures of a scenario of the catalogue."""
    return averaged(each(Match(scenario=CATALOGUE[scenario](PAIR), contestant=contestant), range(seeds)))


def team(size: int) -> tuple[MadeUp, ...]:
    """Return so many equal providers."""
    return tuple(MadeUp(name=f"p{number}") for number in range(1, size + 1))
