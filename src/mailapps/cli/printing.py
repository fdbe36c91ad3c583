"""How commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from mailapps.cli.exits import plain

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
    return Console(width=width, highlight=False, markup=False, emoji=False)


def cleaned(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer of the service with every text as a terminal may show it."""
    return {key: _cleaned(value) for key, value in answer.items()}


def _cleaned(value: object) -> object:
    """Return a part of an answer."""
    match value:
        case str():
            return plain(value)
        case dict():
            return cleaned(cast("dict[str, Any]", value))
        case list():
            return [_cleaned(one) for one in cast("list[object]", value)]
        case _:
            return value


def time_of(moment: str | None) -> str:
    """Return a moment as tables show it."""
    return (moment or "")[:19].replace("T", " ")


def print_json(value: object) -> None:
    """Print a value for machines."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


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


@contextmanager
def progress(word: str, total: int) -> Generator[Callable[[], None]]:
    """Give what is called after each of so many: it moves a bar on standard error, if that is a terminal."""
    out = Console(stderr=True, highlight=False)
    columns = (TextColumn(word), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=out, disable=not out.is_terminal) as bar:
        task = bar.add_task(word, total=total)
        yield lambda: bar.advance(task)


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
