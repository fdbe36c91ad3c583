"""The structs of a message: decoded straight from JSON, strict, and honest about being unchecked."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from mailcore.message import Address, Attachment, Lane, Message, OnUnknown, envelope

FULL = b"""{
  "from": "Shop <no-reply@shop.example>", "to": ["Ann <ann@example.com>", {"email": "bob@example.com", "name": "Bob"}],
  "cc": "cara@example.com", "bcc": {"email": "dan@example.com"}, "reply_to": [],
  "subject": "Your receipt", "text": "T", "html": "<p>H</p>",
  "attachments": [{"filename": "a.pdf", "content_type": "application/pdf", "content": "aGk=", "content_id": null}],
  "headers": {"X-Order": "42"}, "tags": ["receipt"], "metadata": {"order": "42"}, "lane": "urgent",
  "scheduled_at": "2026-12-01T08:00:00Z", "expires_at": null, "on_unknown": "hold"}"""


def test_a_message_is_decoded_from_json_in_one_step() -> None:
    """The API decodes a body straight into a Message: every form of an address, base64, names and times."""
    message = msgspec.json.decode(FULL, type=Message)

    assert message == Message(
        from_="Shop <no-reply@shop.example>",
        to=["Ann <ann@example.com>", Address("bob@example.com", "Bob")],
        cc="cara@example.com",
        bcc=Address("dan@example.com"),
        reply_to=[],
        subject="Your receipt",
        text="T",
        html="<p>H</p>",
        attachments=[Attachment(filename="a.pdf", content_type="application/pdf", content=b"hi")],
        headers={"X-Order": "42"},
        tags=["receipt"],
        metadata={"order": "42"},
        lane=Lane.URGENT,
        scheduled_at=datetime(2026, 12, 1, 8, tzinfo=UTC),
        on_unknown=OnUnknown.HOLD,
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"subjekt": "x"}',
        b'{"from_": "a@b.test"}',
        b'{"to": {"email": "a@b.test", "nmae": "A"}}',
        b'{"attachments": [{"filename": "a", "content": "aGk=", "path": "/etc/passwd"}]}',
        b'{"attachments": [{"filename": "a", "content": "no base64!"}]}',
        b'{"subject": {"$ne": ""}}',
        b'{"to": [{"$gt": ""}]}',
        b'{"metadata": {"a": {"$ne": ""}}}',
        b'{"headers": {"X-A": ["b"]}}',
        b'{"tags": "receipt"}',
        b'{"lane": "express"}',
        b'{"scheduled_at": 1}',
        b'{"scheduled_at": "tomorrow"}',
        b'{"subject": "\\ud800"}',
        b'{"subject": NaN}',
    ],
    ids=lambda body: body.decode()[:40],
)
def test_json_of_another_shape_is_refused(body: bytes) -> None:
    """No unknown key, no query operator and no other type gets in where a text is expected."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=Message)


def test_a_message_is_encoded_by_its_names_in_json() -> None:
    """What is stored or shown is what was posted: `from`, not `from_`, and base64."""
    attachment = Attachment(filename="a", content=b"hi")

    plain = msgspec.json.decode(msgspec.json.encode(Message(from_="a@b.test", attachments=[attachment])))

    assert plain["from"] == "a@b.test"
    assert plain["attachments"][0]["content"] == "aGk="


def test_the_envelope_names_everybody_who_must_get_it() -> None:
    """To, cc and bcc are recipients; who is answered to is none."""
    ann, bob, cara, dan, eve = (Address(f"{name}@a.test") for name in ("ann", "bob", "cara", "dan", "eve"))

    who = envelope(Message(from_=ann, to=(bob,), cc=(cara,), bcc=(dan,), reply_to=(eve,)))

    assert who.sender == ann
    assert who.recipients == (bob, cara, dan)
    assert who.reply_to == (eve,)


@pytest.mark.parametrize(
    "message",
    [
        Message(to=(Address("a@b.test"),)),
        Message(from_="a@b.test"),
        Message(from_=Address("a@b.test"), to=["c@d.test"]),
    ],
    ids=["no from", "from as text", "to as text"],
)
def test_a_message_that_was_not_checked_has_no_envelope(message: Message) -> None:
    """An address that nobody parsed never reaches a provider."""
    with pytest.raises(TypeError, match="was not checked"):
        envelope(message)


def test_an_address_has_two_halves() -> None:
    """The domain is compared in lower case; the local part is the mailbox's own business."""
    address = Address("Ann@Example.COM")

    assert (address.local, address.domain) == ("Ann", "example.com")
