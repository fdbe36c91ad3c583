"""docs/reference: the pages list exactly what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from mailadapters.configuration import duration
from mailadapters.providers.mailgun import MailgunSettings
from mailadapters.providers.sendgrid import SendGridSettings
from mailapps.cli.app import COMMANDS
from mailapps.cli.exits import Exit
from mailapps.cli.letters import COLUMNS
from mailapps.cli.options import Filters
from mailapps.cli.sending import Written
from mailapps.settings import Settings
from mailcore.discovery import Share

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
CONFIGURATION = (REFERENCE / "configuration.md").read_text()
COMMAND_LINE = (REFERENCE / "command-line.md").read_text()


def rows(title: str) -> list[list[str]]:
    """Return the cells of the first table below a title of the configuration's page."""
    section = CONFIGURATION.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def leaves(kind: type[Struct], at: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key of the settings with its field, those of tables below theirs."""
    for field in fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from leaves(field.type, f"{at}{field.encode_name}.")
        else:
            yield f"{at}{field.encode_name}", field


def said(value: str) -> object:
    """Return what a cell says that a default is."""
    if value == "none":
        return None
    text = value.strip("`")
    for read in (duration, msgspec.json.decode):
        with suppress(ValueError):
            return read(text)
    return text


def test_the_page_lists_every_key_with_its_default() -> None:
    """Whoever reads it knows all that can be set, and what holds if it is not."""
    listed = {key.strip("`"): said(default) for key, default, *_ in rows("Keys")[1:] if "NAME" not in key}

    real = {key: field.default for key, field in leaves(Settings) if key != "providers"}
    assert listed == real


def test_the_page_lists_every_key_of_a_provider() -> None:
    """Those that all kinds share, and each kind's own, required or with their default."""
    table = rows("Providers")
    shared = {
        key.strip("`"): said(default) for key, default, _ in (row for row in table if len(row) == 3) if key != "key"
    }
    own: dict[str, dict[str, Any]] = {}
    kind = ""
    for row in (row for row in table if len(row) == 4 and row[0] != "kind"):
        kind = row[0].strip("`") or kind
        own.setdefault(kind, {})[row[1].strip("`")] = NODEFAULT if row[2] == "required" else said(row[2])

    assert shared == {"kind": "required", **{field.name: field.default for field in fields(Share)}}
    assert own == {
        "sendgrid": {field.name: field.default for field in fields(SendGridSettings)},
        "mailgun": {field.name: field.default for field in fields(MailgunSettings)},
    }


def test_every_default_is_a_value_of_its_own_type() -> None:
    """The test above compares what is there: a duration is one, and not its text."""
    durations = {key for key, field in leaves(Settings) if isinstance(field.default, timedelta)}

    assert {"lease", "retry.cap", "lanes.bulk.give_up_after"} <= durations


def test_the_page_lists_every_command_option_and_exit_code() -> None:
    """Nothing can be typed that the page does not name."""
    commands = [name for group in COMMANDS.values() for name in group]
    flags = [
        *vars(Written()),
        *vars(Filters()),
        "from_file",
        "wait",
        "idempotency_key",
        "dry_run",
        "json",
        "url",
        "key",
    ]
    options = [f"--{name.strip('_').replace('_', '-')}" for name in flags]
    codes = [f"| {int(code)} |" for code in Exit]

    missing = [
        word for word in (*(f"`mailcore {name}" for name in commands), *options, *codes) if word not in COMMAND_LINE
    ]

    assert missing == []


def test_the_page_names_every_column_of_a_file() -> None:
    """A person who writes a CSV file finds the head line there."""
    section = COMMAND_LINE.partition("### send")[2]

    assert COLUMNS.lists | COLUMNS.plain <= set(re.findall(r"`([a-z_]+)`", section))
