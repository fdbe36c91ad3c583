"""What a message may hold: a verdict for every field, all problems at once, and the normal form."""

from __future__ import annotations

import ast
from collections import UserList
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from mailcore import problems
from mailcore import validation as validation_module
from mailcore.errors import InvalidMessageError, Problem
from mailcore.message import LIMITS, Address, Attachment, Lane, Message
from mailcore.problems import ProblemCode
from mailcore.validation import checked

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Message(from_="shop@a.test", to="ann@b.test", subject="s", text="t")
FILE = Attachment(filename="a.pdf", content=b"x")


def found(message: Message) -> list[tuple[str, str]]:
    """Return where a message is wrong and why, in order."""
    try:
        checked(message, now=NOW)
    except InvalidMessageError as error:
        return [(one.pointer, one.code) for one in error.problems]
    return []


def file(**changes: object) -> dict[str, Any]:
    """Return the change of a message to one whose only attachment is this one."""
    return {"attachments": [replace(FILE, **changes)]}


FILENAME = "/attachments/0/filename"
TYPE = "/attachments/0/content_type"
WRONG: dict[str, tuple[dict[str, Any], str, ProblemCode]] = {
    "no from": ({"from_": None}, "/from", ProblemCode.REQUIRED),
    "from is no address": ({"from_": "shop"}, "/from", ProblemCode.INVALID_ADDRESS),
    "no recipient": ({"to": []}, "/to", ProblemCode.REQUIRED),
    "one recipient as text": ({"to": "ann"}, "/to", ProblemCode.INVALID_ADDRESS),
    "one recipient in a list": ({"to": ["a@b.test", "ann"]}, "/to/1", ProblemCode.INVALID_ADDRESS),
    "a recipient as a value": ({"cc": [Address("ann")]}, "/cc/0/email", ProblemCode.INVALID_ADDRESS),
    "a wrong bcc": ({"bcc": ["ann"]}, "/bcc/0", ProblemCode.INVALID_ADDRESS),
    "a wrong reply_to": ({"reply_to": ["ann"]}, "/reply_to/0", ProblemCode.INVALID_ADDRESS),
    "no subject": ({"subject": ""}, "/subject", ProblemCode.REQUIRED),
    "blank subject": ({"subject": "  "}, "/subject", ProblemCode.REQUIRED),
    "header in the subject": ({"subject": "a\r\nBcc: b"}, "/subject", ProblemCode.CONTROL_CHARACTER),
    "line separator in the subject": ({"subject": "a\u2028b"}, "/subject", ProblemCode.CONTROL_CHARACTER),
    "encoded subject": ({"subject": "=?utf-8?b?YQ==?="}, "/subject", ProblemCode.ENCODED_WORD),
    "half a character": ({"subject": "\ud83d"}, "/subject", ProblemCode.NOT_UNICODE),
    "no body": ({"text": None}, "/text", ProblemCode.REQUIRED),
    "empty bodies": ({"text": "", "html": ""}, "/text", ProblemCode.REQUIRED),
    "NUL in the text": ({"text": "a\0"}, "/text", ProblemCode.CONTROL_CHARACTER),
    "half a character in the HTML": ({"html": "\udfff"}, "/html", ProblemCode.NOT_UNICODE),
    "empty file": (file(content=b""), "/attachments/0/content", ProblemCode.REQUIRED),
    "no file name": (file(filename=""), FILENAME, ProblemCode.REQUIRED),
    "line break in the file name": (file(filename="a\r\nb"), FILENAME, ProblemCode.CONTROL_CHARACTER),
    "NUL in the file name": (file(filename="a\0.pdf"), FILENAME, ProblemCode.CONTROL_CHARACTER),
    "turned file name": (file(filename="a\u202efdp.exe"), FILENAME, ProblemCode.BIDI_OVERRIDE),
    "type is a word": (file(content_type="pdf"), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "type with a header": (file(content_type="a/b\r\nX: y"), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "type with a line break": (file(content_type="a/b\n"), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "type that holds parts": (file(content_type="Multipart/mixed"), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "parameter without value": (file(content_type="a/b; c"), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "header in a parameter": (file(content_type='a/b; c="\r\nX: y"'), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "type that is too long": (file(content_type="a/" + "b" * 126), TYPE, ProblemCode.INVALID_CONTENT_TYPE),
    "content_id in brackets": (
        file(content_id="<a>"),
        "/attachments/0/content_id",
        ProblemCode.INVALID_CONTENT_ID,
    ),
    "empty content_id": (file(content_id=""), "/attachments/0/content_id", ProblemCode.INVALID_CONTENT_ID),
    "content_id with a break": (file(content_id="a\n"), "/attachments/0/content_id", ProblemCode.INVALID_CONTENT_ID),
    "repeated content_id": (
        {"attachments": [FILE, replace(FILE, content_id="a"), replace(FILE, content_id="a")]},
        "/attachments/2/content_id",
        ProblemCode.DUPLICATE,
    ),
    "header without name": ({"headers": {"": "a"}}, "/headers/", ProblemCode.INVALID_NAME),
    "colon in a header's name": ({"headers": {"X:A": "a"}}, "/headers/X:A", ProblemCode.INVALID_NAME),
    "space in a header's name": ({"headers": {"X A": "a"}}, "/headers/X A", ProblemCode.INVALID_NAME),
    "header in a header's name": (
        {"headers": {"X-A: b\nBcc": "a"}},
        "/headers/X-A: b?Bcc",
        ProblemCode.INVALID_NAME,
    ),
    "break after a header's name": ({"headers": {"X-A\n": "a"}}, "/headers/X-A?", ProblemCode.INVALID_NAME),
    "slash and tilde": ({"headers": {"X/~é": "a"}}, "/headers/X~1~0é", ProblemCode.INVALID_NAME),
    "half a character in a header's name": (
        {"headers": {"X\ud800": "a"}},
        "/headers/X?",
        ProblemCode.INVALID_NAME,
    ),
    "header in a header's value": (
        {"headers": {"X-A": "a\r\nBcc: b"}},
        "/headers/X-A",
        ProblemCode.CONTROL_CHARACTER,
    ),
    "header without value": ({"headers": {"X-A": " "}}, "/headers/X-A", ProblemCode.REQUIRED),
    "encoded header": ({"headers": {"X-A": "=?a?q?=0A?="}}, "/headers/X-A", ProblemCode.ENCODED_WORD),
    "one header twice": ({"headers": {"X-A": "a", "x-a": "b"}}, "/headers/x-a", ProblemCode.DUPLICATE),
    "empty tag": ({"tags": ["a", ""]}, "/tags/1", ProblemCode.REQUIRED),
    "break in a tag": ({"tags": ["a\nb"]}, "/tags/0", ProblemCode.CONTROL_CHARACTER),
    "one tag twice": ({"tags": ["a", "b", "a"]}, "/tags/2", ProblemCode.DUPLICATE),
    "empty metadata key": ({"metadata": {"": "a"}}, "/metadata/", ProblemCode.INVALID_NAME),
    "operator as a key": ({"metadata": {"$ne": "a"}}, "/metadata/$ne", ProblemCode.INVALID_NAME),
    "path as a key": ({"metadata": {"a.b": "a"}}, "/metadata/a.b", ProblemCode.INVALID_NAME),
    "NUL in a key": ({"metadata": {"a\0": "a"}}, "/metadata/a?", ProblemCode.CONTROL_CHARACTER),
    "our own key": ({"metadata": {"mailcore_id": "em_1"}}, "/metadata/mailcore_id", ProblemCode.RESERVED_KEY),
    "our own key in another case": (
        {"metadata": {"Mailcore_ID": "1"}},
        "/metadata/Mailcore_ID",
        ProblemCode.RESERVED_KEY,
    ),
    "break in a metadata value": ({"metadata": {"a": "b\n"}}, "/metadata/a", ProblemCode.CONTROL_CHARACTER),
    "schedule without offset": (
        {"scheduled_at": datetime(2026, 2, 1)},  # noqa: DTZ001  the mistake under test
        "/scheduled_at",
        ProblemCode.NO_OFFSET,
    ),
    "expiry without offset": (
        {"expires_at": datetime(2026, 2, 1)},  # noqa: DTZ001  the mistake under test
        "/expires_at",
        ProblemCode.NO_OFFSET,
    ),
    "expired already": ({"expires_at": NOW}, "/expires_at", ProblemCode.OUT_OF_RANGE),
    "expires before it is due": (
        {"scheduled_at": NOW + timedelta(hours=1), "expires_at": NOW + timedelta(hours=1)},
        "/expires_at",
        ProblemCode.OUT_OF_RANGE,
    ),
    "schedule past the calendar": (
        {"scheduled_at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))},
        "/scheduled_at",
        ProblemCode.OUT_OF_RANGE,
    ),
    "expiry before the calendar": (
        {"expires_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},
        "/expires_at",
        ProblemCode.OUT_OF_RANGE,
    ),
    "tags as one text": ({"tags": "receipt"}, "/tags", ProblemCode.WRONG_TYPE),
    "a number as a recipient": ({"to": ["a@b.test", 5]}, "/to/1", ProblemCode.WRONG_TYPE),
    "text as content": (file(content="x"), "/attachments/0/content", ProblemCode.WRONG_TYPE),
    "unknown lane": ({"lane": "x" * 1000}, "/lane", ProblemCode.INVALID_CHOICE),
}


@pytest.mark.parametrize(("change", "pointer", "code"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_pointed_to(change: dict[str, Any], pointer: str, code: ProblemCode) -> None:
    """One mistake in a message is one problem, at its place and with its code."""
    assert found(replace(GOOD, **change)) == [(pointer, code)]


@pytest.mark.parametrize("bodies", [{"text": None}, {"text": ""}, {"text": "", "html": ""}])
def test_a_message_without_a_body_is_told_what_it_may_have(bodies: dict[str, str | None]) -> None:
    """An empty body is no body, and the problem names both fields that could be one."""
    with pytest.raises(InvalidMessageError) as caught:
        checked(replace(GOOD, **bodies), now=NOW)

    (wrong,) = caught.value.problems
    assert wrong == Problem("/text", ProblemCode.REQUIRED, "a message needs a body: write text or html, or both")


def test_every_code_has_a_message_that_earns_it() -> None:
    """A code that nothing yields would be a promise without a rule; two are guarded where they arise."""
    elsewhere = {ProblemCode.INVALID_KEY, ProblemCode.TOO_LONG, ProblemCode.TOO_LARGE, ProblemCode.TOO_MANY}
    elsewhere |= {ProblemCode.UNKNOWN_FIELD, ProblemCode.INVALID_BASE64, ProblemCode.INVALID_TIME}  # test_shape.py
    elsewhere |= {ProblemCode.MIXED_SCRIPTS, ProblemCode.INVALID_FILENAME, ProblemCode.RESERVED_HEADER}
    elsewhere |= {ProblemCode.SUPPRESSED}  # test_suppression.py

    assert {code for _, _, code in WRONG.values()} | elsewhere == set(ProblemCode)


def test_every_code_is_documented() -> None:
    """The list of codes is part of the API: each stands with a sentence that says what it means."""
    tree = ast.parse(Path(problems.__file__).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ProblemCode")

    documented = [
        first.targets[0].id
        for first, second in pairwise(body)
        if isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Name) and isinstance(second, ast.Expr)
    ]

    assert documented == [code.name for code in ProblemCode]


def test_all_problems_are_told_at_once_in_the_order_of_the_fields() -> None:
    """An author mends a message in one go."""
    message = Message(
        to=["ann", "a@b.test", "bob"],
        reply_to="x",
        subject="a\n",
        attachments=[Attachment(filename="", content=b"", content_type="x", content_id=" ")],
        headers={"To": "\n"},
        metadata={"$a": "\n"},
        expires_at=NOW,
    )

    assert [pointer for pointer, _ in found(message)] == [
        "/from",
        "/to/0",
        "/to/2",
        "/reply_to",
        "/subject",
        "/text",
        "/attachments/0/filename",
        "/attachments/0/content_type",
        "/attachments/0/content",
        "/attachments/0/content_id",
        "/headers/To",
        "/headers/To",
        "/metadata/$a",
        "/metadata/$a",
        "/expires_at",
    ]


TRAVERSALS = [
    *("../passwd", "..\\passwd", "a/b", "a\\b", "/etc/passwd", "C:\\a", "C:a", "\\\\host\\share", "//host/share"),
    *("%2e%2e%2fpasswd", "a%2Fb", "a%5cb", "a%00.pdf", "..", ".", ".htaccess", "\uff0e\uff0e\uff0fpasswd", "a\uff0fb"),
    *("a%22.pdf", "%0D", "a%0ab", "a%0Ab", "a%0db"),
    *("con", "CON.txt", "nul", "aux.c", "prn", "Com1", "lpt9.log", "com¹", "a.", "a ", " a"),
]


@pytest.mark.parametrize("filename", TRAVERSALS)
def test_a_file_name_that_leads_elsewhere_is_refused(filename: str) -> None:
    """A file name is a name: no path, hidden file or device, in any spelling."""
    assert found(replace(GOOD, **file(filename=filename))) == [(FILENAME, ProblemCode.INVALID_FILENAME)]


@pytest.mark.parametrize(
    "filename", ["a.pdf", "Rechnung März.pdf", "日本.txt", "console.txt", "a%20b.txt", "50%.txt", 'a"b.txt']
)
def test_a_plain_file_name_is_taken_as_it_is(filename: str) -> None:
    """Nothing is mended behind the author's back, and nothing plain is refused."""
    message = checked(replace(GOOD, **file(filename=filename)), now=NOW)

    assert message.attachments[0].filename == filename


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/calendar; method=REQUEST", 'text/plain;charset="utf 8"', "image/svg+xml"]
)
def test_a_media_type_may_have_parameters(kind: str) -> None:
    """A calendar invitation needs its method."""
    assert found(replace(GOOD, **file(content_type=kind))) == []


RESERVED = [
    *("From", "sender", "Reply-To", "TO", "cc", "Bcc", "Subject", "date", "Message-ID", "MIME-Version"),
    *("Return-Path", "received", "DKIM-Signature", "ARC-Seal", "arc-x", "Content-Type", "content-foo", "Resent-To"),
]


@pytest.mark.parametrize("name", RESERVED)
def test_a_header_that_a_field_sets_is_refused(name: str) -> None:
    """A second To or Content-Type would address or read the message another way than its fields say."""
    assert found(replace(GOOD, headers={name: "a"})) == [(f"/headers/{name}", ProblemCode.RESERVED_HEADER)]


@pytest.mark.parametrize("name", ["X-Order", "List-Unsubscribe", "In-Reply-To", "References", "Contention", "Tor"])
def test_any_other_header_is_taken(name: str) -> None:
    """What mailcore does not set, an author may."""
    assert checked(replace(GOOD, headers={name: " a "}), now=NOW).headers == {name: "a"}


def test_the_default_from_stands_in_only_for_a_from_that_was_not_written() -> None:
    """`from` falls back to the engine's default; what was written wins."""
    shop = Address("default@a.test", "Shop")

    assert checked(replace(GOOD, from_=None), now=NOW, default_from=shop).from_ == shop
    assert checked(GOOD, now=NOW, default_from=shop).from_ == Address("shop@a.test")
    with pytest.raises(InvalidMessageError):
        checked(replace(GOOD, from_=""), now=NOW, default_from=shop)


def test_one_recipient_in_any_field_is_enough() -> None:
    """A message may go to a bcc alone."""
    message = checked(replace(GOOD, to=[], bcc="ann@b.test"), now=NOW)

    assert (message.to, message.bcc) == ((), (Address("ann@b.test"),))


def test_one_mailbox_gets_a_message_once() -> None:
    """A repeat is dropped, to before cc before bcc, whatever its case; who is answered to counts apart."""
    ann = Address("ann@b.test", "Ann")

    message = checked(
        replace(GOOD, to=[ann], cc="ANN@b.test", bcc=["ann@B.test", "bob@b.test"], reply_to=[ann, ann]),
        now=NOW,
    )

    assert (message.to, message.cc, message.bcc) == ((ann,), (), (Address("bob@b.test"),))
    assert message.reply_to == (ann,)


def test_an_empty_body_is_none() -> None:
    """SendGrid refuses an empty part, so there is none."""
    html = checked(replace(GOOD, text="", html="<p>"), now=NOW)
    text = checked(replace(GOOD, text="t", html=""), now=NOW)

    assert (html.text, html.html) == (None, "<p>")
    assert (text.text, text.html) == ("t", None)


def test_a_body_keeps_its_line_breaks_and_tabs() -> None:
    """A body is no header: what a text file may hold, it may hold."""
    assert checked(replace(GOOD, text="a\r\n\tb\u2028"), now=NOW).text == "a\r\n\tb\u2028"


def test_times_are_in_utc_and_whole_milliseconds() -> None:
    """What is scheduled is rounded up, so never early; what expires is cut, so never late."""
    at = datetime(2026, 2, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))

    message = checked(replace(GOOD, scheduled_at=at, expires_at=at + timedelta(seconds=1)), now=NOW)

    assert message.scheduled_at == datetime(2026, 2, 1, 10, 0, 0, 1000, tzinfo=UTC)
    assert message.expires_at == datetime(2026, 2, 1, 10, 0, 1, 0, tzinfo=UTC)
    assert message.scheduled_at.tzinfo is UTC


def test_an_expiry_is_compared_as_it_is_kept() -> None:
    """Cut to whole milliseconds it must still be to come, and after the time to send, which is rounded up."""
    micro, milli = timedelta(microseconds=1), timedelta(milliseconds=1)
    late, hour = "/expires_at", timedelta(hours=1)

    assert found(replace(GOOD, expires_at=NOW + micro)) == [(late, ProblemCode.OUT_OF_RANGE)]
    assert found(replace(GOOD, expires_at=NOW + milli)) == []
    assert found(replace(GOOD, scheduled_at=NOW + hour + micro, expires_at=NOW + hour + milli)) == [
        (late, ProblemCode.OUT_OF_RANGE)
    ]
    assert found(replace(GOOD, scheduled_at=NOW + hour, expires_at=NOW + hour + milli)) == []


def test_a_time_of_many_milliseconds_is_cut_by_its_microseconds_alone() -> None:
    """Nothing else is lost on the way to whole milliseconds."""
    at = NOW + timedelta(hours=1, microseconds=999_999)

    assert checked(replace(GOOD, expires_at=at), now=NOW).expires_at == NOW + timedelta(hours=1, milliseconds=999)


def test_a_header_loses_no_other_space_and_no_letter() -> None:
    """Only the blanks around a value are nobody's."""
    value = "\u00a0XaX\u00a0"

    assert checked(replace(GOOD, headers={"X-A": f" {value} "}), now=NOW).headers == {"X-A": value}


def test_every_address_is_held_to_the_limits_given() -> None:
    """A tighter table of limits holds in each field that has names."""
    named = Address("a@b.test", "Ann")
    message = replace(GOOD, from_=named, to=named, cc=[named], reply_to=named)
    with pytest.raises(InvalidMessageError) as told:
        checked(message, now=NOW, limits=replace(LIMITS, name_length=2))

    assert [one.pointer for one in told.value.problems] == [
        "/from/name",
        "/to/name",
        "/cc/0/name",
        "/reply_to/name",
    ]


def test_what_is_misshapen_is_judged_by_the_same_defaults_and_limits() -> None:
    """A wrong type in one field changes nothing for the others."""
    tight = replace(LIMITS, subject_length=2)
    strange: Any = replace(GOOD, from_=None, subject="too long", tags="receipt", expires_at=NOW)
    with pytest.raises(InvalidMessageError) as told:
        checked(strange, now=NOW, default_from=Address("shop@a.test"), limits=tight)

    assert [one.pointer for one in told.value.problems] == ["/subject", "/tags", "/expires_at"]


DETAILS = {
    "a from is required: no default_from is configured": {"from_": None},
    "one of to, cc and bcc must name a recipient": {"to": []},
    "a time needs its offset from UTC, such as Z or +01:00": {"expires_at": datetime(2027, 1, 1)},  # noqa: DTZ001
    "must be in the future": {"expires_at": NOW},
    "must be after scheduled_at": {"scheduled_at": NOW + timedelta(hours=2), "expires_at": NOW + timedelta(hours=1)},
    "an address is required": {"to": ""},
    "the domain must have a dot": {"to": "ann@test"},
    "before the at sign stands a special character": {"to": "a\uff20b@example.com"},
    "the domain mixes letters that look alike": {"to": "ann@p\u0430ypal.example"},
}


@pytest.mark.parametrize(("detail", "change"), DETAILS.items(), ids=DETAILS)
def test_a_detail_says_what_to_do(detail: str, change: dict[str, Any]) -> None:
    """The words that a caller reads are kept: they are shown to people."""
    with pytest.raises(InvalidMessageError) as told:
        checked(replace(GOOD, **change), now=NOW)

    assert [one.detail for one in told.value.problems] == [detail]


def test_a_schedule_in_the_past_means_now() -> None:
    """A clock that runs behind must not lose a message."""
    long_ago = NOW - timedelta(days=4000)

    assert checked(replace(GOOD, scheduled_at=long_ago), now=NOW).scheduled_at == long_ago


def test_the_caller_keeps_no_hold_on_a_checked_message() -> None:
    """A list or mapping that its author changes later changes no message."""
    headers, tags = {"X-A": "a"}, ["a"]
    message = checked(replace(GOOD, headers=MappingProxyType(headers), tags=tags), now=NOW)

    headers["X-A"] = "b\r\n"
    tags.append("b")

    assert (message.headers, message.tags) == ({"X-A": "a"}, ("a",))


def test_a_sequence_of_any_kind_is_a_list() -> None:
    """Public arguments take the widest type."""
    message = checked(replace(GOOD, to=UserList(["a@b.test", "c@d.test"])), now=NOW)

    assert message.to == (Address("a@b.test"), Address("c@d.test"))


def test_a_lane_written_as_its_word_is_the_lane() -> None:
    """A library's user may write what JSON would say."""
    wordy: Any = "urgent"

    assert checked(replace(GOOD, lane=wordy), now=NOW).lane is Lane.URGENT


def test_bytes_in_another_guise_are_bytes() -> None:
    """A file read into a buffer is its bytes."""
    assert checked(replace(GOOD, **file(content=bytearray(b"hi"))), now=NOW).attachments[0].content == b"hi"


def test_a_value_that_no_message_holds_is_a_type_error() -> None:
    """A generator can be read once only: that is a mistake in code, not in a message."""
    with pytest.raises(TypeError, match="generator"):
        checked(replace(GOOD, to=(one for one in ["a@b.test"])), now=NOW)


def test_a_detail_repeats_little_of_what_was_written() -> None:
    """What goes into logs and answers is short, whatever came in."""
    hostile: Any = {"lane": "x" * 10_000}
    with pytest.raises(InvalidMessageError) as caught:
        checked(replace(GOOD, **hostile), now=NOW)

    assert len(caught.value.problems[0].detail) <= 80
    assert len(problems.problem("/a", ProblemCode.REQUIRED, "x" * 1000).detail) == problems.DETAIL_LENGTH


def test_no_long_author_is_remembered() -> None:
    """Authors recur and are remembered once read; what is sent at length to be refused is not kept."""
    before = validation_module._author.cache_info().currsize

    for n in range(10):
        with pytest.raises(InvalidMessageError):
            checked(Message(from_=f"{n}" + "x" * 100_000, to="ann@a.test", subject="Hi", text="Hi"), now=NOW)

    assert validation_module._author.cache_info().currsize == before
