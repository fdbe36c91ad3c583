"""What happens in a simulation: who sends how much, through which made-up providers, for how long."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from mailcore.engine import Pace
from mailcore.message import Lane
from mailcore.simulation.internet import MadeUp


class Stream(Struct, frozen=True, kw_only=True):
    """One tenant's mail: so many e-mails per second at random moments, or a backlog that is there from the beginning.

    Attributes:
        per_second: Of a Poisson process.
        begins: When it begins, since the beginning; `ends` likewise, None for the end.
        parked: How many e-mails have waited for any of the providers since before the beginning.
        poison: No provider will ever take its messages.
    """

    tenant: str = "shop"
    lane: Lane = Lane.TRANSACTIONAL
    per_second: float = 0.0
    begins: timedelta = timedelta()
    ends: timedelta | None = None
    parked: int = 0
    poison: bool = False


class Watch(Struct, frozen=True, kw_only=True):
    """What is measured: one provider, over the time of its trouble.

    Attributes:
        begins: Since the beginning; `ends` likewise.
        settling: How long after the beginning its share of new mail is measured every second.
        after: The same after the end.
    """

    provider: str = "a"
    begins: timedelta
    ends: timedelta
    settling: timedelta = timedelta()
    after: timedelta = timedelta()


class Scenario(Struct, frozen=True, kw_only=True):
    """A made-up world.

    Attributes:
        says: One line for people.
        lasts: When no more mail arrives; a minute later everything stops.
        workers: How many processes deliver.
        copy_age: How old a process's copy of the shared health may be; zero if it is always current.
        pace: How much each process does at once, and how often it looks for due e-mails.
    """

    name: str
    says: str
    providers: tuple[MadeUp, ...]
    streams: tuple[Stream, ...]
    watch: Watch
    lasts: timedelta
    workers: int = 1
    copy_age: timedelta = timedelta()
    pace: Pace = Pace()
