"""The report tells of every row of the matrix: what came of it, or why it is not run."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.chaos.checker import judge
from tests.chaos.report import report, result_of
from tests.chaos.rows import NOT_RUN, ROWS
from tests.chaos.test_checker import GOOD
from tests.chaos.trial import Outcome

ROOT = Path(__file__).parents[2]


def test_the_report_tells_what_was_run_and_what_was_not(tmp_path: Path) -> None:
    """The latest run of a row counts; a rule that broke is shown, and nothing is left to fill in."""
    good = Outcome(history=GOOD, notes={"hits": "3"}, wrong=[], took_s=60, memory_growth=0)
    bad = Outcome(history=GOOD, notes={}, wrong=["it fell over"], took_s=60, memory_growth=0)
    runs = [(ROWS[0], bad), (ROWS[0], good), (ROWS[1], bad)]
    results = tmp_path / "results.jsonl"
    lines = [msgspec.json.encode(result_of(row, "production", 7, one, judge(one.history))) for row, one in runs]
    results.write_bytes(b"\n".join(lines))

    page = report(results, ROOT)

    assert "2 runs of 2 rows, 1 passed" in page
    assert "**P1** on production: hits: 3." in page
    assert "broke: it fell over" in page
    assert "{{" not in page
    assert all(one.why in page for one in NOT_RUN)


def test_every_row_of_the_matrix_is_run_or_has_its_reason() -> None:
    """No row is forgotten in silence, and none is there twice."""
    matrix = {"P": 10, "R": 7, "M": 7, "N": 4, "V": 11, "C": 3, "Q": 4, "K": 3, "L": 2}
    named = [row.id for row in ROWS] + [one.id for one in NOT_RUN]

    missing = {f"{letter}{n}" for letter, most in matrix.items() for n in range(1, most + 1)} - set(named)

    assert missing == set()
    assert len(named) == len(set(named))
