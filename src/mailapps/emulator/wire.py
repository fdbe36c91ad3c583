"""What passes between the parts of the emulator: a call, the letter in it, the answer, and the verdict.

The modules of the providers turn a `Call` into a `Verdict` without looking at a clock or a socket, so every
rule of theirs can be tested with a value.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import Struct

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
MAX_RECIPIENTS = 1000
GATEWAYS = frozenset({*range(300, 400), 502, 504})
"""What no provider says itself, but the gateway before it."""

_T = TypeVar("_T")

_LOCAL = r"""(?:[^\s@<>()\[\]\\,;:"]+|"(?:[^"\\\r\n]|\\.)+")"""
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
_ADDRESS = re.compile(f"{_LOCAL}@{_DOMAIN}")


class Kind(StrEnum):
    """A wire format that the emulator speaks."""

    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"


class Call(Struct, frozen=True, kw_only=True):
    """One request to a provider.

    Attributes:
        provider: The first part of the path, such as `sendgrid` or `sendgrid-eu`.
        path: What follows it, such as `/v3/mail/send`.
        headers: By lower-case name.
        seq: The request's number, from which the provider's id is made.
        too_large: The body was longer than the emulator reads; it is left out.
    """

    provider: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    seq: int
    too_large: bool = False


class Mailbox(Struct, frozen=True):
    """An address and the name shown beside it."""

    email: str
    name: str = ""

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.name} <{self.email}>" if self.name else self.email


class File(Struct, frozen=True, kw_only=True):
    """An attachment; with a content id it is an inline part of the HTML."""

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None


class Letter(Struct, frozen=True, kw_only=True):
    """What a request asks to have sent, as far as it could be read.

    Attributes:
        email_id: The sender's own id of it, from the metadata `mailcore_id`.
        key: The key of the series of attempts, from the metadata `mailcore_key`.
    """

    from_: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody it is for, in the order to, cc, bcc."""
        return tuple(mailbox.email for mailbox in self.to + self.cc + self.bcc)

    @property
    def email_id(self) -> str | None:
        """The sender's own id of it, from the metadata `mailcore_id`."""
        return dict(self.metadata).get("mailcore_id")

    @property
    def key(self) -> str | None:
        """The key of the series of attempts, from the metadata `mailcore_key`."""
        return dict(self.metadata).get("mailcore_key")


class Answer(Struct, frozen=True, kw_only=True):
    """An HTTP answer before it is on the wire."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Verdict(Struct, frozen=True, kw_only=True):
    """What the real provider would say to a call.

    Attributes:
        letter: What the call asks to have sent; None where it could not be read.
        accepted: The provider now owns the message.
        delivered: It goes to the inbox (not so in a provider's own test mode).
        checked: It was found right and thrown away: the provider's sandbox.
        message_id: The provider's id of an accepted message.
    """

    answer: Answer
    letter: Letter | None = None
    accepted: bool = False
    delivered: bool = False
    checked: bool = False
    message_id: str | None = None


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider knows of us. None means that anything goes.

    Attributes:
        api_keys: The keys that open it.
        verified_senders: Addresses, or whole domains written as ``@shop.example``, allowed as From.
        domains: The sending domains that exist there.
        authorized_recipients: Who may get mail from a sandbox domain, `sandbox….mailgun.org`: nobody else does.
    """

    api_keys: tuple[str, ...] | None = None
    verified_senders: tuple[str, ...] | None = None
    domains: tuple[str, ...] | None = None
    authorized_recipients: tuple[str, ...] = ()


def is_address(text: str, *, unicode_local: bool = False) -> bool:
    """Tell whether a provider takes this as a bare address; the domain must be ASCII (A-labels)."""
    return _ADDRESS.fullmatch(text) is not None and (unicode_local or text.isascii())


def verified(account: Account, sender: str) -> bool:
    """Tell whether the account may send from an address."""
    known = account.verified_senders
    address = sender.lower()
    return known is None or any(
        address == one.lower() or address.endswith(f"@{one.lower().lstrip('@')}") for one in known
    )


def json_answer(status: int, content: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status=status, body=msgspec.json.encode(content), headers=headers)


def phrase(status: int) -> str:
    """Return what HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown Status"


def gateway_page(status: int) -> Answer:
    """Return what the nginx before a provider says when it has nothing of the provider's to hand on."""
    said = f"{status} {phrase(status)}"
    page = (
        f"<html>\r\n<head><title>{said}</title></head>\r\n<body>\r\n<center><h1>{said}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status=status, body=page.encode(), content_type="text/html")


def read_json(body: bytes, kind: type[_T]) -> _T:
    """Return JSON as a type.

    Raises:
        ValueError: It is none, or not of this type; the text names the field.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:  # what is no UTF-8 is a ValueError already
        raise ValueError(str(error)) from error


def token(call: Call) -> str:
    """Return 22 URL-safe characters that no other request of this server's life has."""
    return urlsafe_b64encode(sha256(f"{call.now.isoformat()}#{call.seq}".encode()).digest())[:22].decode()


def kind_of(provider: str) -> Kind | None:
    """Return the wire format of a provider's name, which may carry a label after a hyphen."""
    stem = provider.partition("-")[0]
    return Kind(stem) if stem in set(Kind) else None
