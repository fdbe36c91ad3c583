"""The published table of the strategies is what the code does today."""

from __future__ import annotations

import pytest
from tests.core.simulated import figures
from tools.compare_strategies import DEFAULT, PAGE, TITLES, WITHIN, row

from mailcore.simulation import CATALOGUE, CONTESTANTS, matches
from mailcore.strategy import STRATEGIES

LINES = PAGE.read_text(encoding="utf-8").splitlines(keepends=True)
ROWS = [cells for line in LINES if len(cells := [cell.strip() for cell in line.split("|")[1:-1]]) == len(TITLES)][2:]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_default_strategys_rows_are_fresh(name: str) -> None:
    """Whoever changes a rule runs `nox -s simulate`, so that nobody is told of figures that were true once."""
    (match,) = matches([name], [DEFAULT])

    assert row(match, figures(name)) in LINES


def test_every_strategy_is_shown_in_every_scenario() -> None:
    """SB11: the whole table is printed."""
    assert [tuple(cells[:2]) for cells in ROWS] == [(name, who) for name in CATALOGUE for who in CONTESTANTS]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_default_is_the_best_or_nearly(name: str) -> None:
    """SB11: in no scenario another strategy delivers more than a point more at the first try."""
    tries = {cells[1]: float(cells[2].removesuffix(" %")) for cells in ROWS if cells[0] == name}

    best = max(tries[strategy] for strategy in STRATEGIES)

    assert tries[DEFAULT] >= best - 100 * WITHIN
