"""What the tests of the emulator send: calls as values, right ones and ones with a change."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from mailapps.emulator.wire import Account, Call, Letter, Mailbox, Verdict

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BEARER = {"authorization": "Bearer SG.any"}
BASIC = {"authorization": f"Basic {base64.b64encode(b'api:any').decode()}"}
SENDGRID = "/sendgrid/v3/mail/send"
MAILGUN = "/mailgun/v3/shop.example/messages"
FORM = {"from": "Shop <a@shop.example>", "to": "ann@example.com", "subject": "Hello", "text": "It works."}
ANYTHING = Account()


def mail(**changes: object) -> dict[str, Any]:
    """Return a body that SendGrid takes, with changes; a change to None leaves the key out."""
    right = {
        "personalizations": [{"to": [{"email": "ann@example.com"}]}],
        "from": {"email": "a@shop.example", "name": "Shop"},
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "It works."}],
    }
    changes = {"from": changes.pop("from_"), **changes} if "from_" in changes else changes
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def sendgrid_call(body: object, **changes: object) -> Call:
    """Return a call to SendGrid with this body as JSON, or as it is if it is bytes."""
    right = {
        "provider": "sendgrid",
        "method": "POST",
        "path": "/v3/mail/send",
        "headers": {**BEARER, "content-type": "application/json", "accept": "*/*"},
        "body": body if isinstance(body, bytes) else msgspec.json.encode(body),
        "now": NOW,
        "seq": 1,
    }
    return Call(**{**right, **changes})


def mailgun_call(form: object, **changes: object) -> Call:
    """Return a call to Mailgun with this form, urlencoded, or as it is if it is bytes."""
    right = {
        "provider": "mailgun",
        "method": "POST",
        "path": "/v3/shop.example/messages",
        "headers": {**BASIC, "content-type": "application/x-www-form-urlencoded"},
        "body": form if isinstance(form, bytes) else urlencode(form, doseq=True).encode(),
        "now": NOW,
        "seq": 1,
    }
    return Call(**{**right, **changes})


def mime_call(message: bytes, *, to: str = "ann@example.com", **fields: str) -> Call:
    """Return a call to Mailgun with a message that is MIME already, and other fields of its form."""
    parts = [
        *(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()),
        f'Content-Disposition: form-data; name="to"\r\n\r\n{to}'.encode(),
        b'Content-Disposition: form-data; name="message"; filename="message.mime"\r\n\r\n' + message,
    ]
    body = b"".join(b"--Q\r\n" + part + b"\r\n" for part in parts) + b"--Q--\r\n"
    headers = {**BASIC, "content-type": "multipart/form-data; boundary=Q"}
    return mailgun_call(body, path="/v3/shop.example/messages.mime", headers=headers)


def letter(**changes: object) -> Letter:
    """Return a letter with changes."""
    right = {
        "from_": Mailbox("a@shop.example", "Shop"),
        "to": (Mailbox("ann@example.com"),),
        "subject": "Hello",
        "text": "Hi",
    }
    return Letter(**{**right, **changes})


def reasons(verdict: Verdict) -> list[tuple[str | None, str]]:
    """Return field and message of each error in an answer of SendGrid's."""
    answer = msgspec.json.decode(verdict.answer.body)
    return [(one["field"], one["message"]) for one in answer["errors"]]


def told(verdict: Verdict) -> str:
    """Return the message in an answer of Mailgun's."""
    return str(msgspec.json.decode(verdict.answer.body)["message"])
