"""Whatever an author writes, what reaches a provider has the recipients, headers and parts asked for, and no others.

The message goes through the real adapters into the emulator, which reads the requests as the providers do: JSON for
SendGrid, a form of many parts for Mailgun. Nothing here is shared between the writer and the reader.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.adapters.providers.samples import HOSTILE
from tests.apps.emulator.test_our_adapters import through_mailgun, through_sendgrid

from mailadapters.providers import mailgun, sendgrid
from mailapps.emulator.wire import File, Letter, Mailbox
from mailcore.addresses import wire
from mailcore.errors import InvalidMessageError
from mailcore.message import Address, Attachment, Message, envelope
from mailcore.needs import needs
from mailcore.outcome import Accepted
from mailcore.provider import lacks
from mailcore.testing.strategies import hostile_messages, hostile_texts, lines, messages
from mailcore.validation import checked

PLAIN = {"from_": "shop@a.example", "to": "ann@b.example", "subject": "a", "text": "a"}
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
THROUGH = {"sendgrid": through_sendgrid, "mailgun": through_mailgun}
CAPABILITIES = {"sendgrid": sendgrid.CAPABILITIES, "mailgun": mailgun.CAPABILITIES}
TEXTS = st.one_of(hostile_texts(), lines(), HOSTILE)


@st.composite
def written(draw: st.DrawFn) -> Message:
    """Return what an author may write: a sound message, or one with any text in some fields; all in what was taken."""
    message = draw(st.one_of(messages(NOW), hostile_messages(), with_one_text()))
    try:
        return checked(message, now=NOW)
    except InvalidMessageError:
        reject()


@st.composite
def with_one_text(draw: st.DrawFn) -> Message:
    """Return a plain message with any text in one field; more of these are taken than of wilder ones."""
    text = draw(TEXTS)
    address = Address("eve@b.example", text)
    file = Attachment(filename="a.txt", content=b"x", content_id=None)
    changes: list[dict[str, object]] = [
        {"from_": address},
        *({field: (address,)} for field in ("to", "cc", "bcc", "reply_to")),
        {"subject": text},
        {"text": text},
        {"html": text},
        {"attachments": (replace(file, filename=text),)},
        {"attachments": (replace(file, content_type=f"text/plain; charset={text}"),)},
        {"html": "<p>", "attachments": (replace(file, content_id=text),)},
        {"attachments": (replace(file, content=text.encode("utf-8", "replace")),)},
        {"headers": {"X-A": text}},
        {"tags": (text,)},
        {"metadata": {"a": text}},
    ]
    return replace(Message(**PLAIN), **draw(st.sampled_from(changes)))


def mailboxes(addresses: tuple[Address, ...]) -> tuple[Mailbox, ...]:
    """Return addresses as they must arrive."""
    return tuple(Mailbox(wire(one), one.name) for one in addresses)


def name(file: Attachment, provider: str) -> str:
    """Return the name by which a file must arrive."""
    return file.content_id if provider == "mailgun" and file.content_id else file.filename


def asked_for(message: Message, provider: str) -> Letter:
    """Return the letter that a message asks for; with Mailgun an inline file is named by its content id alone."""
    files = message.attachments
    return Letter(
        from_=mailboxes((message.from_,))[0],
        to=mailboxes(message.to),
        cc=mailboxes(message.cc),
        bcc=mailboxes(message.bcc),
        reply_to=mailboxes(message.reply_to),
        subject=message.subject,
        text=message.text,
        html=message.html,
        headers=tuple(sorted(message.headers.items())),
        files=tuple(
            File(
                filename=name(one, provider),
                content_type=one.content_type,
                content=one.content,
                content_id=one.content_id,
            )
            for one in files
        ),
        tags=tuple(message.tags),
        metadata=tuple(sorted({**message.metadata, "mailcore_id": "em_1"}.items())),
    )


@pytest.mark.parametrize("provider", THROUGH)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=written())
def test_what_arrives_is_what_was_asked_for(provider: str, message: Message) -> None:
    """No text in any field adds a recipient, a header or a part, or takes one away, in either wire format."""
    if lacks(CAPABILITIES[provider], needs(message, envelope(message))):
        reject()  # the API would have refused it: this provider cannot carry it

    verdict, outcome = THROUGH[provider](message)

    assert isinstance(outcome, Accepted), verdict.answer
    assert verdict.letter is not None
    assert in_order(verdict.letter) == asked_for(message, provider)


@pytest.mark.parametrize("provider", THROUGH)
def test_a_recipient_that_was_added_would_be_seen(provider: str) -> None:
    """The comparison above is no rubber stamp."""
    verdict, _ = THROUGH[provider](checked(Message(**PLAIN, bcc="eve@evil.example"), now=NOW))

    assert verdict.letter is not None
    assert in_order(verdict.letter) != asked_for(checked(Message(**PLAIN), now=NOW), provider)


def in_order(letter: Letter) -> Letter:
    """Return a letter with its headers and metadata by name: their order is nobody's promise."""
    return replace(letter, headers=tuple(sorted(letter.headers)), metadata=tuple(sorted(letter.metadata)))
