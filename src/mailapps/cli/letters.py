"""Messages of a file, each with its line and its idempotency key. Pure but for the lines.

The key is the line's own `key`; where there is none it is made of the file's name and the line's content, so that
the same file sent again, after whatever went wrong, sends nothing twice. (Two equal lines are one e-mail.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from mailapps.cli.lines import BadLine, Columns, Line, lines_of

COLUMNS: Final = Columns(
    plain=frozenset({"from", "subject", "text", "html", "lane", "scheduled_at", "expires_at", "on_unknown", "key"}),
    lists=frozenset({"to", "cc", "bcc", "reply_to", "tags"}),
    pairs=("metadata.", "headers."),
)

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


def letters_of(path: Path) -> Iterator[Letter | BadLine]:
    """Yield the messages of a file in order, read as they are wanted.

    Raises:
        UsageError: The file cannot be read, or is neither JSONL nor CSV.
    """
    for one in lines_of(path, COLUMNS):
        yield one if isinstance(one, BadLine) else letter_of(one, path.name)


def letter_of(line: Line, name: str) -> Letter | BadLine:
    """Return a line's message under its key.

    Args:
        name: The file's.
    """
    message = {field: value for field, value in line.value.items() if field != "key"}
    key = line.value.get("key")
    if key is not None and not isinstance(key, str):
        return BadLine(line.number, "key: expected a text")
    return Letter(line=line.number, key=key or key_of(name, message), message=message)


def key_of(name: str, message: Mapping[str, Any]) -> str:
    """Return the key of a message that brings none: the same file and content always make the same key."""
    content = json.dumps([name, message], sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return f"file-{sha256(content).hexdigest()[:_KEY_LENGTH]}"
