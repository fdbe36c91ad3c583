"""How many e-mails a key may submit a day, a domain may send, a mailbox is sent: what is counted of a message. Pure.

All are rate limits (rates.py) over e-mails that are accepted. A mailbox is counted under a digest, so that whoever
reads the counts finds no address there.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from mailcore.addresses import mailbox, pointer_to
from mailcore.errors import CapReachedError
from mailcore.message import Address, Message, envelope
from mailcore.rates import Admission, Bucket, RateLimit

DAY: Final = timedelta(days=1)
FROM: Final = "/from"

_DIGITS: Final = 32
"""So many of a digest tell mailboxes apart: 128 bits."""


class Cap(Struct, frozen=True):
    """A bound on e-mails, of a key unless it says of whom.

    Attributes:
        sender: Whose domain it is.
        recipient: Whose mailbox it is.
    """

    bucket: Bucket
    sender: Address | None = None
    recipient: Address | None = None


def daily_cap(key_id: str, emails: int) -> Cap:
    """Return the bound of a key that may submit so many e-mails a day, apart from how often it may ask."""
    return Cap(Bucket(f"{key_id}:day", RateLimit(requests=emails, per=DAY)))


def sender_cap(message: Message, limit: RateLimit) -> Cap:
    """Return the bound of the domain that a checked message is from.

    Args:
        limit: How many e-mails a domain sends.
    """
    sender = envelope(message).sender
    return Cap(Bucket(f"domain:{sender.domain}", limit), sender=sender)


def recipient_caps(message: Message, limit: RateLimit, pepper: bytes) -> list[Cap]:
    """Return the bound of each mailbox that a checked message goes to, none twice.

    Args:
        limit: How many e-mails a mailbox is sent.
        pepper: Without which nobody can tell whether a digest is of an address that they guess.
    """
    recipients = envelope(message).recipients
    return [Cap(Bucket(f"mailbox:{_digest(one, pepper)}", limit), recipient=one) for one in recipients]


def must_fit(caps: Sequence[Cap], admissions: Sequence[Admission], written: Message) -> None:
    """Return if every bound has room for a message.

    Args:
        admissions: How each bound stands, in their order.
        written: The message as its author wrote it.

    Raises:
        CapReachedError: For the bound that must be waited for the longest.
    """
    full = [(told.retry_after_s, at) for at, told in enumerate(admissions) if not told.allowed]
    if full:
        seconds, at = max(full)
        raise _reached(caps[at], math.ceil(seconds), written)


def _reached(cap: Cap, wait_s: int, written: Message) -> CapReachedError:
    """Return what to raise for a bound that has no room."""
    limit = cap.bucket.limit
    number = f"{limit.requests} e-mails in {limit.per.total_seconds():g} s at most; wait {wait_s} s"
    if cap.sender:
        return CapReachedError(f"the domain at {FROM} sends {number}", FROM, wait_s)
    if cap.recipient:
        pointer = pointer_to(cap.recipient, written)
        return CapReachedError(f"the mailbox at {pointer} is sent {number}", pointer, wait_s)
    return CapReachedError(f"this key may submit {limit.requests} e-mails a day; wait {wait_s} s", "", wait_s)


def _digest(recipient: Address, pepper: bytes) -> str:
    """Return what stands for a mailbox where it is counted."""
    return hmac.digest(pepper, f"mailbox:{mailbox(recipient)}".encode(), "sha256").hex()[:_DIGITS]
