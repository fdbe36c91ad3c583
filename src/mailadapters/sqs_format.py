"""A wake-up as an SQS message: JSON with a list of ids, and nothing else in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from mailcore.lifecycle import EmailId

MOST_IDS: Final = 50
"""So many ids travel in one message: SQS is paid for by the request, and a batch of ten then wakes 500 e-mails up."""

_Id = Annotated[str, Meta(min_length=1, max_length=64)]


class WakeUpBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What a message says.

    Attributes:
        ids: The e-mails to look at.
    """

    ids: Annotated[list[_Id], Meta(min_length=1, max_length=1000)]


class BurialBody(Struct, frozen=True):
    """What a message in the dead-letter queue says, to systems of other people."""

    id: EmailId
    reason: str


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(WakeUpBody)


def body_of(email_ids: Sequence[EmailId]) -> str:
    """Return a message for these e-mails, at least one and at most `MOST_IDS`."""
    return _encoder.encode(WakeUpBody(list(email_ids))).decode()


def burial_of(email_id: EmailId, reason: str) -> str:
    """Return the message that tells of a dead letter."""
    return _encoder.encode(BurialBody(email_id, reason)).decode()


def ids_of(body: str) -> Sequence[EmailId] | None:
    """Return the ids in a message that anybody may have written; None if it is no wake-up."""
    try:
        return _decoder.decode(body).ids
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
