"""Files of messages: what each line becomes, and under which key."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapps.cli import lines
from mailapps.cli.exits import UsageError
from mailapps.cli.letters import COLUMNS as KNOWN
from mailapps.cli.letters import Letter, key_of, letter_of, letters_of
from mailapps.cli.lines import BadLine, Line

WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0;\r\n"), min_size=1).filter(
    str.strip
)
COLUMNS = ("to", "subject", "text", "tags", "metadata.order")


def csv_of(*rows: list[str]) -> list[str]:
    """Return rows as the lines of a CSV file."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return list(io.StringIO(out.getvalue(), newline=""))


def from_jsonl(texts: Iterable[str], name: str) -> list[Letter | BadLine]:
    """Return the messages of lines of JSON."""
    return addressed(lines.from_jsonl(texts), name)


def from_csv(texts: Iterable[str], name: str) -> list[Letter | BadLine]:
    """Return the messages of a CSV file's lines."""
    return addressed(lines.from_csv(texts, name, KNOWN), name)


def addressed(found: Iterable[Line | BadLine], name: str) -> list[Letter | BadLine]:
    """Return what was read as messages under their keys."""
    return [letter_of(one, name) if isinstance(one, Line) else one for one in found]


@given(st.lists(st.dictionaries(st.sampled_from(("to", "subject", "text")), WORDS, min_size=1), max_size=5))
def test_every_line_of_jsonl_is_its_message(messages: list[dict[str, str]]) -> None:
    """What stands in braces is what the API gets, line by line."""
    texts = [json.dumps(message) for message in messages]

    found = from_jsonl(texts, "a.jsonl")

    assert [(one.line, one.message) for one in found if isinstance(one, Letter)] == list(enumerate(messages, 1))


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS), max_size=5))
def test_every_record_of_csv_is_its_message(records: list[tuple[str, ...]]) -> None:
    """Lists are cut at semicolons, pairs are gathered, and whatever a cell holds arrives whole."""
    found = from_csv(csv_of(list(COLUMNS), *map(list, records)), "a.csv")

    assert [one.message for one in found if isinstance(one, Letter)] == [
        {"to": [to.strip()], "subject": subject, "text": text, "tags": [tag.strip()], "metadata": {"order": order}}
        for to, subject, text, tag, order in records
    ]


def test_a_record_over_several_lines_is_named_by_its_first() -> None:
    """A person finds the line in their editor."""
    rows = csv_of(["to", "text"], ["a@b.example", "one\ntwo"], ["c@d.example", "three"], [""], ["e@f.example"])

    found = from_csv(rows, "a.csv")

    assert [one.line for one in found] == [2, 4, 6]
    assert found[-1] == BadLine(6, "has 1 cells, the head has 2")


@given(st.dictionaries(WORDS, WORDS), st.text())
def test_the_key_of_a_line_is_its_file_and_content_alone(message: dict[str, str], name: str) -> None:
    """The same file again, whatever the order of its fields, makes the same keys: nothing is sent twice."""
    again = dict(reversed(message.items()))

    assert key_of(name, message) == key_of(name, again)
    assert key_of(name, message) != key_of(f"{name}2", message)
    assert key_of(name, message) != key_of(name, {**message, "": "more"})
    assert key_of(name, message).isascii()
    assert len(key_of(name, message)) <= 255


def test_a_line_may_bring_its_own_key() -> None:
    """`key` names the submission, and is no part of the message."""
    (one,) = from_jsonl(['{"key": "welcome:7", "to": "a@b.example"}'], "a.jsonl")
    (two,) = from_csv(csv_of(["key", "to"], ["welcome:7", "a@b.example"]), "a.csv")

    assert one == Letter(line=1, key="welcome:7", message={"to": "a@b.example"})
    assert two == Letter(line=2, key="welcome:7", message={"to": ["a@b.example"]})


@pytest.mark.parametrize("text", ["nope", "[]", '"text"', "{", '{"key": 7}', "[" * 100_000])
def test_a_wrong_line_is_told_and_the_next_is_read(text: str) -> None:
    """One bad line stops nobody behind it."""
    found = from_jsonl([text, '{"to": "a@b.example"}'], "a.jsonl")

    assert [type(one) for one in found] == [BadLine, Letter]


def test_a_column_that_means_nothing_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """A misspelt head would drop a field from every message in silence."""
    path = tmp_path / "a.csv"
    path.write_text("to,subjcet\na@b.example,Hi\n")

    with pytest.raises(
        UsageError, match=r"a\.csv: no such column: subjcet; there are: bcc, cc, expires_at, from, html, key"
    ):
        list(letters_of(path))


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfto,subject\r\na@b.example,Hi\r\n")

    (letter,) = letters_of(path)

    assert letter == Letter(line=2, key=key_of("a.csv", {"to": ["a@b.example"], "subject": "Hi"}), message={
        "to": ["a@b.example"], "subject": "Hi",
    })  # fmt: skip


@pytest.mark.parametrize("content", [b"to\n\xff\xfe", b'to,"x\n', b"", b'to\n"a'])
def test_no_bytes_make_reading_crash(tmp_path: Path, content: bytes) -> None:
    """A broken file is told in words."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)

    with suppress(UsageError):
        assert all(isinstance(one, BadLine) for one in letters_of(path))
