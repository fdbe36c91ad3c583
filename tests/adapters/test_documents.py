"""Documents: what one release wrote, the releases before and after it can read (I42)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack
from msgspec.structs import replace

from mailadapters.documents import (
    REASONS,
    STATUSES,
    UnreadableError,
    cursor,
    email_document,
    email_from_document,
    email_from_text,
    email_text,
    health_from_text,
    health_text,
    key_text,
    keys_from_texts,
    message_bytes,
    message_document,
    message_from_bytes,
    message_from_document,
    millis,
    place,
)
from mailcore.errors import StoreUnavailableError
from mailcore.health import Health, Mode
from mailcore.keys import ApiKey
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Address, Attachment, Lane, Message, OnUnknown
from mailcore.outcome import Verdict
from mailcore.provider import Feature
from mailcore.testing.contracts.examples import MESSAGE, NOW, checked_messages, emails, queued

DATA = Path(__file__).parent / "data"
MORE = {"from_a_newer_release": {"a": [1]}}
LAZY = settings(max_examples=50, deadline=None)


def golden(name: str) -> dict[str, Any]:
    """Return a document that an earlier release wrote."""
    document: dict[str, Any] = json.loads((DATA / name).read_text())
    return document


def test_an_email_of_schema_1_can_be_read() -> None:
    """A document of the first release means today what it meant then."""
    email = email_from_text((DATA / "email-schema-1.json").read_bytes())

    assert (email.status, email.reason, email.lane) == (Status.SENDING, Reason.FAILOVER, Lane.URGENT)
    assert email.needs.features == {Feature.INLINE, Feature.TAGS}
    assert email.attempts[0].outcome is Verdict.UNKNOWN
    assert email.attempts[0].latency == timedelta(milliseconds=20123)
    assert email.updated_at == datetime(2030, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    assert email.attempts[0].why.passed_over[0].provider == "mailgun"
    assert email.possible_duplicate
    assert email.on_unknown is OnUnknown.HOLD


def test_an_email_of_schema_1_loses_nothing() -> None:
    """Reading and writing a document of the first release keeps all that it says; what is a default goes unsaid."""
    document = golden("email-schema-1.json")
    email = email_from_text(json.dumps(document))

    text = email_text(email)

    written = json.loads(text)
    written["needs"]["features"].sort()
    said, kept = dict(leaves(document)), dict(leaves(written))
    assert email_from_text(text) == email
    assert kept.items() <= said.items()
    assert not any(said[unsaid] for unsaid in said.keys() - kept.keys())


def leaves(document: object, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every single value of a document with the way to it."""
    if isinstance(document, dict | list):
        for name, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from leaves(value, *path, name)
    else:
        yield path, document


def test_an_email_that_waits_for_its_first_attempt_takes_little_room() -> None:
    """What is a default is not stored: rows are read and written twice for each e-mail, a page at a time."""
    written = json.loads(email_text(queued()))

    assert not written.keys() & {"attempts", "settled_at", "lease_until", "crashes", "possible_duplicate", "blocked_on"}


def test_a_message_of_schema_1_can_be_read() -> None:
    """The content of the first release means today what it meant then."""
    message = message_from_bytes((DATA / "message-schema-1.msgpack").read_bytes())

    assert message.from_ == Address("shop@shop.example", "Shop")
    assert message.attachments == (
        Attachment(filename="a.bin", content_type="image/png", content=b"\x00\xff\x7f", content_id="logo"),
    )
    assert message.subject == "Grüße"
    assert message.scheduled_at == NOW


def test_a_health_of_schema_1_can_be_read() -> None:
    """The operator's word to the first release still stands."""
    health = health_from_text((DATA / "health-schema-1.json").read_bytes())

    assert health.override is not None
    assert health.override.mode is Mode.STOPPED


@LAZY
@given(email=emails())
def test_an_email_is_its_text(email: Email) -> None:
    """An e-mail survives being written as text, in one line."""
    text = email_text(email)

    assert "\n" not in text
    assert email_from_text(text) == email


@LAZY
@given(email=emails())
def test_an_email_is_its_document(email: Email) -> None:
    """An e-mail survives being written as plain values, whose moments are moments."""
    document = email_document(email)

    assert document["created_at"] is email.created_at
    assert email_from_document(document) == email


@LAZY
@given(message=checked_messages())
def test_a_message_is_its_bytes_and_its_document(message: Message) -> None:
    """A message survives both ways of writing it."""
    assert message_from_bytes(message_bytes(message)) == message
    assert message_from_document(message_document(message)) == message


def test_fields_of_a_newer_release_are_left_out() -> None:
    """A field that this release does not know is ignored wherever it stands in an e-mail."""
    document = golden("email-schema-1.json")
    document["attempts"][0] |= MORE
    document["needs"] |= MORE
    document["history"][0] |= MORE

    email = email_from_text(json.dumps(document | MORE))

    assert email == email_from_text(json.dumps(golden("email-schema-1.json")))


