"""Each row of the table of limits: n passes, n + 1 does not. And no check grows faster than its input."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from mailcore.errors import InvalidMessageError
from mailcore.message import LIMITS, Address, Attachment, Limits, Message
from mailcore.problems import ProblemCode
from mailcore.validation import checked, problems_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Message(from_="shop@a.test", to="ann@b.test", subject="s", text="t")
MANY = [f"p{at}@b.test" for at in range(60)]


def files(*sizes: int) -> dict[str, Any]:
    """Return the change of a message to one with files of these sizes."""
    return {"attachments": [Attachment(filename="a", content=b"x" * size) for size in sizes]}


def numbered(count: int, value: str = "x") -> dict[str, str]:
    """Return a mapping with so many members."""
    return {f"X-{at}": value for at in range(count)}


L = LIMITS
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], str, ProblemCode]] = {
    "subject_length": (
        {"subject": "é" * L.subject_length},
        {"subject": "é" * (L.subject_length + 1)},
        "/subject",
        ProblemCode.TOO_LONG,
    ),
    "body_bytes": (
        {"text": "é" * (L.body_bytes // 2), "html": "x" * L.body_bytes},
        {"text": "é" * (L.body_bytes // 2) + "x"},
        "/text",
        ProblemCode.TOO_LARGE,
    ),
    "body_bytes of the HTML": ({}, {"html": "x" * (L.body_bytes + 1)}, "/html", ProblemCode.TOO_LARGE),
    "recipients": (
        {"to": MANY[:20], "cc": MANY[20:40], "bcc": MANY[40 : L.recipients]},
        {"to": MANY[:20], "cc": MANY[20:40], "bcc": MANY[40 : L.recipients + 1]},
        "/bcc",
        ProblemCode.TOO_MANY,
    ),
    "recipients in one field": (
        {"to": MANY[: L.recipients]},
        {"to": MANY[: L.recipients + 1], "bcc": "a@b.test"},
        "/to",
        ProblemCode.TOO_MANY,
    ),
    "reply_to": (
        {"reply_to": MANY[: L.recipients]},
        {"reply_to": MANY[: L.recipients + 1]},
        "/reply_to",
        ProblemCode.TOO_MANY,
    ),
    "name_length": (
        {"to": Address("a@b.test", "n" * L.name_length)},
        {"to": Address("a@b.test", "n" * (L.name_length + 1))},
        "/to/name",
        ProblemCode.TOO_LONG,
    ),
    "attachments": (
        files(*[1] * L.attachments),
        files(*[1] * (L.attachments + 1)),
        "/attachments",
        ProblemCode.TOO_MANY,
    ),
    "attachment_bytes": (
        files(L.attachment_bytes - 1, 1),
        files(L.attachment_bytes, 1),
        "/attachments",
        ProblemCode.TOO_LARGE,
    ),
    "filename_length": (
        {"attachments": [Attachment(filename="n" * L.filename_length, content=b"x")]},
        {"attachments": [Attachment(filename="n" * (L.filename_length + 1), content=b"x")]},
        "/attachments/0/filename",
        ProblemCode.TOO_LONG,
    ),
    "headers": (
        {"headers": numbered(L.headers)},
        {"headers": numbered(L.headers + 1)},
        "/headers",
        ProblemCode.TOO_MANY,
    ),
    "header_length": (
        {"headers": {"X-A": "v" * L.header_length}},
        {"headers": {"X-A": "v" * (L.header_length + 1)}},
        "/headers/X-A",
        ProblemCode.TOO_LONG,
    ),
    "a header's name": (
        {"headers": {"X" * 76: "v"}},
        {"headers": {"X" * 77: "v"}},
        "/headers/" + "X" * 64,
        ProblemCode.INVALID_NAME,
    ),
    "tags": ({"tags": MANY[: L.tags]}, {"tags": MANY[: L.tags + 1]}, "/tags", ProblemCode.TOO_MANY),
    "tag_length": (
        {"tags": ["t" * L.tag_length]},
        {"tags": ["t" * (L.tag_length + 1)]},
        "/tags/0",
        ProblemCode.TOO_LONG,
    ),
    "metadata": (
        {"metadata": numbered(L.metadata)},
        {"metadata": numbered(L.metadata + 1)},
        "/metadata",
        ProblemCode.TOO_MANY,
    ),
    "metadata_key_length": (
        {"metadata": {"k" * L.metadata_key_length: ""}},
        {"metadata": {"k" * (L.metadata_key_length + 1): ""}},
        "/metadata/" + "k" * 64,
        ProblemCode.TOO_LONG,
    ),
    "metadata_length": (
        {"metadata": {"a": "v" * L.metadata_length}},
        {"metadata": {"a": "v" * (L.metadata_length + 1)}},
        "/metadata/a",
        ProblemCode.TOO_LONG,
    ),
    "schedule_ahead": (
        {"scheduled_at": NOW + L.schedule_ahead},
        {"scheduled_at": NOW + L.schedule_ahead + timedelta(microseconds=1)},
        "/scheduled_at",
        ProblemCode.OUT_OF_RANGE,
    ),
}
# Guarded where a body is read: both are about JSON, not about a message.
OF_THE_REQUEST = {"request_bytes", "json_depth"}


@pytest.mark.parametrize("row", ROWS)
def test_a_limit_lies_between_n_and_n_plus_1(row: str) -> None:
    """What is exactly as large as the table says is taken; one more is refused at its place."""
    largest, larger, pointer, code = ROWS[row]

    checked(replace(GOOD, **largest), now=NOW)

    with pytest.raises(InvalidMessageError) as caught:
        checked(replace(GOOD, **larger), now=NOW)
    assert [(one.pointer, one.code) for one in caught.value.problems] == [(pointer, code)]


def test_every_row_of_the_table_is_tested() -> None:
    """A limit that is added gets its n and n + 1."""
    assert set(Limits.__struct_fields__) - OF_THE_REQUEST <= set(ROWS)


def test_a_smaller_table_of_limits_is_obeyed() -> None:
    """An operator may allow less."""
    with pytest.raises(InvalidMessageError):
        checked(GOOD, now=NOW, limits=Limits(subject_length=0))


WORST = ('"{}"!', '"', "<", "=?", "(", "a.", "\\", "@", ";", "a<", "é", "a=", "ﷺ")


def calls_of(work: Callable[[], object]) -> int:
    """Return how many calls, of Python and of C, some work makes until it is done, or refuses a message."""
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    gc.disable()  # others have callbacks there, which are no work of ours
    sys.setprofile(counted)
    try:
        work()
    except InvalidMessageError:
        return count
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def calls_of_checking(text: str) -> int:
    """Return how many calls it takes to refuse a text in every field."""
    message = Message(
        from_=text,
        to=[text, Address(text, text)],
        subject=text,
        text=text,
        attachments=[Attachment(filename=text, content_type=text, content=b"x", content_id=text)],
        headers={text: text},
        tags=[text],
        metadata={text: text},
    )
    return calls_of(lambda: checked(message, now=NOW))


@pytest.mark.parametrize("piece", WORST)
def test_the_work_does_not_grow_with_a_text_that_is_too_long(piece: str) -> None:
    """A long text is refused by its length, before anything looks at its characters one by one."""
    size = 64 * 1024 // len(piece)
    calls_of_checking(piece)  # fills the caches of imports and patterns

    once, twice = calls_of_checking(piece * size), calls_of_checking(piece * size * 2)

    assert 0 < twice <= once
    assert once < 5_000


def test_sixty_thousand_recipients_are_counted_and_not_read() -> None:
    """A list that is too long costs one problem, not one parse each."""
    with pytest.raises(InvalidMessageError) as caught:
        checked(replace(GOOD, to=["x"] * 60_000), now=NOW)

    assert [one.code for one in caught.value.problems] == [ProblemCode.TOO_MANY]


MEMBERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "no addresses": lambda n: {"to": [[]] * n, "cc": [{}] * n},
    "one no address, the last": lambda n: {"to": ["a@b.test"] * n + [5]},
    "no files": lambda n: {"attachments": [{"filename": 1}] * n},
    "no texts": lambda n: {"tags": [1] * n, "metadata": dict.fromkeys(map(str, range(n)), 1)},
    "no fields": lambda n: dict.fromkeys(map(str, range(n)), 1),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_the_work_does_not_grow_with_members_that_are_of_no_use(kind: str) -> None:
    """Of a list of any length a hundred are looked at: nobody else is answered meanwhile."""
    body = MEMBERS[kind]
    problems_of(body(1), now=NOW)

    once, twice = (calls_of(partial(problems_of, body(n), now=NOW)) for n in (1_000, 2_000))

    assert 0 < twice <= once
    assert once < 200_000
