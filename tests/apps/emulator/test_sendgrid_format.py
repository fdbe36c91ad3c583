"""SendGrid's wire format: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from tests.apps.emulator.calls import ANYTHING, NOW, mail, reasons, sendgrid_call

from mailapps.emulator.sendgrid import judge, refuse
from mailapps.emulator.wire import Account, File, Mailbox


def to(*addresses: str, **more: object) -> list[dict[str, Any]]:
    """Return one personalization."""
    return [{"to": [{"email": address} for address in addresses], **more}]


FILE = {"content": base64.b64encode(b"abc").decode(), "filename": "a.txt", "type": "text/plain"}
PLAIN = {"type": "text/plain", "value": "a"}
HTML = {"type": "text/html", "value": "<p>a"}
ANN = {"email": "ann@example.com"}
TOO_LATE = int(NOW.timestamp()) + 73 * 3600

REFUSED = {
    "no personalizations": (mail(personalizations=None), "personalizations", "required"),
    "empty personalizations": (mail(personalizations=[]), "personalizations", "required"),
    "no to": (mail(personalizations=[{"bcc": [ANN]}]), "personalizations.0.to", "The to array is required"),
    "empty to": (mail(personalizations=to()), "personalizations.0.to", "The to array is required"),
    "empty cc": (mail(personalizations=to("ann@example.com", cc=[])), "personalizations.0.cc", "The cc array"),
    "empty bcc": (mail(personalizations=to("ann@example.com", bcc=[])), "personalizations.0.bcc", "The bcc array"),
    "bad to": (
        mail(personalizations=to("b@x.org", "ann")),
        "personalizations.0.to.1.email",
        "Does not contain a valid",
    ),
    "unicode domain": (mail(personalizations=to("a@bücher.example")), "personalizations.0.to.0.email", "valid address"),
    "unicode local": (mail(personalizations=to("ü@example.com")), "personalizations.0.to.0.email", "valid address"),
    "repeat in to": (mail(personalizations=to("a@x.org", "A@X.org")), "personalizations.0", "first duplicate"),
    "repeat in cc": (mail(personalizations=to("ann@example.com", cc=[ANN])), "personalizations.0", "should be unique"),
    "repeat in bcc": (
        mail(personalizations=to("ann@example.com", bcc=[ANN])),
        "personalizations.0",
        "should be unique",
    ),
    "1001 recipients": (
        mail(personalizations=to(*(f"a{n}@x.org" for n in range(1001)))),
        "personalizations",
        "limit of 1000",
    ),
    "no from": (mail(from_=None), "from.email", "The from object must be provided"),
    "bad from": (mail(from_={"email": "shop"}), "from.email", "does not contain a valid address"),
    "bad reply_to": (mail(reply_to={"email": "x"}), "reply_to.email", "does not contain a valid address"),
    "both reply_to": (mail(reply_to=ANN, reply_to_list=[ANN]), "reply_to_list", "mutually exclusive"),
    "empty reply_to_list": (mail(reply_to_list=[]), "reply_to_list", "must have 1 to"),
    "repeat in reply_to_list": (mail(reply_to_list=[ANN, ANN]), "reply_to_list", "unique"),
    "bad in reply_to_list": (mail(reply_to_list=[{"email": "x"}]), "reply_to_list.0.email", "valid address"),
    "no subject": (mail(subject=None), "subject", "The subject is required"),
    "empty subject": (mail(subject=""), "subject", "The subject is required"),
    "no content": (mail(content=None), "content", "the content parameter is required"),
    "empty content": (mail(content=[]), "content", "the content parameter is required"),
    "empty value": (mail(content=[{"type": "text/plain", "value": ""}]), "content.0.value", "at least one character"),
    "no type": (mail(content=[{"value": "a"}]), "content.0.type", "MIME type"),
    "html first": (mail(content=[HTML, PLAIN]), "content", "text/plain must be first"),
    "text twice": (mail(content=[PLAIN, PLAIN]), "content", "text/plain must be first"),
    "no filename": (mail(attachments=[{"content": "YWJj"}]), "attachments.0.filename", "required"),
    "bad base64": (mail(attachments=[{**FILE, "content": "YW Jj"}]), "attachments.0.content", "base64"),
    "line break in base64": (mail(attachments=[{**FILE, "content": "YW\nJj"}]), "attachments.0.content", "base64"),
    "no file content": (mail(attachments=[{"filename": "a"}]), "attachments.0.content", "base64"),
    "odd disposition": (mail(attachments=[{**FILE, "disposition": "x"}]), "attachments.0.disposition", "inline"),
    "inline without id": (
        mail(attachments=[{**FILE, "disposition": "inline"}]),
        "attachments.0.content_id",
        "required",
    ),
    "reserved header": (mail(headers={"Reply-To": "a"}), "headers.Reply-To", "reserved"),
    "reserved in one": (
        mail(personalizations=to("a@x.org", headers={"BCC": "a"})),
        "personalizations.0.headers.BCC",
        "reserved",
    ),
    "11 categories": (mail(categories=[str(n) for n in range(11)]), "categories", "at most 10"),
    "repeat in categories": (mail(categories=["a", "a"]), "categories", "unique"),
    "unicode category": (mail(categories=["ü"]), "categories", "ASCII"),
    "long category": (mail(categories=["a" * 256]), "categories", "255"),
    "large custom_args": (mail(custom_args={"a": "x" * 10_000}), "custom_args", "10000 bytes"),
    "large substitutions": (
        mail(personalizations=to("a@x.org", substitutions={"-a-": "x" * 10_000})),
        "substitutions",
        "10000 bytes",
    ),
    "send_at too far": (mail(send_at=TOO_LATE), "send_at", "72 hours"),
    # A wrong JSON type anywhere is opaque.
    "number in custom_args": (mail(custom_args={"order": 42}), None, "Bad Request"),
    "number in headers": (mail(headers={"X-Order": 42}), None, "Bad Request"),
    "text for a list": (mail(personalizations="ann@example.com"), None, "Bad Request"),
    "text for a boolean": (mail(mail_settings={"sandbox_mode": {"enable": "true"}}), None, "Bad Request"),
    "unknown field": (mail(html="<p>"), None, "Bad Request"),
    "no JSON": (b"{", None, "Bad Request"),
    "no UTF-8": (b'{"subject": "\xff"}', None, "Bad Request"),
    "deep JSON": (b'{"asm": {"a": ' + b"[" * 100_000, None, "Bad Request"),
}

TAKEN = {
    "plain": mail(),
    "both bodies": mail(content=[PLAIN, HTML]),
    "html only": mail(content=[HTML]),
    "1000 recipients": mail(personalizations=to(*(f"a{n}@x.org" for n in range(1000)))),
    "same address in two personalizations": mail(personalizations=to("a@x.org") + to("a@x.org")),
    "subject of each": mail(subject=None, personalizations=to("a@x.org", subject="One")),
    "template": mail(subject=None, content=None, template_id="d-1"),
    "quoted local part": mail(personalizations=to('"a b"@x.org')),
    "72 hours ahead": mail(send_at=TOO_LATE - 3600),
}


@pytest.mark.parametrize(("body", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_what_sendgrid_refuses_is_refused_with_its_field_and_words(body: object, field: str | None, words: str) -> None:
    """A request that the real service refuses is refused here, with 400 and the field it names."""
    verdict = judge(sendgrid_call(body), ANYTHING)

    assert verdict.answer.status == 400
    assert not verdict.accepted
    assert [(field, True)] == [(one, words in message) for one, message in reasons(verdict)]


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
def test_what_sendgrid_takes_gets_202_an_empty_body_and_an_id(body: object) -> None:
    """Success is 202 with nothing but 22 URL-safe characters in X-Message-Id."""
    verdict = judge(sendgrid_call(body), ANYTHING)

    assert (verdict.answer.status, verdict.answer.body) == (202, b"")
    assert verdict.accepted
    assert verdict.delivered
    ((name, message_id),) = verdict.answer.headers
    assert (name, message_id) == ("X-Message-Id", verdict.message_id)
    assert len(message_id.encode("ascii")) == 22
    assert set(message_id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


GATES = {
    "wrong path": ({"path": "/v3/mail/sent"}, 404, "Not Found"),
    "wrong method": ({"method": "GET"}, 405, "POST"),
    "no key": ({"headers": {"accept": "*/*", "content-type": "application/json"}}, 401, "authorization required"),
    "basic": ({"headers": {"authorization": "Basic x", "accept": "*/*"}}, 401, "authorization required"),
    "no accept": (
        {"headers": {"authorization": "Bearer x", "content-type": "application/json"}},
        406,
        "Not Acceptable",
    ),
    "no content type": ({"headers": {"authorization": "Bearer x", "accept": "*/*"}}, 415, "application/json"),
    "too large": ({"too_large": True}, 413, "Too Large"),
}


@pytest.mark.parametrize(("changes", "status", "words"), GATES.values(), ids=GATES)
def test_what_is_wrong_before_the_body_is_read_has_its_own_status(
    changes: dict[str, Any], status: int, words: str
) -> None:
    """Path, method, key, Accept, type and size are refused each with the status of the real service."""
    verdict = judge(sendgrid_call(mail(), **changes), ANYTHING)

    assert verdict.answer.status == status
    assert words in verdict.answer.body.decode()


def test_more_than_30_mb_is_413() -> None:
    """A message that the real service would not read is refused, however right it is."""
    right = msgspec.json.encode(mail())

    assert judge(sendgrid_call(right.ljust(30_000_000)), ANYTHING).accepted
    assert judge(sendgrid_call(right.ljust(30_000_001)), ANYTHING).answer.status == 413


def test_several_problems_are_told_together() -> None:
    """SendGrid lists every field that is wrong, in the order of the body."""
    verdict = judge(sendgrid_call(mail(from_={"email": "x"}, subject="", content=[])), ANYTHING)

    assert [field for field, _ in reasons(verdict)] == ["from.email", "subject", "content"]


def test_an_unknown_key_is_401_when_the_account_has_keys() -> None:
    """A key is only checked if the script names the right ones."""
    verdict = judge(sendgrid_call(mail()), Account(api_keys=("SG.right",)))

    assert verdict.answer.status == 401
    assert reasons(verdict)[0][1].startswith("The provided authorization grant is invalid")


@pytest.mark.parametrize(
    ("known", "status"),
    [("A@shop.example", 202), ("@shop.example", 202), ("@hop.example", 403), ("b@shop.example", 403)],
)
def test_a_from_that_is_not_verified_is_403_about_the_field_from(known: str, status: int) -> None:
    """A verified sender is an address or a whole domain, and anybody else is refused in the real words."""
    verdict = judge(sendgrid_call(mail()), Account(verified_senders=(known,)))

    assert verdict.answer.status == status
    if status == 403:
        ((field, message),) = reasons(verdict)
        assert field == "from"
        assert message.startswith("The from address does not match a verified Sender Identity.")


def test_the_sandbox_checks_and_takes_nothing() -> None:
    """Sandbox mode answers 200, gives no id, and refuses what is wrong all the same."""
    sandbox = {"sandbox_mode": {"enable": True}}

    right = judge(sendgrid_call(mail(mail_settings=sandbox)), ANYTHING)
    wrong = judge(sendgrid_call(mail(mail_settings=sandbox, subject="")), ANYTHING)

    assert (right.answer.status, right.answer.headers, right.accepted) == (200, (), False)
    assert wrong.answer.status == 400


def test_a_letter_has_everything_that_the_request_said() -> None:
    """Nothing that was sent is missing from what the inbox will show."""
    body = mail(
        personalizations=to("ann@example.com", cc=[{"email": "c@x.org", "name": "C"}], bcc=[{"email": "b@x.org"}]),
        reply_to_list=[{"email": "r@x.org"}],
        content=[PLAIN, HTML],
        headers={"X-Order": "42"},
        categories=["receipt"],
        custom_args={"mailcore_id": "em_1", "mailcore_key": "em_1.0"},
        attachments=[FILE, {**FILE, "disposition": "inline", "content_id": "logo"}],
    )

    letter = judge(sendgrid_call(body), ANYTHING).letter

    assert letter is not None
    assert letter.from_ == Mailbox("a@shop.example", "Shop")
    assert letter.recipients == ("ann@example.com", "c@x.org", "b@x.org")
    assert letter.reply_to == (Mailbox("r@x.org"),)
    assert (letter.subject, letter.text, letter.html) == ("Hello", "a", "<p>a")
    assert (letter.headers, letter.tags) == ((("X-Order", "42"),), ("receipt",))
    assert (letter.email_id, letter.key) == ("em_1", "em_1.0")
    assert [file.content_id for file in letter.files] == [None, "logo"]
    assert letter.files[0] == File(filename="a.txt", content_type="text/plain", content=b"abc")


def test_two_requests_never_get_one_id() -> None:
    """Ids differ by the request's number, even within a moment."""
    ids = {judge(sendgrid_call(mail(), seq=seq), ANYTHING).message_id for seq in range(100)}

    assert len(ids) == 100


def test_a_status_has_sendgrids_words() -> None:
    """A scripted 429 says what SendGrid says."""
    assert refuse(429).body == b'{"errors":[{"message":"too many requests","field":null,"help":null}]}'
