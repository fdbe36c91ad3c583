"""What SendGrid's v3 API says to a request: the wire format, the words and the ids.

The rules about the content of a message are in `sendgrid_rules`. Source: providers' page of SendGrid,
twilio/sendgrid-oai, and the behaviour that django-anymail has seen of the live service.
"""

from __future__ import annotations

from base64 import b64decode
from http import HTTPStatus
from itertools import chain

from mailapps.emulator.sendgrid_mail import Mail, Party
from mailapps.emulator.sendgrid_rules import Problem, problems
from mailapps.emulator.wire import (
    GATEWAYS,
    JSON,
    Account,
    Answer,
    Call,
    File,
    Letter,
    Mailbox,
    Verdict,
    gateway_page,
    json_answer,
    phrase,
    read_json,
    token,
    verified,
)

MAX_BYTES = 30_000_000
SEND_PATH = "/v3/mail/send"
SCOPES_PATH = "/v3/scopes"
_WORDS = {
    400: "Bad Request",
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    404: "Not Found",
    405: "POST method allowed only",
    406: "Not Acceptable",
    413: "Request Entity Too Large",
    415: "Content-Type should be application/json.",
    429: "too many requests",
}
_UNVERIFIED = (
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
    "resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the "
    "Sender Identity requirements"
)


def judge(call: Call, account: Account) -> Verdict:
    """Return what SendGrid says to a call: 202 with an id, 200 in sandbox mode, or its refusal."""
    if call.path == SCOPES_PATH:
        return _scopes(call, account)
    if refusal := _gate(call, account):
        return Verdict(answer=refusal)
    try:
        mail = read_json(call.body, Mail)
    except ValueError:  # a wrong type has the same opaque words as what is no JSON
        return Verdict(answer=refuse(400))
    letter = letter_of(mail)
    if found := problems(mail, call.now):
        return Verdict(answer=_refusal(400, *found), letter=letter)
    if not verified(account, letter.from_.email):
        return Verdict(answer=_refusal(403, Problem("from", _UNVERIFIED)), letter=letter)
    return _taken(call, mail, letter)


def refuse(status: int) -> Answer:
    """Return SendGrid's own words for a status; a success has none."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(status=status)
    if status in GATEWAYS:
        return gateway_page(status)
    return _refusal(status, Problem(None, _WORDS.get(status, phrase(status))))


def _gate(call: Call, account: Account) -> Answer | None:
    """Return the refusal of what is wrong before the body is read, or None."""
    locked = _locked(call, account)
    checks = (
        (call.path != SEND_PATH, refuse(404)),
        (call.method != "POST", refuse(405)),
        (call.too_large or len(call.body) > MAX_BYTES, refuse(413)),
        (locked is not None, locked),
        ("accept" not in call.headers, refuse(406)),
        (call.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON, refuse(415)),
    )
    return next((answer for wrong, answer in checks if wrong), None)


def _locked(call: Call, account: Account) -> Answer | None:
    """Return the refusal of a call without a key, or with one that the account does not know, or None."""
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        return _refusal(401, Problem(None, "authorization required"))
    return refuse(401) if account.api_keys is not None and key not in account.api_keys else None


def _scopes(call: Call, account: Account) -> Verdict:
    """Return the verdict on the question what a key may do: here every key that is known may send."""
    if call.method != "GET":
        return Verdict(answer=_refusal(405, Problem(None, "GET method allowed only")))
    if refusal := _locked(call, account):
        return Verdict(answer=refusal)
    return Verdict(answer=json_answer(200, {"scopes": ["mail.send", "sender_verification_eligible"]}), checked=True)


def _taken(call: Call, mail: Mail, letter: Letter) -> Verdict:
    """Return the verdict on a message with nothing wrong in it."""
    if mail.in_sandbox:
        return Verdict(answer=Answer(status=200), letter=letter, checked=True)
    message_id = token(call)
    answer = Answer(status=202, headers=(("X-Message-Id", message_id),))
    return Verdict(answer=answer, letter=letter, accepted=True, delivered=True, message_id=message_id)


def _refusal(status: int, *found: Problem) -> Answer:
    """Return an answer in SendGrid's shape of an error."""
    return json_answer(
        status, {"errors": [{"message": one.message, "field": one.field, "help": None} for one in found]}
    )


def letter_of(mail: Mail) -> Letter:
    """Return the letter in a request whose types are right, whatever else is wrong with it."""
    first = mail.personalizations[0] if mail.personalizations else None
    texts = {part.type: part.value for part in mail.content or ()}
    reply_to = (*((mail.reply_to,) if mail.reply_to else ()), *(mail.reply_to_list or ()))
    return Letter(
        from_=_mailbox(mail.from_) if mail.from_ else Mailbox(""),
        to=_everyone(mail, "to"),
        cc=_everyone(mail, "cc"),
        bcc=_everyone(mail, "bcc"),
        reply_to=tuple(map(_mailbox, reply_to)),
        subject=(first and first.subject) or mail.subject or "",
        text=texts.get("text/plain"),
        html=texts.get("text/html"),
        headers=tuple({**(mail.headers or {}), **((first and first.headers) or {})}.items()),
        files=_files(mail),
        tags=tuple(mail.categories or ()),
        metadata=tuple({**(mail.custom_args or {}), **((first and first.custom_args) or {})}.items()),
    )


def _everyone(mail: Mail, field: str) -> tuple[Mailbox, ...]:
    """Return the people in one field of all personalizations."""
    lists: list[list[Party]] = [getattr(one, field) or [] for one in mail.personalizations or ()]
    return tuple(map(_mailbox, chain.from_iterable(lists)))


def _mailbox(party: Party) -> Mailbox:
    """Return an address and its name."""
    return Mailbox(party.email, party.name or "")


def _files(mail: Mail) -> tuple[File, ...]:
    """Return the attachments; content that is not base64 (a problem of its own) reads as empty."""
    return tuple(
        File(
            filename=one.filename or "",
            content_type=one.type or "application/octet-stream",
            content=_decoded(one.content or ""),
            content_id=one.content_id if one.disposition == "inline" else None,
        )
        for one in mail.attachments or ()
    )


def _decoded(content: str) -> bytes:
    """Return what base64 text stands for, or nothing where it is none."""
    try:
        return b64decode(content, validate=True)
    except ValueError:
        return b""
