"""What an author writes: Message, Address, Attachment, the envelope, and the table of limits.

A Message is written with wide types (one address or many, text or Address) and is immutable.
`mailcore.validation.checked` returns the same message with every address parsed, or all of its problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, cast

from msgspec import Struct, field

OUR_ID: Final = "mailcore_id"
"""The key of the metadata under which a provider gets our id of the e-mail; no message may use it."""


class Lane(StrEnum):
    """How urgent an e-mail is: bounds its age and its share of the slots."""

    URGENT = "urgent"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class OnUnknown(StrEnum):
    """What to do when nobody knows whether a provider took the message."""

    RETRY = "retry"
    HOLD = "hold"


class Address(Struct, frozen=True, forbid_unknown_fields=True):
    """A mailbox: ``local@domain`` and the name shown beside it.

    Attributes:
        email: In a checked message the normalised address, its domain as U-labels.
        name: The display name, empty if there is none.
    """

    email: str
    name: str = ""

    @property
    def domain(self) -> str:
        """The part after the last at sign, in lower case."""
        return self.email.rpartition("@")[2].lower()

    @property
    def local(self) -> str:
        """The part before the last at sign."""
        return self.email.rpartition("@")[0]

    def __repr__(self) -> str:
        """Return what tells addresses apart and may stand in a log or a traceback."""
        return f"Address({self.local[:1]}***@{self.domain})"


Addresses = str | Address | Sequence[str | Address]


class Attachment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that goes with a message.

    Attributes:
        content: The decoded bytes (base64 in JSON).
        content_id: Set for an inline part: what the HTML names as ``cid:…``, without brackets.
    """

    filename: str
    content_type: str = "application/octet-stream"
    content: bytes
    content_id: str | None = None

    def __repr__(self) -> str:
        """Return its size alone: names tell as much as contents."""
        return f"Attachment({len(self.content)} bytes)"


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the author wrote. Immutable; nothing on its way changes it.

    Attributes:
        from_: The author's address; `from` in JSON. Falls back to the engine's `default_from`.
        to: One address or many; text is parsed as ``Name <local@domain>`` or ``local@domain``.
        attachments: Regular and, with a content_id, inline ones.
        headers: Extra headers by name. Names that mailcore sets itself are refused.
        tags: Words to group e-mails by; at most 10, no repeats.
        metadata: Pairs of the caller's own, handed to the provider and returned in its events.
        scheduled_at: Not before this moment (aware), at most 365 days ahead.
        expires_at: Not after this moment (aware): it fails instead.
        on_unknown: What to do when nobody knows whether a provider took it.
    """

    from_: str | Address | None = field(default=None, name="from")
    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    lane: Lane = Lane.TRANSACTIONAL
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    on_unknown: OnUnknown = OnUnknown.RETRY

    def __repr__(self) -> str:
        """Return nothing that its author wrote: a traceback must not quote a letter."""
        return f"Message({self.lane}, {len(self.attachments)} attachments)"


class Envelope(Struct, frozen=True, kw_only=True):
    """Who a checked message is from and for, every address parsed; no address stands in it twice."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Everybody who must get the message: to, then cc, then bcc."""
        return self.to + self.cc + self.bcc


def envelope(message: Message) -> Envelope:
    """Return who a checked message is from and for.

    Raises:
        TypeError: The message was not checked: an address is still text.
    """
    return Envelope(
        sender=_parsed(message.from_)[0],
        to=_parsed(message.to),
        cc=_parsed(message.cc),
        bcc=_parsed(message.bcc),
        reply_to=_parsed(message.reply_to),
    )


def _parsed(addresses: Addresses | None) -> tuple[Address, ...]:
    """Return addresses that must have been parsed before."""
    if addresses == ():
        return ()  # as most fields of most messages are
    many = (addresses,) if addresses is None or isinstance(addresses, (str, Address)) else tuple(addresses)
    for one in many:
        if one.__class__ is not Address:
            message = "the message was not checked: call mailcore.validation.checked first"
            raise TypeError(message)
    return cast("tuple[Address, ...]", many)


class Limits(Struct, frozen=True, kw_only=True):
    """The table of limits: how large a message may be. Sizes in bytes, lengths in characters.

    Source: the subject and header lines are RFC 5322 section 2.1.1's; the rest is what the smallest of the
    big providers takes, so that a failover finds no message that it cannot carry.
    """

    request_bytes: int = 25 * 1024 * 1024
    subject_length: int = 998
    body_bytes: int = 2 * 1024 * 1024
    recipients: int = 50
    name_length: int = 255
    attachments: int = 20
    attachment_bytes: int = 15 * 1024 * 1024
    headers: int = 50
    header_length: int = 998
    tags: int = 10
    tag_length: int = 128
    metadata: int = 50
    metadata_key_length: int = 100
    metadata_length: int = 500
    json_depth: int = 32
    filename_length: int = 255
    schedule_ahead: timedelta = timedelta(days=365)


LIMITS = Limits()
