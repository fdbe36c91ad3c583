"""Addresses that must not be written to, and what is left of a message without them. Pure.

A suppression is one tenant's: what one has learned of an address is not told to the others by refusing their mail.
It names a mailbox, so that neither case nor Unicode's other forms of a letter get past it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.addresses import mailbox, parse, pointer_to
from mailcore.errors import InvalidMessageError, Problem, SuppressedError
from mailcore.message import Address, Message, envelope
from mailcore.problems import ProblemCode, problem

_NAMED: Final = 10


class Grounds(StrEnum):
    """Why an address must not be written to."""

    BOUNCED = "bounced"
    """A provider said that there is no such mailbox."""

    COMPLAINED = "complained"
    """Whoever reads there called a message spam."""

    UNSUBSCRIBED = "unsubscribed"
    """Whoever reads there wants no more."""

    MANUAL = "manual"
    """A person decided so."""


class Suppression(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address that must not be written to.

    What is a default is not stored. So a default never changes: a new meaning needs a new field.

    Attributes:
        tenant: Whose e-mails do not go there.
        address: As it was given, its domain normalised.
        reason: Why.
        source: Who said so: a provider, a file, an application; for people.
        created_at: When it was said.
        expires_at: When it ends by itself; None if it does not.
    """

    tenant: str
    address: str
    reason: Grounds
    source: str = ""
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def mailbox(self) -> str:
        """What it is found by: a later word on the same mailbox replaces it."""
        return mailbox(Address(self.address))

    def __repr__(self) -> str:
        """Return what may stand in a log: an address may not."""
        return f"Suppression({Address(self.address)!r}, {self.reason})"


class SuppressionPage(Struct, frozen=True):
    """Part of a tenant's suppressions, ordered by mailbox.

    Attributes:
        after: The mailbox to go on behind; None at the end.
    """

    suppressions: tuple[Suppression, ...]
    after: str | None


def normalised(suppressions: Sequence[Suppression]) -> tuple[Suppression, ...]:
    """Return suppressions with their addresses as those of a checked message are, or they would not be found.

    Raises:
        InvalidMessageError: Some are no addresses; names each, such as ``/0/address``.
    """
    read = [parse(one.address, f"/{n}/address") for n, one in enumerate(suppressions)]
    if wrong := [one for one in read if isinstance(one, Problem)]:
        raise InvalidMessageError(wrong)
    found = zip(suppressions, (one for one in read if isinstance(one, Address)), strict=True)
    return tuple(replace(one, address=address.email) for one, address in found)


def in_force(suppression: Suppression, now: datetime) -> bool:
    """Whether its address must not be written to now."""
    return suppression.expires_at is None or suppression.expires_at > now


def addressed(message: Message) -> tuple[Address, ...]:
    """Return whom a checked message is written to: its `to`, or all its recipients if it has none."""
    who = envelope(message)
    return who.to or who.recipients


def recipients(message: Message) -> Iterator[str]:
    """Yield whom a checked message goes to; nothing is done for it where nobody asks, as most lists are empty."""
    for one in envelope(message).recipients:
        yield one.email


def must_reach(message: Message, found: Sequence[Suppression], written: Message) -> None:
    """Return if somebody whom a checked message is written to may get it.

    Args:
        found: The suppressions in force among its recipients.
        written: The message as its author wrote it.

    Raises:
        SuppressedError: Nobody may.
    """
    by_mailbox = {one.mailbox: one for one in found}
    suppressed = [(one, by_mailbox.get(mailbox(one))) for one in addressed(message)]
    if all(why for _, why in suppressed):
        raise SuppressedError([_refused(pointer_to(one, written), why) for one, why in suppressed if why])


def _refused(pointer: str, why: Suppression) -> Problem:
    """Return what is wrong with a recipient that must not be written to."""
    since = f"{why.created_at:%Y-%m-%d}"
    detail = f"suppressed since {since} ({why.reason}): not written to until that is lifted"
    return problem(pointer, ProblemCode.SUPPRESSED, detail)


class Spared(Struct, frozen=True):
    """A checked message without the recipients that must not be written to.

    Attributes:
        left_out: JSON pointers to those recipients.
        reaches: Somebody whom it was written to still gets it.
    """

    message: Message
    left_out: tuple[str, ...]
    reaches: bool

    @property
    def named(self) -> str:
        """Those recipients in a few words, which leave room for what a provider says."""
        first, more = self.left_out[:_NAMED], len(self.left_out) - _NAMED
        return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def spared(message: Message, found: Sequence[Suppression]) -> Spared:
    """Return a checked message without those of its recipients that suppressions in force name."""
    mailboxes = {one.mailbox for one in found}
    who = envelope(message)
    fields = {"to": who.to, "cc": who.cc, "bcc": who.bcc}
    kept = {name: tuple(one for one in field if mailbox(one) not in mailboxes) for name, field in fields.items()}
    return Spared(
        message=replace(message, **kept),
        left_out=tuple(_pointers(fields, mailboxes)),
        reaches=any(mailbox(one) not in mailboxes for one in addressed(message)),
    )


def _pointers(fields: Mapping[str, Sequence[Address]], mailboxes: Collection[str]) -> Iterator[str]:
    """Yield where the suppressed recipients stand."""
    for name, field in fields.items():
        yield from (f"/{name}/{at}" for at, one in enumerate(field) if mailbox(one) in mailboxes)
