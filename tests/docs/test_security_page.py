"""The page on security names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path("docs/explanation/security.md").read_text(encoding="utf-8").partition("## Where each rule is tested")[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
RULES = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| rule")]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_rule_is_tested_where_the_page_says(path: str, name: str) -> None:
    """A test that is renamed or moved takes its row along."""
    assert re.search(rf"^(?:async )?def {name}\(", Path(path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_rule_names_a_test() -> None:
    """A rule that nothing shows is a wish."""
    assert len(RULES) > 40
    assert [rule for rule in RULES if "::test_" not in rule] == []
