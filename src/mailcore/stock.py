"""What an operator counts in a store: what is unfinished by lane and status, how it coalesces, what it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from msgspec import Struct

from mailcore.lifecycle import Status
from mailcore.message import Lane


class Pile(Struct, frozen=True, kw_only=True):
    """The unfinished e-mails of one lane in one status.

    Attributes:
        count: How many there are, 1 or more.
        wakes_at: When the first of them wakes: in the past if it is due and nobody has taken it yet.
    """

    lane: Lane
    status: Status
    count: int
    wakes_at: datetime


@runtime_checkable
class TakesStock(Protocol):
    """A store that can count what is unfinished at one glance, at a cost that follows the unfinished alone."""

    async def stock(self) -> Sequence[Pile]:
        """Return a pile for each lane and status of which there are unfinished e-mails, in no order.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        ...


class Batches(Struct, frozen=True):
    """What a store has carried together since the process began.

    Attributes:
        calls: What its callers asked for.
        batches: In how many round trips, or transactions, that was done.
    """

    calls: int
    batches: int


@runtime_checkable
class CountsBatches(Protocol):
    """A store that can tell how well it coalesces."""

    def batches(self) -> dict[str, Batches]:
        """Return what went each of its ways; the ways' names are few and fixed."""
        ...


@runtime_checkable
class CountsUnreadable(Protocol):
    """A store, or a shared health, that passes over what only another release understands, and counts how often."""

    @property
    def unreadable(self) -> int:
        """How often that was since the process began."""
        ...
