"""Our own adapters against the emulator: what they build is taken, what it answers they understand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.apps.emulator.calls import ANYTHING, NOW

from mailadapters.providers import mailgun as mailgun_adapter
from mailadapters.providers import sendgrid as sendgrid_adapter
from mailadapters.providers.kind import KeyCheck, KeyState
from mailapps.emulator import mailgun, sendgrid
from mailapps.emulator.wire import Account, Answer, Call, File, Mailbox, Verdict
from mailcore.message import Address, Attachment, Message
from mailcore.outcome import Accepted, Misconfigured, Outcome, Scope, Throttled
from mailcore.provider import HttpRequest, HttpResponse, Send
from mailcore.secret import Secret

BASE = "http://127.0.0.1:8025"
SENDGRID = sendgrid_adapter.SendGridSettings(api_key=Secret("SG.any"), base_url=f"{BASE}/sendgrid")
MAILGUN = mailgun_adapter.MailgunSettings(
    api_key=Secret("any"), domain="mg.shop.example", base_url=f"{BASE}/mailgun/v3"
)

MESSAGE = Message(
    from_=Address("no-reply@shop.example", "Shop"),
    to=(Address("ann@example.com", 'Käthe, the "Ann"'), Address("b@bücher.example")),
    cc=(Address("c@example.com"),),
    bcc=(Address("d@example.com"),),
    reply_to=(Address("r@shop.example"), Address("s@shop.example", "S")),
    subject="Grüße – 42",
    text="It works.",
    html='<p>It works. <img src="cid:logo">',
    attachments=(
        Attachment(filename="a b.txt", content_type="text/plain", content=b"\r\n--\x00"),
        Attachment(filename="logo.png", content_type="image/png", content=b"png", content_id="logo"),
    ),
    headers={"X-Order": "42"},
    tags=("receipt", "de"),
    metadata={"order": "42"},
)


def send(message: Message) -> Send:
    """Return one attempt."""
    return Send(message=message, email_id="em_1", key="em_1.0", deadline=timedelta(seconds=20))


def call(request: HttpRequest, provider: str) -> Call:
    """Return a built request as it reaches the emulator."""
    headers = {"accept": "*/*", **{name.lower(): value for name, value in request.headers}}
    path = request.url.removeprefix(f"{BASE}/{provider}")
    return Call(provider=provider, method=request.method, path=path, headers=headers, body=request.body, now=NOW, seq=1)


def response(answer: Answer) -> HttpResponse:
    """Return an answer of the emulator as it reaches an adapter."""
    headers = {name.lower(): value for name, value in answer.headers}
    return HttpResponse(status=answer.status, headers=headers, body=answer.body, received_at=NOW)


def through_sendgrid(message: Message, account: Account = ANYTHING) -> tuple[Verdict, Outcome]:
    """Return what the emulator said to the adapter, and what the adapter made of it."""
    verdict = sendgrid.judge(call(sendgrid_adapter.build_request(send(message), SENDGRID), "sendgrid"), account)
    return verdict, sendgrid_adapter.parse_response(response(verdict.answer))


def through_mailgun(message: Message, account: Account = ANYTHING) -> tuple[Verdict, Outcome]:
    """Return what the emulator said to the adapter, and what the adapter made of it."""
    verdict = mailgun.judge(call(mailgun_adapter.build_request(send(message), MAILGUN), "mailgun"), account)
    return verdict, mailgun_adapter.parse_response(response(verdict.answer))


@pytest.mark.parametrize("through", [through_sendgrid, through_mailgun])
def test_a_rich_message_arrives_whole_by_either_format(through: object) -> None:
    """Addresses, bodies, files, headers, tags and metadata are the same at the other end."""
    assert callable(through)

    verdict, outcome = through(MESSAGE)

    assert outcome == Accepted(provider_id=verdict.message_id), verdict.answer
    letter = verdict.letter
    assert letter is not None
    assert letter.from_ == Mailbox("no-reply@shop.example", "Shop")
    assert letter.to == (Mailbox("ann@example.com", 'Käthe, the "Ann"'), Mailbox("b@xn--bcher-kva.example"))
    assert letter.recipients[2:] == ("c@example.com", "d@example.com")
    assert letter.reply_to == (Mailbox("r@shop.example"), Mailbox("s@shop.example", "S"))
    assert (letter.subject, letter.text, letter.html) == (MESSAGE.subject, MESSAGE.text, MESSAGE.html)
    assert letter.files[0] == File(filename="a b.txt", content_type="text/plain", content=b"\r\n--\x00")
    assert (letter.files[1].content_id, letter.files[1].content) == ("logo", b"png")
    assert dict(letter.headers) == {"X-Order": "42"}
    assert letter.tags == ("receipt", "de")
    assert dict(letter.metadata) == {"order": "42", "mailcore_id": "em_1"}
    assert letter.email_id == "em_1"


def test_an_unverified_from_is_about_the_sender_alone_at_sendgrid() -> None:
    """The adapter reads SendGrid's words as they are emulated: another From would pass."""
    _, outcome = through_sendgrid(MESSAGE, Account(verified_senders=("@other.example",)))

    assert isinstance(outcome, Misconfigured)
    assert outcome.scope is Scope.SENDER


