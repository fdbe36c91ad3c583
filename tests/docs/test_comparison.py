"""The comparison: its figures of our strategies are those of the simulation's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
LOADS = ("20/s", "2/s", "0.2/s")


def first_tries() -> dict[tuple[str, str], str]:
    """Return the share of first tries by strategy and load, as the simulation's table has them."""
    text = (EXPLANATION / "choosing-a-provider.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| brown-out (\S+) \| (\w+) \| (\S+ %) \|", text, re.MULTILINE)
    return {(strategy, load): share for load, strategy, share in found}


@pytest.mark.parametrize("strategy", ["oracle", "static", "priority", "weighted", "preferred_band"])
def test_the_figures_of_our_strategies_are_the_simulations(strategy: str) -> None:
    """A strategy that is changed changes both pages."""
    text = (EXPLANATION / "comparison.md").read_text(encoding="utf-8")
    row = re.search(rf"^\|[^|]*`{strategy}`[^|]*\| (\S+ %) \| (\S+ %) \| (\S+ %) \|$", text, re.MULTILINE)

    assert row
    assert row.groups() == tuple(first_tries()[strategy, load] for load in LOADS)
