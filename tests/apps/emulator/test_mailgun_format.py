"""Mailgun's wire format: forms of both kinds, what it takes, what it refuses, and in which words."""

from __future__ import annotations

import base64
import re
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from tests.apps.emulator.calls import ANYTHING, BASIC, FORM, mailgun_call, mime_call, told

from mailapps.emulator.mailgun import judge, refuse
from mailapps.emulator.wire import Account, File, Mailbox

SUBJECT = "Grüße " + "and so on " * 20
NO_ADDRESS = "parameter is not a valid address. please check documentation"


def without(name: str) -> dict[str, str]:
    """Return the form without a field."""
    return {key: value for key, value in FORM.items() if key != name}


REFUSED = {
    "no from": (without("from"), "from parameter is missing"),
    "no to": (without("to"), "to parameter is missing"),
    "bcc only": ({**without("to"), "bcc": "b@x.org"}, "to parameter is missing"),
    "no subject": (without("subject"), "subject parameter is missing"),
    "no body": (without("text"), "Need at least one of 'text' or 'html' parameters specified"),
    "empty body": ({**FORM, "text": ""}, "Need at least one of 'text' or 'html' parameters specified"),
    "bad from": ({**FORM, "from": "shop"}, f"from {NO_ADDRESS}"),
    "unicode from": ({**FORM, "from": "ü@shop.example"}, f"from {NO_ADDRESS}"),
    "two from": ({**FORM, "from": "a@x.org, b@x.org"}, f"from {NO_ADDRESS}"),
    "empty to": ({**FORM, "to": ""}, f"to {NO_ADDRESS}"),
    "bad to": ({**FORM, "to": ["a@x.org", "ann"]}, f"to {NO_ADDRESS}"),
    "unicode domain": ({**FORM, "to": "a@bücher.example"}, f"to {NO_ADDRESS}"),
    "empty cc": ({**FORM, "cc": ""}, f"cc {NO_ADDRESS}"),
    "bad bcc": ({**FORM, "bcc": "x@"}, f"bcc {NO_ADDRESS}"),
    "1001 recipients": ({**FORM, "to": [f"a{n}@x.org" for n in range(1001)]}, "too many recipients"),
    "boolean": ({**FORM, "o:testmode": "True!"}, "o:testmode parameter must be yes or no"),
    "tracking": ({**FORM, "o:tracking": "1"}, "o:tracking parameter must be yes or no"),
    "11 tags": ({**FORM, "o:tag": [str(n) for n in range(11)]}, "o:tag parameter"),
    "unicode tag": ({**FORM, "o:tag": "ü"}, "o:tag parameter"),
    "long tag": ({**FORM, "o:tag": "a" * 129}, "o:tag parameter"),
    "date": ({**FORM, "o:deliverytime": "2026-11-24T12:00:00Z"}, "RFC 2822"),
    "recipient variables": ({**FORM, "recipient-variables": "[1]"}, "recipient-variables parameter is not valid JSON"),
    "template variables": ({**FORM, "t:variables": "{"}, "t:variables parameter is not valid JSON"),
}

TAKEN: dict[str, dict[str, Any]] = {
    "plain": FORM,
    "html": {**without("text"), "html": "<p>"},
    "template": {**without("text"), "template": "welcome"},
    "comma list": {**FORM, "to": 'a@x.org, "Doe, Ann" <b@x.org>'},
    "unicode recipient": {**FORM, "to": "ü@example.com"},
    "empty subject": {**FORM, "subject": ""},
    "1000 recipients": {**FORM, "to": [f"a{n}@x.org" for n in range(1000)]},
    "options": {**FORM, "o:tracking-clicks": "htmlonly", "o:dkim": "no", "o:tag": ["a", "b"]},
    "date": {**FORM, "o:deliverytime": "Tue, 24 Nov 2026 13:00:00 -0000"},
    "recipient variables": {**FORM, "recipient-variables": '{"a@x.org": {}}'},
}


@pytest.mark.parametrize(("form", "words"), REFUSED.values(), ids=REFUSED)
def test_what_mailgun_refuses_is_400_with_its_words(form: dict[str, Any], words: str) -> None:
    """A form that the real service refuses is refused here; it names the first problem only."""
    verdict = judge(mailgun_call(form), ANYTHING)

    assert verdict.answer.status == 400
    assert words in told(verdict)
    assert not verdict.accepted


