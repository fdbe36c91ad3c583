"""For any text in any field: refused, or carried through a naive writer and back without a change."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_string
from email.utils import getaddresses

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.addresses import formatted, mailbox, wire
from mailcore.errors import InvalidMessageError, Problem
from mailcore.message import Address, Attachment, Message, envelope
from mailcore.needs import needs
from mailcore.problems import DETAIL_LENGTH, ProblemCode
from mailcore.provider import Feature
from mailcore.testing.strategies import hostile_messages, messages
from mailcore.validation import checked

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def verdict(message: Message) -> Message | tuple[Problem, ...]:
    """Return the checked message, or everything that is wrong with it."""
    try:
        return checked(message, now=NOW)
    except InvalidMessageError as error:
        return error.problems


def lines_of(message: Message) -> list[str]:
    """Return every text of a message that stands in one line somewhere on its way."""
    who = envelope(message)
    people = (who.sender, *who.recipients, *who.reply_to)
    files = message.attachments
    return [
        message.subject,
        *(text for one in people for text in (one.email, one.name)),
        *(text for one in files for text in (one.filename, one.content_type, one.content_id or "")),
        *(text for pair in message.headers.items() for text in pair),
        *(text for pair in message.metadata.items() for text in pair),
        *message.tags,
    ]


def naively(message: Message) -> str:
    """Return the headers as the most careless of providers would write them: joined, nothing escaped."""
    who = envelope(message)
    fields = {"to": who.to, "cc": who.cc, "bcc": who.bcc, "reply-to": who.reply_to}
    lines = [
        f"from: {formatted(who.sender)}",
        *(f"{name}: {', '.join(map(formatted, people))}" for name, people in fields.items() if people),
        f"subject: {message.subject}",
        *(f"{name}: {value}" for name, value in message.headers.items()),
    ]
    return "\r\n".join([*lines, "", "body"])


@given(messages(NOW))
def test_a_valid_message_is_taken_and_checking_it_again_changes_nothing(message: Message) -> None:
    """The normal form is one: `checked` is idempotent."""
    once = checked(message, now=NOW)

    assert checked(once, now=NOW) == once


@given(hostile_messages())
def test_no_control_character_gets_into_a_line(message: Message) -> None:
    """For any text in any field: problems, or no header-bound text that holds a control character."""
    found = verdict(message)

    if isinstance(found, Message):
        assert not any(CONTROL.search(line) for line in lines_of(found))
        assert checked(found, now=NOW) == found
    else:
        assert found
        assert not any(CONTROL.search(f"{one.pointer}{one.detail}") for one in found)
        assert all(one.code in set(ProblemCode) and len(one.detail) <= DETAIL_LENGTH for one in found)


@given(st.one_of(hostile_messages(), messages(NOW)))
def test_a_careless_writer_still_writes_exactly_what_was_asked_for(message: Message) -> None:
    """Read back, the message has the recipients and headers that were written, none more and none less."""
    found = verdict(message)
    assume(isinstance(found, Message))
    assert isinstance(found, Message)
    who = envelope(found)
    fields = {"from": (who.sender,), "to": who.to, "cc": who.cc, "bcc": who.bcc, "reply-to": who.reply_to}
    asked = {name: [wire(one) for one in people] for name, people in fields.items() if people}

    read = message_from_string(naively(found))

    assert [name for name, _ in read.items()] == [*asked, "subject", *found.headers]
    assert {name: [email for _, email in getaddresses([read[name]])] for name in asked} == asked


@given(messages(NOW))
def test_everybody_written_is_a_recipient_once(message: Message) -> None:
    """Dropping repeats drops no mailbox, and leaves none twice."""
    found = envelope(checked(message, now=NOW)).recipients
    alone = [
        one
        for field in ("to", "cc", "bcc")
        if getattr(message, field)
        for one in envelope(checked(replace(message, to=getattr(message, field), cc=(), bcc=()), now=NOW)).to
    ]

    boxes = [mailbox(one) for one in found]
    assert len(set(boxes)) == len(boxes)
    assert set(boxes) == {mailbox(one) for one in alone}


def test_needs_of_the_plainest_message() -> None:
    """One text to one person needs nothing that a provider could lack."""
    plain = checked(Message(from_="S <s@A.test>", to="a@b.test", subject="s", html="é", text="x"), now=NOW)

    found = needs(plain, envelope(plain))

    assert (found.bytes, found.recipients, found.sender_domain) == (3, 1, "a.test")
    assert (found.features, found.headers, found.metadata_bytes) == (frozenset(), frozenset(), 0)


def test_needs_of_a_message_with_everything() -> None:
    """Each feature is told by the part of a message that takes it."""
    message = Message(
        from_=Address("s@a.test"),
        bcc=(Address("jörg@b.test"), Address("a@b.test")),
        reply_to=(Address("a@b.test"), Address("c@b.test")),
        subject="s",
        text="12345",
        attachments=(
            Attachment(filename="é", content=b"123"),
            Attachment(filename="a", content=b"12", content_id="a"),
        ),
        headers={"X-Order": "1", "List-Id": "2"},
        tags=("é", "b"),
        metadata={"é": "12"},
    )

    found = needs(message, envelope(message))

    assert found.features == frozenset(Feature)
    assert (found.bytes, found.recipients, found.metadata_bytes) == (10, 2, 4)
    assert found.headers == {"x-order", "list-id"}


def test_each_need_comes_alone() -> None:
    """No feature is asked for on account of another, but the plural by the singular."""
    plain = Message(from_=Address("s@a.test"), to=(Address("a@b.test"),), subject="s", html="h")
    one, two = Address("c@b.test"), Address("jörg@b.test")
    file = Attachment(filename="a", content=b"x")
    cases = {
        frozenset({Feature.ATTACHMENTS}): replace(plain, attachments=(file,)),
        frozenset({Feature.INLINE}): replace(plain, attachments=(replace(file, content_id="a"),)),
        frozenset({Feature.ATTACHMENTS, Feature.UNICODE_FILENAME}): replace(
            plain,
            attachments=(replace(file, filename="é"),),
        ),
        frozenset({Feature.TAGS}): replace(plain, tags=("a",)),
        frozenset({Feature.TAGS, Feature.MANY_TAGS}): replace(plain, tags=("a", "b")),
        frozenset({Feature.TAGS, Feature.UNICODE_TAGS}): replace(plain, tags=("é",)),
        frozenset({Feature.HEADERS}): replace(plain, headers={"X-A": "a"}),
        frozenset({Feature.METADATA}): replace(plain, metadata={"a": "b"}),
        frozenset({Feature.REPLY_TO}): replace(plain, reply_to=(one,)),
        frozenset({Feature.REPLY_TO, Feature.UNICODE_LOCAL}): replace(plain, reply_to=(two,)),
        frozenset({Feature.UNICODE_LOCAL}): replace(plain, from_=two),
        frozenset({Feature.WITHOUT_TO}): replace(plain, to=(), cc=(one,)),
        frozenset({Feature.TEXT_ONLY}): replace(plain, text="t", html=None),
    }

    assert {needs(message, envelope(message)).features: message for message in cases.values()} == cases
