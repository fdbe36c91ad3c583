"""The rows of a run, each a figure beside its floor and its aim."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

HEAD = ("what", "mailcore", "floor", "ratio", "aim")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
Row = tuple[str, str, str, str, str]


@dataclass
class Report:
    """What was measured so far."""

    rows: list[Row] = field(default_factory=list[Row])

    def add(self, what: str, mine: str, floor: str = "", ratio: str = "", aim: str = "") -> None:
        """Add a row, and print it at once: a run takes minutes."""
        self.rows.append((what, mine, floor, ratio, aim))
        Console(stderr=True).print(f"{what}: {mine} {floor and f'of {floor}'} {ratio}", highlight=False)

    def rate(self, what: str, mine: float, floor: float, aim: str = "") -> None:
        """Add a row of two rates and their ratio."""
        self.add(what, f"{mine:,.0f}/s", f"{floor:,.0f}/s", f"{mine / floor:.2f}", f"≥ {aim}" if aim else "")

    def table(self) -> Table:
        """Return it for a terminal."""
        table = Table(*HEAD)
        for row in self.rows:
            table.add_row(*row)
        return table

    def write(self, page: Path) -> None:
        """Put it into a page of the documentation, between its marks."""
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(before + BEGIN + "\n" + "\n".join(self._lines()) + "\n" + END + after, encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        """Yield the lines of a Markdown table."""
        yield f"\nPython {platform.python_version()} on {platform.machine()}, two cores shared by everything.\n"
        for row in (HEAD, ("---",) * len(HEAD), *self.rows):
            yield f"| {' | '.join(row)} |"