@pytest.mark.parametrize("form", TAKEN.values(), ids=TAKEN)
def test_what_mailgun_takes_is_queued_with_an_id_in_brackets(form: dict[str, Any]) -> None:
    """Success is 200, an id in angle brackets at the sending domain, and thanks."""
    verdict = judge(mailgun_call(form), ANYTHING)

    assert verdict.answer.status == 200
    assert verdict.delivered
    answer = msgspec.json.decode(verdict.answer.body)
    assert answer == {"id": verdict.message_id, "message": "Queued. Thank you."}
    assert re.fullmatch(r"<\d{14}\.1\.\d{6}@shop\.example>", answer["id"])


@pytest.mark.parametrize(
    ("changes", "status", "body"),
    [
        ({"path": "/shop.example/messages"}, 200, "Mailgun Magnificent API"),
        ({"path": "/v3/v3/shop.example/messages"}, 200, "Mailgun Magnificent API"),
        ({"path": "/v3/shop.example/message"}, 200, "Mailgun Magnificent API"),
        ({"method": "GET"}, 200, "Mailgun Magnificent API"),
        ({"headers": {}}, 401, "Forbidden"),
        ({"headers": {"authorization": "Bearer any"}}, 401, "Forbidden"),
        ({"headers": {"authorization": "Basic !"}}, 401, "Forbidden"),
        ({"headers": {"authorization": f"Basic {base64.b64encode(b'root:any').decode()}"}}, 401, "Forbidden"),
        ({"headers": {"authorization": f"Basic {base64.b64encode(b'api:').decode()}"}}, 401, "Forbidden"),
    ],
)
def test_a_wrong_path_is_greeted_and_wrong_credentials_are_plain_forbidden(
    changes: dict[str, Any], status: int, body: str
) -> None:
    """Mailgun says 200 to a path it does not know, and answers bad credentials in plain text."""
    verdict = judge(mailgun_call(FORM, **changes), ANYTHING)

    assert (verdict.answer.status, verdict.answer.body.decode()) == (status, body)
    assert verdict.answer.content_type.startswith("text/plain")
    assert not verdict.accepted


def test_an_unknown_key_is_forbidden_when_the_account_has_keys() -> None:
    """A key is only checked if the script names the right ones."""
    account = Account(api_keys=("right",))

    assert judge(mailgun_call(FORM), account).answer.status == 401


def test_a_domain_that_the_account_has_not_is_404() -> None:
    """A restricted account knows its own domains, whatever their case and escaping, and no others."""
    account = Account(domains=("Shop.example",))

    known = judge(mailgun_call(FORM, path="/v3/sh%6Fp.example/messages"), account)
    unknown = judge(mailgun_call(FORM, path="/v3/other.example/messages"), account)

    assert known.accepted
    assert (unknown.answer.status, told(unknown)) == (404, "Domain not found: other.example")


def test_a_from_that_is_not_verified_is_403_in_mailguns_words() -> None:
    """An unverified sending domain is not allowed to send."""
    verdict = judge(mailgun_call(FORM), Account(verified_senders=("@other.example",)))

    assert verdict.answer.status == 403
    assert told(verdict).startswith("Domain shop.example is not allowed to send: ")


@pytest.mark.parametrize("changes", [{"too_large": True}, {"body": b"a" * 25_000_001}])
def test_more_than_25_mb_is_413(changes: dict[str, Any]) -> None:
    """Mailgun's limit is smaller than what the emulator reads."""
    assert judge(mailgun_call(FORM, **changes), ANYTHING).answer.status == 413


def test_test_mode_takes_a_message_and_delivers_nothing() -> None:
    """`o:testmode=yes` is accepted and never arrives."""
    verdict = judge(mailgun_call({**FORM, "o:testmode": "yes"}), ANYTHING)

    assert (verdict.accepted, verdict.delivered) == (True, False)


def test_json_is_no_form() -> None:
    """Mailgun reads forms only: of another content type it sees no field."""
    verdict = judge(mailgun_call(b"{}", headers={**BASIC, "content-type": "application/json"}), ANYTHING)

    assert told(verdict) == "from parameter is missing"


