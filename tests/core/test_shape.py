"""What is wrong with a message's shape, and what is wrong with the rest of it, told together."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta, Struct, convert
from tests.core.test_validation import GOOD, NOW

from mailcore.errors import InvalidMessageError
from mailcore.message import Message
from mailcore.problems import ProblemCode
from mailcore.shape import mended, shape_problems
from mailcore.validation import checked, problems_of

SOUND: dict[str, Any] = {
    "from": "Shop <no-reply@shop.test>",
    "to": ["a@b.test", {"email": "c@d.test", "name": "C"}],
    "cc": "e@f.test",
    "bcc": [],
    "reply_to": "g@h.test",
    "subject": "Hello",
    "text": "Hi",
    "html": "<p>Hi</p>",
    "attachments": [
        {"filename": "a.txt", "content": "aGk="},
        {"filename": "b.png", "content": "aGk=", "content_id": "b"},
    ],
    "headers": {"X-A": "a", "X-B": "b"},
    "tags": ["one", "two"],
    "metadata": {"order": "1", "shop": "2"},
    "lane": "bulk",
    "scheduled_at": "2026-01-01T08:00:00Z",
    "expires_at": "2099-01-01T08:00:00Z",
    "on_unknown": "hold",
}
"""A message without a fault, as JSON says it."""

FAULTS: dict[str, tuple[object, ProblemCode]] = {
    "/from": (5, ProblemCode.WRONG_TYPE),
    "/to/0": ("nobody", ProblemCode.INVALID_ADDRESS),
    "/to/1/email": ("nobody", ProblemCode.INVALID_ADDRESS),
    "/to/1/nome": ("C", ProblemCode.UNKNOWN_FIELD),
    "/cc": (True, ProblemCode.WRONG_TYPE),
    "/reply_to": ("", ProblemCode.REQUIRED),
    "/subject": ("a\nb", ProblemCode.CONTROL_CHARACTER),
    "/text": (["Hi"], ProblemCode.WRONG_TYPE),
    "/html": ("\x00", ProblemCode.CONTROL_CHARACTER),
    "/attachments/0/filename": ("../x", ProblemCode.INVALID_FILENAME),
    "/attachments/0/content": ("***", ProblemCode.INVALID_BASE64),
    "/attachments/1/content_id": ("<b>", ProblemCode.INVALID_CONTENT_ID),
    "/attachments/1/content_type": (7, ProblemCode.WRONG_TYPE),
    "/headers/X-A": (None, ProblemCode.WRONG_TYPE),
    "/headers/X-B": ("b\r\n", ProblemCode.CONTROL_CHARACTER),
    "/headers/To": ("x", ProblemCode.RESERVED_HEADER),
    "/tags/0": (1, ProblemCode.WRONG_TYPE),
    "/tags/1": ("", ProblemCode.REQUIRED),
    "/metadata/order": (42, ProblemCode.WRONG_TYPE),
    "/metadata/shop": ("\r", ProblemCode.CONTROL_CHARACTER),
    "/lane": ("fast", ProblemCode.INVALID_CHOICE),
    "/scheduled_at": ("2027-12-01T08:00:00", ProblemCode.NO_OFFSET),
    "/expires_at": ("1999-01-01T00:00:00Z", ProblemCode.OUT_OF_RANGE),
    "/on_unknown": ("never", ProblemCode.INVALID_CHOICE),
    "/colour": ("red", ProblemCode.UNKNOWN_FIELD),
}
"""Faults of shape and of content, each with the one problem that it makes, wherever it stands with others."""

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SOUND, "email", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def put(body: dict[str, Any], pointer: str, fault: object) -> None:
    """Put a fault where a pointer points."""
    *path, last = (int(step) if step.isdigit() else step for step in pointer.split("/")[1:])
    place: Any = body
    for step in path:
        place = place[step]
    place[last] = fault


@given(st.sets(st.sampled_from(sorted(FAULTS)), min_size=1))
@example(set(FAULTS) - {"/scheduled_at"})
def test_faults_of_shape_and_of_content_are_told_together(where: set[str]) -> None:
    """However faults stand together, each is told, once, and nothing else is."""
    body = deepcopy(SOUND)
    for pointer in where:
        put(body, pointer, FAULTS[pointer][0])

    found = [(one.pointer, one.code) for one in problems_of(body, now=NOW)]

    assert sorted(found) == sorted((pointer, FAULTS[pointer][1]) for pointer in where - hidden(where))


def hidden(where: set[str]) -> set[str]:
    """Return the faults that cannot be seen for another: of two times one must be readable before they are compared."""
    naive = where & {"/scheduled_at"} and where & {"/expires_at"}
    return {"/expires_at"} if naive else set()


@pytest.mark.parametrize("hide", [lambda body: body, lambda body: json.loads(json.dumps(body))])
def test_a_sound_message_has_no_problem(hide: Callable[[object], object]) -> None:
    """What the faults are planted in is without one."""
    assert problems_of(hide(SOUND), now=NOW) == []


@given(ANYTHING)
def test_whatever_json_says_is_mended_to_a_message(value: object) -> None:
    """What is mended can be read, or the rest could not be looked at."""
    convert(mended(value, Message), Message)

    assert problems_of(value, now=NOW)


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_what_is_no_object_is_one_problem(value: object) -> None:
    """A body that is no message at all is not told what a message lacks."""
    assert [(one.pointer, one.code) for one in problems_of(value, now=NOW)] == [("", ProblemCode.WRONG_TYPE)]


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_a_recipient_that_cannot_be_read_is_still_there(field: str) -> None:
    """Nobody is told that recipients are missing when one is only written wrongly."""
    body = {**SOUND, "to": [], "cc": [], "bcc": [], field: [5]}

    assert [one.pointer for one in problems_of(body, now=NOW)] == [f"/{field}/0"]


def test_a_body_that_cannot_be_read_is_still_there() -> None:
    """Nobody is told that both bodies are missing when one is only written wrongly."""
    body = {**SOUND, "text": None, "html": 5}

    assert [one.pointer for one in problems_of(body, now=NOW)] == ["/html"]


def test_a_message_made_by_hand_tells_everything_too() -> None:
    """A library's user hears as much as a caller of the API, bytes and times among it."""
    written: Any = {"tags": "receipt", "subject": "", "metadata": {5: "x"}, "attachments": [{"content": "x"}]}

    with pytest.raises(InvalidMessageError) as caught:
        checked(Message(from_=GOOD.from_, to=GOOD.to, text="Hi", **written), now=NOW)

    assert [(one.pointer, one.code) for one in caught.value.problems] == [
        ("/subject", ProblemCode.REQUIRED),
        ("/attachments/0/filename", ProblemCode.REQUIRED),
        ("/attachments/0/content", ProblemCode.WRONG_TYPE),
        ("/tags", ProblemCode.WRONG_TYPE),
        ("/metadata", ProblemCode.WRONG_TYPE),
    ]


