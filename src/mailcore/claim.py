"""What a courier has in hand while it makes an attempt."""

from __future__ import annotations

from msgspec import Struct

from mailcore.attempt import Attempt
from mailcore.lifecycle import Email
from mailcore.message import Message
from mailcore.provider import Send


class Claim(Struct, frozen=True):
    """An attempt that is this process's to make.

    Attributes:
        began: Since when, by this process's monotonic clock, in seconds.
        message: What is to be sent, if that was read along with the e-mail.
    """

    email: Email
    attempt: Attempt
    began: float
    message: Message | None


class Draft(Struct, frozen=True):
    """What to hand to a provider.

    Attributes:
        note: What its author should know of it, for the timeline; mostly nothing.
    """

    send: Send
    note: str
