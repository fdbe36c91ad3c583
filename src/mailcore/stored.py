"""What a store answers, as values."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from mailcore.lifecycle import Email
from mailcore.message import Message

SMALL: Final = 8 * 1024
"""Bytes of a message, as a store keeps it, up to which it comes along with its e-mail: most have no more."""


class Fetched(Struct, frozen=True):
    """An e-mail as it is stored, with its message where that is small."""

    email: Email
    message: Message | None


class Added(Struct, frozen=True):
    """The e-mail that holds an id, and whether this call put it there."""

    email: Email
    fresh: bool


class Page(Struct, frozen=True, kw_only=True):
    """A part of a list, newest first by (created_at, id).

    Attributes:
        after: Hand it back to get the next page; None at the end. Opaque to callers.
    """

    emails: tuple[Email, ...]
    after: str | None