def test_fields_that_an_older_release_did_not_write_take_their_defaults() -> None:
    """A document without what has a default is readable."""
    needed = {"id", "tenant", "version", "saved_by", "fingerprint", "status", "reason", "lane", "needs"}
    moments = {"created_at", "updated_at", "series_at", "give_up_at"}
    document = {name: value for name, value in golden("email-schema-1.json").items() if name in needed | moments}

    email = email_from_text(json.dumps(document))

    assert email.attempts == email.history == email.tags == ()
    assert email.folded == 0


def test_fields_of_a_newer_release_in_a_message_are_left_out() -> None:
    """Message itself refuses unknown fields, for authors; what is stored is read more kindly."""
    document: dict[str, Any] = msgpack.decode((DATA / "message-schema-1.msgpack").read_bytes())
    document["attachments"][0] |= MORE

    message = message_from_bytes(msgpack.encode(document | MORE))

    assert message == message_from_bytes((DATA / "message-schema-1.msgpack").read_bytes())


def test_fields_of_a_newer_release_in_a_health_are_left_out() -> None:
    """A health that a newer release changed still counts for this one."""
    health = health_from_text(json.dumps(golden("health-schema-1.json") | MORE))

    assert health == health_from_text((DATA / "health-schema-1.json").read_bytes())


@pytest.mark.parametrize(
    "change",
    [{"status": "paused"}, {"reason": "full_moon"}, {"lane": "express"}, {"id": None}, {"created_at": "soon"}],
)
def test_an_email_with_a_word_that_is_unknown_is_unreadable(change: dict[str, object]) -> None:
    """What a newer release means by a new word cannot be guessed: the store passes such an e-mail over."""
    document = golden("email-schema-1.json") | change

    with pytest.raises(UnreadableError, match="another release"):
        email_from_text(json.dumps(document))
    with pytest.raises(UnreadableError, match="another release"):
        email_from_document(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xed\xa0\x80"])
def test_what_is_no_document_is_unreadable(text: str | bytes) -> None:
    """Damage is told in the same way."""
    with pytest.raises(UnreadableError):
        email_from_text(text)
    with pytest.raises(UnreadableError):
        health_from_text(text)


@pytest.mark.parametrize(
    "octets", [b"", b"\xc1", msgpack.encode({"subject": 7}), msgpack.encode([1]), msgpack.encode({"attachments": 5})]
)
def test_what_is_no_message_is_unreadable(octets: bytes) -> None:
    """Damaged content is told in the same way."""
    with pytest.raises(UnreadableError):
        message_from_bytes(octets)


def test_an_unreadable_document_is_the_stores_fault() -> None:
    """Whoever knows only the port sees a store that could not give an e-mail."""
    assert issubclass(UnreadableError, StoreUnavailableError)


def test_an_unreadable_document_is_not_shown() -> None:
    """The error names the field, and repeats neither addresses nor content."""
    document = golden("email-schema-1.json") | {"status": "paused"}

    with pytest.raises(UnreadableError, match="status") as caught:
        email_from_text(json.dumps(document))

    assert "example.com" not in str(caught.value)


def test_a_message_as_an_author_wrote_it_survives() -> None:
    """Text addresses stay text, one stays one, and lists come back as tuples."""
    message = Message(from_="a@b.example", to="c@d.example", cc=["e@f.example", Address("g@h.example")], tags=["x"])

    read = message_from_bytes(message_bytes(message))

    assert read == replace(message, cc=("e@f.example", Address("g@h.example")), tags=("x",))


def test_known_words_are_the_core_s() -> None:
    """Stores tell readable rows by these words without reading the documents."""
    assert {str(status) for status in Status} == STATUSES
    assert {str(reason) for reason in Reason} == REASONS


@given(ms=st.integers(min_value=-(10**12), max_value=10**14), micro=st.integers(min_value=0, max_value=999))
def test_milliseconds_are_cut_never_rounded_up(ms: int, micro: int) -> None:
    """A moment between two milliseconds counts as the earlier one."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms, microseconds=micro)

    assert millis(moment) == ms


@given(ms=st.integers(min_value=-(2**62), max_value=2**62), email_id=st.text(min_size=1))
def test_a_cursor_is_its_place(ms: int, email_id: str) -> None:
    """A cursor leads back to where it was made, and is fit for a URL."""
    text = cursor(ms, email_id)

    assert place(text) == (ms, email_id)
    assert text.replace("-", "").replace("_", "").isalnum()


def test_text_is_compact() -> None:
    """A hot row stays small: it is written at every step of an e-mail's life."""
    assert len(email_text(queued())) < 1200
    assert len(message_bytes(replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xff" * 999),)))) < 1500


def test_a_new_health_is_its_text() -> None:
    """A health survives being written."""
    assert health_from_text(health_text(Health())) == Health()


def test_a_key_of_an_older_release_has_no_daily_cap() -> None:
    """A field that it did not write takes its default, and one that a newer release writes is left out."""
    key = ApiKey(id="key_a", digest="d", tenant="shop", scopes=(), created_at=NOW)
    older = key_text(key).replace(',"daily":null', "")
    newer = key_text(replace(key, id="key_b", daily=7)).replace('"daily":7', '"daily":7,"weekly":1')

    assert "daily" not in older
    assert keys_from_texts([older, newer]) == {"key_a": key, "key_b": replace(key, id="key_b", daily=7)}
