"""Reading a file of many things: JSONL or CSV, each with the number of its line. Pure but for the lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from mailapps.cli.exits import UsageError

_JSONL: Final = frozenset({".jsonl", ".ndjson"})


class Columns(Struct, frozen=True, kw_only=True):
    """What the head of a CSV file may name.

    Attributes:
        plain: Columns of one value.
        lists: Columns that hold several values, with semicolons between.
        pairs: Beginnings of columns for one pair each, such as `metadata.order`.
    """

    plain: frozenset[str]
    lists: frozenset[str] = frozenset()
    pairs: tuple[str, ...] = ()

    def means(self, column: str) -> bool:
        """Whether a column means something here."""
        return column in self.plain | self.lists or column.startswith(self.pairs)

    def __str__(self) -> str:
        """Return what there is, for people."""
        return ", ".join([*sorted(self.plain | self.lists), *(f"{start}*" for start in self.pairs)])


class Line(Struct, frozen=True):
    """One thing of a file.

    Attributes:
        number: Where it begins, counted from 1.
        value: As JSON has it.
    """

    number: int
    value: dict[str, Any]


class BadLine(Struct, frozen=True):
    """A line that is no such thing."""

    line: int
    problem: str


def lines_of(path: Path, columns: Columns) -> Iterator[Line | BadLine]:
    """Yield what a file holds in order, read as it is wanted.

    Raises:
        UsageError: The file cannot be read, or is neither JSONL nor CSV.
    """
    kind = path.suffix.lower()
    if kind not in {*_JSONL, ".csv"}:
        raise UsageError(f"{path}: expected a file .jsonl (an object on each line) or .csv (with a head line)")
    try:
        with path.open(encoding="utf-8-sig", newline="" if kind == ".csv" else None) as lines:
            yield from from_csv(lines, path.name, columns) if kind == ".csv" else from_jsonl(lines)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UsageError(f"{path}: {said}") from error


def from_jsonl(lines: Iterable[str]) -> Iterator[Line | BadLine]:
    """Yield what every line holds that is not empty."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            yield Line(number, msgspec.json.decode(text, type=dict[str, Any]))
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"is no object in JSON: {error}")


def from_csv(lines: Iterable[str], name: str, columns: Columns) -> Iterator[Line | BadLine]:
    """Yield what every record below the head holds.

    Raises:
        UsageError: The head names a column that means nothing here.
    """
    reader = csv.reader(lines, strict=True)
    try:
        head = [column.strip() for column in next(reader, list[str]())]
    except csv.Error as error:
        raise UsageError(f"{name}: its head is no CSV: {error}") from error
    if unknown := [column for column in head if not columns.means(column)]:
        raise UsageError(f"{name}: no such column: {', '.join(unknown)[:80]}; there are: {columns}")
    while True:
        number = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            yield BadLine(number, f"is no CSV: {error}; the lines after it were not read")
            return
        if record is None:
            return
        if any(record):
            yield _of_record(number, head, record, columns)


def _of_record(number: int, head: list[str], record: list[str], columns: Columns) -> Line | BadLine:
    """Return what a record holds."""
    if len(record) != len(head):
        return BadLine(number, f"has {len(record)} cells, the head has {len(head)}")
    value: dict[str, Any] = {}
    for column, cell in zip(head, record, strict=True):
        if cell:
            _put(value, column, cell, columns)
    return Line(number, value)


def _put(value: dict[str, Any], column: str, cell: str, columns: Columns) -> None:
    """Put a cell where the API expects it."""
    if column in columns.lists:
        value[column] = [one.strip() for one in cell.split(";") if one.strip()]
    elif column.startswith(columns.pairs):
        field, _, name = column.partition(".")
        value.setdefault(field, {})[name] = cell
    else:
        value[column] = cell
