"""How commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH: Final = 200
"""The width where there is no terminal: nobody wants a table wrapped in a file."""


class Column(Struct, frozen=True):
    """A column of a table.

    Attributes:
        least: The narrowest terminal that still shows it.
        whole: Its words are never broken: what a person copies from it must work.
    """

    title: str
    least: int = 0
    whole: bool = False


def console() -> Console:
    """Return where results go. Colours only on a terminal, and not if NO_COLOR is set."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
    return Console(width=width, highlight=False)


def print_json(value: object) -> None:
    """Print a value for machines."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def table_of(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Return a table that fits: on a narrow terminal some columns are left out, and words are folded."""
    shown = [number for number, column in enumerate(columns) if column.least <= width]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number in shown:
        column = columns[number]
        table.add_column(column.title, no_wrap=column.whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[number], style=_STYLES.get(row[number].partition(" ")[0], "")) for number in shown))
    return table


_STYLES: Final = {
    "sent": "green",
    "accepted": "green",
    "failed": "red",
    "rejected": "red",
    "held": "yellow",
    "unknown": "yellow",
    "retrying": "yellow",
    "open": "red",
    "throttled": "yellow",
}


def style_of(word: str) -> str:
    """Return the colour of a status or an outcome."""
    return _STYLES.get(word, "")