def test_an_unknown_key_is_about_the_account() -> None:
    """Both adapters read a 401 as a fault of the account."""
    for through in (through_sendgrid, through_mailgun):
        _, outcome = through(MESSAGE, Account(api_keys=("right",)))

        assert isinstance(outcome, Misconfigured)
        assert outcome.scope is Scope.ACCOUNT


def test_a_429_is_throttling() -> None:
    """Both adapters read the emulated words of a 429 as what they are."""
    assert isinstance(sendgrid_adapter.parse_response(response(sendgrid.refuse(429))), Throttled)
    assert isinstance(mailgun_adapter.parse_response(response(mailgun.refuse(429))), Throttled)


def sendgrid_probe(account: Account) -> tuple[Verdict, KeyCheck]:
    """Return what the emulator said to the probe, and what the adapter made of it."""
    verdict = sendgrid.judge(call(sendgrid_adapter.build_probe(SENDGRID), "sendgrid"), account)
    return verdict, sendgrid_adapter.parse_probe(response(verdict.answer))


def mailgun_probe(account: Account) -> tuple[Verdict, KeyCheck]:
    """Return what the emulator said to the probe, and what the adapter made of it."""
    verdict = mailgun.judge(call(mailgun_adapter.build_probe(MAILGUN), "mailgun"), account)
    return verdict, mailgun_adapter.parse_probe(response(verdict.answer))


def test_a_probe_with_a_known_key_works_and_sends_nothing() -> None:
    """Both providers know the key without having taken a message."""
    for probe in (sendgrid_probe, mailgun_probe):
        verdict, found = probe(Account(api_keys=("any", "SG.any"), domains=("mg.shop.example",)))

        assert found == KeyCheck(KeyState.WORKS)
        assert not verdict.accepted
        assert not verdict.delivered


def test_a_probe_with_an_unknown_key_is_refused() -> None:
    """Both providers answer 401, in their own words."""
    for probe in (sendgrid_probe, mailgun_probe):
        _, found = probe(Account(api_keys=("right",)))

        assert (found.state, found.reason[:3]) == (KeyState.REFUSED, "401")


def test_a_probe_of_a_domain_that_is_not_there_is_refused() -> None:
    """Mailgun answers 404, which names the domain and is about the settings."""
    _, found = mailgun_probe(Account(domains=("other.example",)))

    assert found.state is KeyState.REFUSED
    assert "404 Domain not found: mg.shop.example" in found.reason


def test_only_get_asks_for_scopes() -> None:
    """SendGrid refuses the question in any other method."""
    asked = call(sendgrid_adapter.build_probe(SENDGRID), "sendgrid")

    verdict = sendgrid.judge(replace(asked, method="POST"), ANYTHING)

    assert verdict.answer.status == 405