def test_a_choice_of_words_is_told_the_words() -> None:
    """Whatever way an annotation lists its words, they are told."""
    found = list(shape_problems("x", Annotated[Literal["a", "b"] | None, Meta(description="A word.")]))

    assert [(one.code, one.detail) for one in found] == [(ProblemCode.INVALID_CHOICE, "must be one of a, b")]


def test_a_name_is_looked_at_whatever_its_value() -> None:
    """A header that may not be set is refused for its name, though its value is wrong as well."""
    found = problems_of({**SOUND, "headers": {"To": 5}}, now=NOW)

    assert [one.code for one in found] == [ProblemCode.WRONG_TYPE, ProblemCode.RESERVED_HEADER]


class Order(Struct):
    """A body with a field of each kind that has to be written."""

    paid: bool
    note: str
    lines: list[str]
    extra: dict[str, str]
    at: int | None


class File(Struct, forbid_unknown_fields=True):
    """A member of a list."""

    filename: str


class Files(Struct):
    """A body with a list of any length."""

    lines: tuple[File, ...]


def test_what_has_to_be_written_is_mended_by_what_says_nothing() -> None:
    """A body without its fields becomes one of its kind, so that the rest of it can be judged."""
    made = convert(mended({}, Order), Order)

    assert (made.paid, made.lines, made.extra, made.at) == (False, [], {}, None)


def test_a_field_behind_many_that_are_unknown_is_not_missed() -> None:
    """What is there is never told to be missing, however much stands before it."""
    body = dict.fromkeys((f"x{n}" for n in range(1_000)), 1) | SOUND

    told = {one.code for one in problems_of(body, now=NOW)}

    assert told == {ProblemCode.UNKNOWN_FIELD}


def test_a_wrong_member_behind_many_sound_ones_is_named() -> None:
    """Of a long list the first that is wrong is named, and what is wrong with the hundred from there on."""
    lines = [{"filename": "a"}] * 100_000 + [{"filename": 1, "note": "x"}, {"filename": 2}]

    found = [(one.pointer, one.code) for one in shape_problems({"lines": lines}, Files)]

    assert found == [
        ("/lines/100000/filename", ProblemCode.WRONG_TYPE),
        ("/lines/100000/note", ProblemCode.UNKNOWN_FIELD),
        ("/lines/100001/filename", ProblemCode.WRONG_TYPE),
    ]
