"""The extras that errors tell people to install."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDS_NOTHING = {"memory", "default", "preferred_band", "priority", "weighted"}
OFFERED = {name for group in PROJECT["entry-points"].values() for name in group} - NEEDS_NOTHING


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_what_the_settings_name_is_also_the_extra_to_install(name: str) -> None:
    """Whoever misses a driver is told `pip install 'mailcore-engine[NAME]'`, with the name that they wrote."""
    assert name.partition("+")[0] in PROJECT["optional-dependencies"]
