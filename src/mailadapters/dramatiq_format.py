"""A wake-up as a dramatiq message: the JSON that dramatiq 2 writes and reads, and nothing but ids in it.

It is written here because dramatiq's own way blocks the event loop, and read here because dramatiq's own way trusts
what it finds: an unknown queue name ends a worker thread, and a delay hides a message in a worker. A contract test
lets a real dramatiq worker read what is written here, and reads here what dramatiq writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from mailcore.lifecycle import EmailId
from mailcore.message import Lane

MOST_IDS: Final = 50
"""So many ids travel in one message: enough to make a message cheap, few enough for workers to share a backlog."""

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Ids = Annotated[list[_Id], Meta(min_length=1, max_length=1000)]
_Text = Annotated[str, Meta(max_length=200)]


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""


class Options(Struct, frozen=True, kw_only=True):
    """What dramatiq says of a message besides.

    Attributes:
        redis_message_id: The name that its Redis broker knows it by.
        eta: When a delayed message is due. We delay none, and take none that is.
    """

    redis_message_id: _Text | None = None
    eta: None = None


class WakeUpMessage(Struct, frozen=True, kw_only=True):
    """A message of dramatiq's whose only argument is a list of ids.

    Attributes:
        message_timestamp: When it was written, in milliseconds since 1970.
    """

    queue_name: _Text
    actor_name: _Text
    args: tuple[_Ids]
    kwargs: Nothing = Nothing()
    options: Options = Options()
    message_id: _Text
    message_timestamp: int


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(WakeUpMessage)


def queue_name(prefix: str, lane: Lane) -> str:
    """Return the name of a lane's queue, which is its actor's name too."""
    return f"{prefix}.{lane}"


def octets_of(queue: str, email_ids: Sequence[EmailId], message_id: str, millis: int) -> bytes:
    """Return a message.

    Args:
        queue: The queue's name, as `queue_name` has it.
        email_ids: At least one, and `MOST_IDS` at most.
        message_id: A name that no other message has.
        millis: When it was written, in milliseconds since 1970.
    """
    return _encoder.encode(
        {
            "queue_name": queue,
            "actor_name": queue,
            "args": [email_ids],
            "kwargs": {},
            "options": {"redis_message_id": message_id},
            "message_id": message_id,
            "message_timestamp": millis,
        }
    )


def message_of(octets: bytes, queue: str) -> WakeUpMessage | None:
    """Return the wake-up that was found in a queue, or None if it is none of that queue's."""
    try:
        found = _decoder.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.queue_name == found.actor_name == queue else None
