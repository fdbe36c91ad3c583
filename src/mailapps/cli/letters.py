"""Reading many messages from a file: JSONL or CSV, each with its line and its idempotency key. Pure but for the lines.

The key is the line's own `key`; where there is none it is made of the file's name and the line's content, so that
the same file sent again, after whatever went wrong, sends nothing twice. (Two equal lines are one e-mail.)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from mailapps.cli.exits import UsageError

LISTS: Final = frozenset({"to", "cc", "bcc", "reply_to", "tags"})
"""CSV columns that hold several values, with semicolons between."""

PLAIN: Final = frozenset({"from", "subject", "text", "html", "lane", "scheduled_at", "expires_at", "on_unknown"})
PAIRS: Final = ("metadata.", "headers.")
"""Beginnings of CSV columns for one pair each, such as `metadata.order`."""

_KEY_LENGTH: Final = 40


class Letter(Struct, frozen=True, kw_only=True):
    """One message of a file.

    Attributes:
        line: Where it begins, counted from 1.
        key: Its idempotency key.
        message: As the API takes it.
    """

    line: int
    key: str
    message: Mapping[str, Any]


class BadLine(Struct, frozen=True):
    """A line that is no message."""

    line: int
    problem: str


def letters_of(path: Path) -> Iterator[Letter | BadLine]:
    """Yield the messages of a file in order, read as they are wanted.

    Raises:
        UsageError: The file cannot be read, or is neither JSONL nor CSV.
    """
    readers = {".jsonl": from_jsonl, ".ndjson": from_jsonl, ".csv": from_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: expected a file .jsonl (an object on each line) or .csv (with a head line)")
    try:
        with path.open(encoding="utf-8-sig", newline="" if reader is from_csv else None) as lines:
            yield from reader(lines, path.name)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UsageError(f"{path}: {said}") from error


def from_jsonl(lines: Iterable[str], name: str) -> Iterator[Letter | BadLine]:
    """Yield a message for every line that is not empty."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            value = msgspec.json.decode(text, type=dict[str, Any])
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"is no object in JSON: {error}")
        else:
            yield _letter(number, value, name)


def from_csv(lines: Iterable[str], name: str) -> Iterator[Letter | BadLine]:
    """Yield a message for every record below the head.

    Raises:
        UsageError: The head names a column that means nothing here.
    """
    reader = csv.reader(lines, strict=True)
    try:
        head = [column.strip() for column in next(reader, list[str]())]
    except csv.Error as error:
        raise UsageError(f"{name}: its head is no CSV: {error}") from error
    if unknown := [column for column in head if not _means_something(column)]:
        columns = ", ".join(sorted({*LISTS, *PLAIN, "key"}))
        raise UsageError(
            f"{name}: no such column: {', '.join(unknown)[:80]}; there are: {columns}, metadata.*, headers.*"
        )
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            yield BadLine(line, f"is no CSV: {error}; the lines after it were not read")
            return
        if record is None:
            return
        yield from _of_record(line, head, record, name)


def _of_record(line: int, head: list[str], record: list[str], name: str) -> Iterator[Letter | BadLine]:
    """Yield the message of a record; nothing for an empty line."""
    if not any(record):
        return
    if len(record) != len(head):
        yield BadLine(line, f"has {len(record)} cells, the head has {len(head)}")
        return
    value: dict[str, Any] = {}
    for column, cell in zip(head, record, strict=True):
        if cell:
            _put(value, column, cell)
    yield _letter(line, value, name)


def _means_something(column: str) -> bool:
    """Whether a CSV column is one that a message has."""
    return column in LISTS | PLAIN | {"key"} or column.startswith(PAIRS)


def _put(value: dict[str, Any], column: str, cell: str) -> None:
    """Put a cell where the API expects it."""
    if column in LISTS:
        value[column] = [one.strip() for one in cell.split(";") if one.strip()]
    elif column.startswith(PAIRS):
        field, _, name = column.partition(".")
        value.setdefault(field, {})[name] = cell
    else:
        value[column] = cell


def _letter(line: int, value: dict[str, Any], name: str) -> Letter | BadLine:
    """Return a line's message under its key."""
    key = value.pop("key", None)
    if key is not None and not isinstance(key, str):
        return BadLine(line, "key: expected a text")
    return Letter(line=line, key=key or key_of(name, value), message=value)


def key_of(name: str, message: Mapping[str, Any]) -> str:
    """Return the key of a message that brings none: the same file and content always make the same key."""
    content = json.dumps([name, message], sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return f"file-{sha256(content).hexdigest()[:_KEY_LENGTH]}"