def test_a_multipart_letter_has_everything_and_loses_files_without_a_name() -> None:
    """Files keep name, type and bytes; one without a name vanishes silently, as at the real service."""
    parts = [
        *(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in FORM.items()),
        b'Content-Disposition: form-data; name="cc"\r\n\r\n=?utf-8?q?K=C3=A4the?= <k@x.org>',
        b'Content-Disposition: form-data; name="h:Reply-To"\r\n\r\nr@x.org',
        b'Content-Disposition: form-data; name="h:X-Order"\r\n\r\n42',
        b'Content-Disposition: form-data; name="v:mailcore_id"\r\n\r\nem_1',
        (
            b'Content-Disposition: form-data; name="attachment"; filename="a.bin"\r\n'
            b"Content-Type: image/png\r\n\r\n\x00\r\n--\xff"
        ),
        b'Content-Disposition: form-data; name="attachment"\r\nContent-Type: text/plain\r\n\r\nlost',
        b'Content-Disposition: form-data; name="inline"; filename="logo"\r\nContent-Type: image/png\r\n\r\nx',
    ]
    body = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\n"

    verdict = judge(mailgun_call(body, headers={**BASIC, "content-type": "multipart/form-data; boundary=B"}), ANYTHING)

    assert verdict.accepted
    assert verdict.letter is not None
    assert verdict.letter.cc == (Mailbox("k@x.org", "Käthe"),)
    assert verdict.letter.reply_to == (Mailbox("r@x.org"),)
    assert verdict.letter.headers == (("X-Order", "42"),)
    assert verdict.letter.email_id == "em_1"
    assert verdict.letter.files == (
        File(filename="a.bin", content_type="image/png", content=b"\x00\r\n--\xff"),
        File(filename="logo", content_type="image/png", content=b"x", content_id="logo"),
    )


def built() -> EmailMessage:
    """Return a message with everything, built by Python's own library."""
    message = EmailMessage()
    message["From"], message["To"] = "Käthe <a@shop.example>", "Everybody <all@example.com>"
    message["Subject"], message["Reply-To"], message["X-Order"] = SUBJECT, "r@x.org", "42"
    message.set_content("Hällo")
    message.add_alternative('<img src="cid:logo">', subtype="html")
    message.get_payload()[1].add_related(b"png", "image", "png", cid="<logo>")
    message.add_attachment(b"pdf", "application", "pdf", filename="a.pdf")
    return message


def test_a_message_that_is_mime_already_is_taken_as_the_form_would_be() -> None:
    """At `messages.mime` the form says who gets it, and the message the rest."""
    call = mime_call(
        built().as_bytes(), to="ann@example.com, bob@example.com", **{"v:mailcore_id": "em_1", "o:tag": "news"}
    )

    verdict = judge(call, ANYTHING)

    letter = verdict.letter
    assert verdict.delivered
    assert letter is not None
    assert (letter.from_, letter.subject) == (Mailbox("a@shop.example", "Käthe"), SUBJECT)
    assert (letter.to, letter.cc, letter.bcc) == ((Mailbox("ann@example.com"), Mailbox("bob@example.com")), (), ())
    assert (letter.reply_to, letter.headers) == ((Mailbox("r@x.org"),), (("X-Order", "42"),))
    assert ((letter.text or "").strip(), (letter.html or "").strip()) == ("Hällo", '<img src="cid:logo">')
    assert (letter.email_id, letter.tags) == ("em_1", ("news",))
    assert letter.files == (
        File(filename="logo", content_type="image/png", content=b"png", content_id="logo"),
        File(filename="a.pdf", content_type="application/pdf", content=b"pdf"),
    )


@pytest.mark.parametrize(
    ("message", "to", "words"),
    [(b"", "ann@example.com", "from parameter is missing"), (built().as_bytes(), "ann", f"to {NO_ADDRESS}")],
)
def test_what_is_wrong_with_mime_is_refused_as_in_the_form(message: bytes, to: str, words: str) -> None:
    """A message without an author, or a form without a recipient, is not taken."""
    verdict = judge(mime_call(message, to=to), ANYTHING)

    assert (verdict.answer.status, told(verdict)) == (400, words)


@pytest.mark.parametrize(("recipients", "status"), [((), 403), (("Ann@example.com",), 200)])
def test_a_sandbox_domain_writes_to_authorized_recipients_alone(recipients: tuple[str, ...], status: int) -> None:
    """What a free account meets first, in words that our adapter knows."""
    account = Account(authorized_recipients=recipients)

    verdict = judge(mailgun_call(FORM, path="/v3/sandbox12ab.mailgun.org/messages"), account)

    assert verdict.answer.status == status
    assert verdict.accepted or "Sandbox subdomains are for test purposes only" in told(verdict)


def test_a_status_has_mailguns_words() -> None:
    """A scripted 401 is plain text, any other one JSON."""
    assert refuse(401).body == b"Forbidden"
    assert refuse(429).body == b'{"message":"Too Many Requests"}'
