"""Simulations for the tests: each is run once, over its seeds, by as many processes as there are processors."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

from mailcore.simulation import Figures, MadeUp, Match, averaged, matches
from mailcore.simulation.contest import run


@cache
def processes() -> ProcessPoolExecutor:
    """Return the processes that simulate; they leave the processors to other tests, which run against time."""
    return ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=os.nice, initargs=(10,))


def each(match: Match) -> list[Figures]:
    """Return the figures of every world."""
    return list(processes().map(run, [match] * match.seeds, range(match.seeds)))


@cache
def figures(scenario: str, contestant: str = "preferred_band") -> Figures:
    """Return the average figures of a scenario of the catalogue."""
    (match,) = matches([scenario], [contestant])
    return averaged(each(match))


def team(size: int) -> tuple[MadeUp, ...]:
    """Return so many equal providers."""
    return tuple(MadeUp(name=f"p{number}") for number in range(1, size + 1))
