"""Fingerprints, idempotency keys and ids: what tells one submission from another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.errors import InvalidMessageError
from mailcore.identity import base32hex, checked_key, email_id_for_key, fingerprint
from mailcore.message import Address, Attachment, Lane, Message, OnUnknown
from mailcore.testing.strategies import messages

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = Message(from_="a@b.test", to=["c@d.test"], subject="s", text="t", scheduled_at=NOW)
CHANGES: dict[str, object] = {
    "from_": "x@b.test",
    "to": ["x@d.test"],
    "cc": ["x@d.test"],
    "bcc": ["x@d.test"],
    "reply_to": ["x@d.test"],
    "subject": "x",
    "text": "x",
    "html": "x",
    "attachments": [Attachment(filename="a", content=b"x")],
    "headers": {"X-A": "x"},
    "tags": ["x"],
    "metadata": {"a": "x"},
    "lane": Lane.BULK,
    "scheduled_at": NOW + timedelta(milliseconds=1),
    "expires_at": NOW,
    "on_unknown": OnUnknown.HOLD,
}


def test_the_fingerprint_keeps_its_form() -> None:
    """A stored fingerprint is compared for 30 days: whoever changes its form changes the version in front."""
    found = fingerprint(MESSAGE)

    assert found == "1:5d86ce0f1004c6b1162414d1b5ee07a430905a9e0f0f8684a9c206302667c9a3"


@pytest.mark.parametrize("field", Message.__struct_fields__)
def test_every_field_makes_a_difference(field: str) -> None:
    """A key that is used again with any field changed is a reuse, not a repeat."""
    changed = replace(MESSAGE, **{field: CHANGES[field]})

    assert fingerprint(changed) != fingerprint(MESSAGE)


def test_the_order_of_keys_makes_no_difference() -> None:
    """Equal JSON is the same request, however its keys are ordered."""
    one = b'{"subject":"s","to":"a@b.test","headers":{"X-A":"1","X-B":"2"},"metadata":{"a":"1","b":"2"}}'
    other = b'{"metadata":{"b":"2","a":"1"},"headers":{"X-B":"2","X-A":"1"},"to":"a@b.test","subject":"s"}'

    prints = {fingerprint(msgspec.json.decode(body, type=Message)) for body in (one, other)}

    assert len(prints) == 1


def test_the_order_of_items_makes_a_difference() -> None:
    """The first of two recipients is not the second."""
    one = replace(MESSAGE, to=["a@b.test", "c@d.test"])
    other = replace(MESSAGE, to=["c@d.test", "a@b.test"])

    assert fingerprint(one) != fingerprint(other)


def test_one_instant_in_two_offsets_makes_no_difference() -> None:
    """A client in another time zone repeats the same request."""
    moved = replace(MESSAGE, scheduled_at=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))))

    assert fingerprint(moved) == fingerprint(MESSAGE)


def test_a_default_that_was_written_out_makes_no_difference() -> None:
    """A client that starts to write `"cc": []` and `"lane": "transactional"` repeats the same request."""
    longer = replace(MESSAGE, cc=[], bcc=(), html=None, lane=Lane.TRANSACTIONAL, headers={}, tags=[])

    assert fingerprint(longer) == fingerprint(MESSAGE)


def test_an_attachment_is_hashed_by_all_it_has() -> None:
    """Name, type, bytes and content_id of an attachment are part of the request."""
    files = [
        Attachment(filename="a", content=b"x"),
        Attachment(filename="b", content=b"x"),
        Attachment(filename="a", content=b"y"),
        Attachment(filename="a", content=b"x", content_type="text/plain"),
        Attachment(filename="a", content=b"x", content_id="a"),
    ]

    assert len({fingerprint(replace(MESSAGE, attachments=[file])) for file in files}) == len(files)


def test_an_address_is_hashed_with_its_name() -> None:
    """The name shown beside an address is part of the request."""
    one, other = (replace(MESSAGE, to=Address("a@b.test", name)) for name in ("A", "B"))

    assert fingerprint(one) != fingerprint(other)


@given(messages(NOW))
def test_a_message_that_went_through_json_keeps_its_fingerprint(message: Message) -> None:
    """The fingerprint is of what was written, not of how this process held it."""
    again = msgspec.json.decode(msgspec.json.encode(message), type=Message)

    assert fingerprint(again) == fingerprint(message)


@pytest.mark.parametrize("key", ["a", "order 42!", "~" * 255], ids=["shortest", "printable", "longest"])
def test_a_printable_key_is_taken_as_it_is(key: str) -> None:
    """A key is any 1 to 255 printable ASCII characters."""
    assert checked_key(key) == key


@pytest.mark.parametrize("key", ["", "a" * 256, "a\n", "\ta", "é", "a\0", "a\x7f"])
def test_any_other_key_is_refused(key: str) -> None:
    """A key that a header cannot carry, or that is longer than 255, names nothing; the problem says where."""
    with pytest.raises(InvalidMessageError) as caught:
        checked_key(key)

    assert [(one.pointer, one.code) for one in caught.value.problems] == [("header:Idempotency-Key", "invalid_key")]


def test_an_id_from_a_key_is_pinned() -> None:
    """The id of a key is looked up for years: it never changes."""
    assert email_id_for_key("default", "reset:42") == "em_mavc0ti1ti41kkedekvrrsp3os"


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_an_id_from_a_key_looks_like_every_other_id(tenant: str, key: str) -> None:
    """An id made of a key has the length and the alphabet of one made of a UUID."""
    found = email_id_for_key(tenant, key)

    assert re.fullmatch(r"em_[0-9a-v]{26}", found)


def test_tenant_and_key_do_not_run_into_each_other() -> None:
    """The lengths stand before the texts: ("ab", "c") is not ("a", "bc")."""
    ids = {email_id_for_key(*pair) for pair in (("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""))}

    assert len(ids) == 4


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_ids_sort_as_the_bytes_they_are_made_of(one: bytes, other: bytes) -> None:
    """UUIDv7 ids sort by time, which plain base32 would break."""
    assert (one < other) == (base32hex(one) < base32hex(other))


def test_base32hex_is_that_of_the_rfc() -> None:
    """RFC 4648 section 10, in lower case and without padding."""
    assert [base32hex(text) for text in (b"", b"f", b"foobar")] == ["", "co", "cpnmuoj1e8"]
