"""What mailcore needs of the world, as Protocols and callables in the domain's own verbs.

Adapters do not inherit from these. Each port has a contract suite in `mailcore.testing`. Many calls at a time
are the adapter's to coalesce: nearly every call here is about one thing, and its caller gets its own result.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from msgspec import Struct

from mailcore.events import Event, Happening
from mailcore.health import Health
from mailcore.lifecycle import Email, EmailId, Reason, Status
from mailcore.message import Lane, Message
from mailcore.outcome import Outcome
from mailcore.provider import Capabilities, Send
from mailcore.stored import Added, Fetched, Page

NewId = Callable[[], EmailId]
"""Makes an id that nobody has: `em_` and a UUIDv7 in lower-case base32hex."""

Draw = Callable[[], float]
"""Draws uniformly from [0, 1)."""


class Clock(Protocol):
    """The two times there are."""

    def now(self) -> datetime:
        """Return the time that all workers agree on: aware, UTC, whole milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock of this process that never jumps."""
        ...


@runtime_checkable
class HasClock(Protocol):
    """A store whose server's time counts for all that use it, whatever their own clocks say."""

    @property
    def clock(self) -> Clock:
        """The server's time; there is none, but StoreUnavailableError, until `open` has reached it."""
        ...

    async def open(self) -> None:
        """Reach the server, or raise StoreUnavailableError."""
        ...


class Query(Struct, frozen=True, kw_only=True):
    """Which e-mails to list. Every field that is set must hold; the empty query holds for all.

    Attributes:
        to: A recipient's address, compared as `Email.recipients` holds them.
        provider: Some attempt went there.
        metadata: Pairs that must all be there.
        created_after: Created at that moment or later.
        created_before: Created before that moment.
    """

    tenant: str | None = None
    status: Status | None = None
    reason: Reason | None = None
    lane: Lane | None = None
    to: str | None = None
    tag: str | None = None
    provider: str | None = None
    metadata: Mapping[str, str] = {}
    possible_duplicate: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def __repr__(self) -> str:
        """Return which fields are set, not what to: that may be an address."""
        return f"Query({', '.join(name for name in self.__struct_fields__ if getattr(self, name) not in (None, {}))})"


class Due(Struct, frozen=True, kw_only=True):
    """What to take from the store.

    Attributes:
        closed: The providers that take no attempt now: an e-mail that waits for none but these is left alone,
            unless it is past `give_up_at`. One that waits for a provider that is gone is nobody's to leave.
        hide_for: How long the taken ones are hidden from the next calls, everywhere.
    """

    lane: Lane
    limit: int
    hide_for: timedelta
    closed: frozenset[str]


class EmailStore(Protocol):
    """Where e-mails are. The store is the truth: whatever it answered is durable.

    Every method may raise StoreUnavailableError; for a write it is then not known whether it happened.
    """

    async def add(self, email: Email, message: Message) -> Added:
        """Store a new e-mail and its message, or return the one that already holds this id."""
        ...

    async def get(self, email_id: EmailId, /) -> Email:
        """Return an e-mail.

        Raises:
            EmailNotFoundError: No e-mail has this id.
        """
        ...

    async def content(self, email_id: EmailId, /) -> Message:
        """Return the message of an e-mail.

        Raises:
            EmailNotFoundError: No e-mail has this id, or its content is gone.
        """
        ...

    async def fetch(self, email_ids: Sequence[EmailId], /) -> Mapping[EmailId, Fetched]:
        """Return those of some e-mails that there are and that can be read, by their ids, in one step.

        The message of each comes along if that has at most SMALL bytes as it is stored.
        """
        ...

    async def save(self, email: Email) -> None:
        """Replace an e-mail by its next version, if the stored one is the version before.

        Raises:
            StaleEmailError: The stored version is not `email.version - 1`; nothing was changed.
            EmailNotFoundError: No e-mail has this id.
        """
        ...

    async def take_due(self, now: datetime, due: Due) -> Sequence[EmailId]:
        """Return e-mails with `wake_at <= now`, the longest overdue first, and hide them for a while."""
        ...

    async def list(self, query: Query, *, after: str | None, limit: int) -> Page:
        """Return e-mails, newest first; the cursor stays valid while e-mails are added.

        Raises:
            ValueError: `after` is no cursor of this store.
        """
        ...

    async def count(self, query: Query) -> int:
        """Return how many e-mails a query finds."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and let go of files and connections."""
        ...


class WakeUpQueue(Protocol):
    """Carries ids to workers. May lose, repeat and reorder them: the sweep makes up for it."""

    async def enqueue(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        """Wake workers up for these e-mails.

        Raises:
            QueueUnavailableError: The queue did not take them in time.
        """
        ...

    async def bury(self, email_id: EmailId, *, reason: str) -> None:
        """Tell other systems that an e-mail is a dead letter.

        Raises:
            QueueUnavailableError: The queue did not take it in time.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class ProviderHealth(Protocol):
    """What all workers know of the providers."""

    async def load(self) -> Mapping[str, Health]:
        """Return the health of every provider that has one, at most 250 ms old.

        Raises:
            HealthUnavailableError: It could not be read.
        """
        ...

    async def update(self, provider: str, change: Callable[[Health], Health], *, at_once: bool = True) -> Health:
        """Replace one provider's health atomically and return the new one; `change` may run more than once.

        Args:
            at_once: The answer depends on what all workers did; if not, they may be told up to 250 ms later.

        Raises:
            HealthUnavailableError: It could not be changed; whether it was is not known.
        """
        ...


class Provider(Protocol):
    """A service that takes mail."""

    @property
    def name(self) -> str:
        """The configured name, unique among the providers."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can carry."""
        ...

    async def send(self, send: Send) -> Outcome:
        """Try once. Never raises for what a network or a provider can do; keeps to the deadline."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


Watch = Callable[[Event], None]
"""Is told of every event; must return quickly and never raise."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

CrashPoint = Callable[[str], None]
"""Is told each named point that an attempt passes; tests kill the process there."""


@dataclass(frozen=True, kw_only=True)
class Configured:
    """A provider and how much of the mail the operator wants it to take.

    Attributes:
        weight: Above 0; shares follow it while providers are healthy.
        max_per_second: The pace of starts over all processes; None for no limit.
    """

    provider: Provider
    weight: float = 1.0
    max_per_second: float | None = None


def go_on(_point: str) -> None:
    """Pass a crash point."""


def look_away(event: Event) -> None:
    """Watch nothing; but what nobody foresaw is not swallowed, and goes to the log `mailcore`."""
    if event.what is Happening.UNEXPECTED:
        logging.getLogger("mailcore").error("%s: %s, e-mail %s", event.what, event.note, event.email_id or "none")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything that mailcore needs of the world, for one process.

    Attributes:
        providers: In the order of preference that the strategy `priority` goes by.
        new_token: Makes a token that no other save has.
    """

    store: EmailStore
    queue: WakeUpQueue
    health: ProviderHealth
    providers: Sequence[Configured]
    clock: Clock
    draw: Draw
    new_id: NewId
    new_token: Callable[[], str]
    sleep: Sleep
    watch: Watch = look_away
    crash_point: CrashPoint = go_on
