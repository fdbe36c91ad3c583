"""No request, however odd, breaks the emulator: it is judged, written down and shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apps.emulator.calls import BASIC, NOW, mail, mailgun_call, mime_call, sendgrid_call

from mailapps.emulator import Emulator
from mailapps.emulator.ledger import Wanted
from mailapps.emulator.pages import letter_page, preview
from mailapps.emulator.request_page import requests_page
from mailapps.emulator.sendgrid_mail import Mail
from mailapps.emulator.wire import Call, Kind

texts = st.sampled_from(["", "a@x.org", "ann", "text/plain", "YQ==", "<b>", "cid:a"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=9
)
scalars = st.none() | st.booleans() | st.integers(-(1 << 40), 1 << 40) | texts
people = st.lists(st.fixed_dictionaries({"email": texts}, optional={"name": texts}), max_size=3)
one_of_many = st.fixed_dictionaries({}, optional={"to": people, "cc": people, "bcc": people, "subject": texts})
files = st.fixed_dictionaries({}, optional=dict.fromkeys(("content", "filename", "type", "disposition"), texts))
values = {
    "personalizations": st.lists(one_of_many, max_size=3),
    "from": st.fixed_dictionaries({"email": texts}),
    "content": st.lists(st.fixed_dictionaries({"type": texts, "value": texts}), max_size=3),
    "attachments": st.lists(files, max_size=2),
    "custom_args": st.dictionaries(texts, texts, max_size=2),
    "headers": st.dictionaries(texts, texts, max_size=2),
    "send_at": st.integers(-(1 << 40), 1 << 40),
}
names = st.sampled_from(Mail.__struct_encode_fields__) | texts
fields = st.sampled_from(
    [
        "from",
        "to",
        "cc",
        "subject",
        "text",
        "html",
        "o:tag",
        "o:testmode",
        "o:deliverytime",
        "h:Reply-To",
        "v:a",
        "t:variables",
    ]
)
HEADS = (
    b"Content-Type: multipart/mixed; boundary=B\r\n",
    b"Content-Type: text/plain; charset=x-unknown\r\n",
    b"Content-Type: text/html; charset*=utf-8''%FF\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%FF; filename*1=\r\n",
    b"Content-ID: <a>\r\n",
    b"Reply-To: =?x?q?=FF?= <\r\n",
)


def shown(call: Call, kind: Kind) -> Emulator:
    """Return an emulator that has received a call and shown everything."""
    emulator = Emulator(now=lambda: NOW)
    emulator.receive(call, kind)
    for received in emulator.inbox.newest():
        letter_page(received)
        preview(received.letter)
    requests_page(list(emulator.ledger.rows(Wanted())), total=1)
    return emulator


@given(st.fixed_dictionaries({}, optional=values))
def test_any_mail_of_the_right_types_is_judged(changes: dict[str, Any]) -> None:
    """Empty and odd values in every field are taken or refused."""
    emulator = shown(sendgrid_call({**mail(), **changes}), Kind.SENDGRID)

    assert emulator.ledger.seq == 0
    assert len(list(emulator.ledger.rows(Wanted()))) == 1


@settings(max_examples=50)
@given(st.dictionaries(names, st.recursive(scalars, st.lists, max_leaves=4), max_size=4))
def test_any_json_is_judged(body: dict[str, Any]) -> None:
    """A wrong type in any field is a refusal, never an error of ours."""
    assert len(list(shown(sendgrid_call(body), Kind.SENDGRID).ledger.rows(Wanted()))) == 1


@given(st.binary())
def test_any_bytes_are_judged(body: bytes) -> None:
    """What is no JSON is refused as such."""
    assert len(list(shown(sendgrid_call(body), Kind.SENDGRID).ledger.rows(Wanted()))) == 1


@given(st.lists(st.tuples(fields, texts)))
def test_any_form_is_judged(form: list[tuple[str, str]]) -> None:
    """Empty, odd and repeated fields are taken or refused."""
    assert len(list(shown(mailgun_call(form), Kind.MAILGUN).ledger.rows(Wanted()))) == 1


@given(st.binary(), st.sampled_from(["from", "to", "text", "attachment"]), st.binary())
def test_any_part_is_judged(head: bytes, name: str, content: bytes) -> None:
    """Headers and contents of parts may be any bytes."""
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="'.encode()
    body = b"--B\r\n" + disposition + head + b"\r\n\r\n" + content + b"\r\n--B--\r\n"
    headers = {**BASIC, "content-type": "multipart/form-data; boundary=B"}

    assert len(list(shown(mailgun_call(body, headers=headers), Kind.MAILGUN).ledger.rows(Wanted()))) == 1


@given(st.lists(st.sampled_from([*HEADS, b"\r\n", b"--B\r\n", b"--B--"]) | st.binary(max_size=20)))
def test_any_mime_is_judged(pieces: list[bytes]) -> None:
    """A message that its sender has built may be any bytes."""
    emulator = shown(mime_call(b"From: a@shop.example\r\nSubject: Hi\r\n" + b"".join(pieces)), Kind.MAILGUN)

    assert len(list(emulator.ledger.rows(Wanted()))) == 1


def test_mime_that_is_nested_without_end_is_judged() -> None:
    """No depth of parts within parts is an error of ours."""
    nested = b"Content-Type: message/rfc822\r\n\r\n" * 5000

    assert len(list(shown(mime_call(b"From: a@shop.example\r\n" + nested), Kind.MAILGUN).ledger.rows(Wanted()))) == 1
