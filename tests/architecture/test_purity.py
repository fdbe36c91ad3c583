"""What decides and what acts: every module of the core is one or the other, and what decides never waits."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src" / "mailcore"
ACTS = frozenset(
    {"assembly", "courier", "discovery", "engine", "events", "keyring", "leadership", "mailer", "metering", "ports"}
    | {
        "records",
        "retention",
        "room",
        "roster",
        "scheduler",
        "stock",
        "suppression_list",
        "switchboard",
        "waiting",
        "waking",
    }
)
"""The shell, and what it is told by and tells; whatever is not named here decides."""

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
DECIDES = frozenset(
    name.removeprefix("mailcore.") for one in CONTRACTS if one["id"] == "pure" for name in one["source_modules"]
)


def test_every_module_decides_or_acts() -> None:
    """A new module of the core is pure unless somebody says otherwise here."""
    there = {path.stem for path in CORE.glob("*.py")} - {"__init__"}

    assert there == DECIDES | ACTS
    assert DECIDES.isdisjoint(ACTS)


@pytest.mark.parametrize("module", sorted(DECIDES))
def test_what_decides_never_waits(module: str) -> None:
    """A decision is a function of its arguments: nothing in it is async, and nothing is awaited."""
    tree = ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))

    waits = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, waits)] == []
