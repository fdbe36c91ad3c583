"""The life of an e-mail: its record, its statuses and every way from one to the next.

Two rules for this file. The table TRANSITIONS is the only place that says which status may follow which;
`moved` is the only function that changes a status, and it refuses whatever the table does not list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.attempt import Attempt
from mailcore.message import Lane, OnUnknown
from mailcore.outcome import Verdict
from mailcore.provider import Needs

EmailId = str


class Status(StrEnum):
    """Where an e-mail is."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why an e-mail is where it is. A closed list: pages, metrics and filters go by it."""

    ACCEPTED = "accepted"
    ATTEMPT = "attempt"
    FAILOVER = "failover"
    ROUND_FAILED = "round_failed"
    NO_PROVIDER = "no_provider"
    RESERVED = "reserved"
    UNKNOWN_OUTCOME = "unknown_outcome"
    WORKER_DIED = "worker_died"
    STOPPED = "stopped"
    LATE_ANSWER = "late_answer"
    RESOLVED = "resolved"
    REDRIVEN = "redriven"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CRASH_LOOP = "crash_loop"
    UNRESOLVED = "unresolved"


S = Status
# A queued e-mail becomes sent only after a redrive: when an attempt of the former series turns out to be accepted.
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        S.SCHEDULED: frozenset({S.SENDING, S.RETRYING, S.FAILED, S.CANCELLED}),
        S.QUEUED: frozenset({S.SENDING, S.RETRYING, S.FAILED, S.CANCELLED, S.SENT}),
        S.SENDING: frozenset({S.SENDING, S.SENT, S.RETRYING, S.HELD, S.FAILED, S.CANCELLED, S.QUEUED}),
        S.RETRYING: frozenset({S.SENDING, S.RETRYING, S.HELD, S.FAILED, S.CANCELLED, S.SENT}),
        S.HELD: frozenset({S.SENT, S.RETRYING, S.FAILED, S.CANCELLED}),
        S.SENT: frozenset(),
        S.FAILED: frozenset({S.QUEUED, S.SENT}),
        S.CANCELLED: frozenset(),
    }
)
SETTLED: Final = frozenset({S.SENT, S.FAILED, S.CANCELLED})
WAITING: Final = frozenset({S.SCHEDULED, S.QUEUED, S.RETRYING, S.HELD})
BURIED: Final = frozenset(
    {Reason.REJECTED, Reason.GAVE_UP, Reason.EXPIRED, Reason.SUPPRESSED, Reason.CRASH_LOOP, Reason.UNRESOLVED}
)
KEPT: Final = 64
"""How many attempts and how many history entries an e-mail keeps in full."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an e-mail's history."""

    at: datetime
    status: Status
    reason: Reason
    note: str = ""


class Email(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our record of one message on its way; small, for the message itself is stored apart.

    What is a default is not stored either. So a default never changes: a new meaning needs a new field.

    Attributes:
        version: Raised by one with every save; what compare-and-set compares.
        saved_by: A token unique to the latest save, for telling whose save won.
        fingerprint: Of the message as written; tells a repeat from a reused key. Empty if it came without a key.
        series_at: When the present series began: acceptance, or the latest redrive.
        give_up_at: When it is given up whatever happens: the lane's age, or `expires_at` if that is sooner.
        due_at: When a waiting e-mail is due; None unless it waits.
        lease_until: Until when the open attempt's worker alone may act.
        hold_until: When a held e-mail is given up as unresolved.
        blocked_on: The providers that it waits for, sorted; empty if it waits for time alone.
        reserved: The provider at which pace and budget were reserved for the next attempt.
        refused_by: Providers at which this From is not set up.
        attempts: The latest, oldest first; `folded` older ones are only counted.
        rounds: Passes over the candidates that ended without success, in this series.
        crashes: Attempts whose worker died, in this series.
        unknowns: Attempts whose outcome nobody knows, in this series; deduplicated repeats apart.
        possibly_sent: Some attempt's outcome is unknown.
        possible_duplicate: An attempt was made after an unknown one, at a provider that could not tell.
    """

    id: EmailId
    tenant: str
    version: int
    saved_by: str
    fingerprint: str
    status: Status
    reason: Reason
    lane: Lane
    created_at: datetime
    updated_at: datetime
    series_at: datetime
    give_up_at: datetime
    settled_at: datetime | None = None
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    due_at: datetime | None = None
    lease_until: datetime | None = None
    hold_until: datetime | None = None
    blocked_on: tuple[str, ...] = ()
    reserved: str | None = None
    refused_by: tuple[str, ...] = ()
    on_unknown: OnUnknown = OnUnknown.RETRY
    needs: Needs
    recipients: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    attempts: tuple[Attempt, ...] = ()
    folded: int = 0
    rounds: int = 0
    crashes: int = 0
    unknowns: int = 0
    redrives: int = 0
    cancel_requested: bool = False
    possibly_sent: bool = False
    possible_duplicate: bool = False
    history: tuple[Entry, ...] = ()

    def __repr__(self) -> str:
        return f"Email({self.id} v{self.version}, {self.status}: {self.reason})"

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in SETTLED

    @property
    def wake_at(self) -> datetime | None:
        """When somebody must look at it again; None once it is settled."""
        if self.settled:
            return None
        if self.status is Status.SENDING:
            return self.lease_until
        return self.hold_until if self.status is Status.HELD else self.due_at

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt under way, if there is one."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].open else None

    @property
    def key(self) -> str:
        """What a provider may deduplicate this series by."""
        return f"{self.id}.{self.redrives}"

    @property
    def next_n(self) -> int:
        """The number of the next attempt."""
        return (self.attempts[-1].n if self.attempts else 0) + 1


def moved(email: Email, status: Status, reason: Reason, now: datetime, note: str = "") -> Email:
    """Return the e-mail in another status, with a line in its history and no wait of its former status.

    Raises:
        ValueError: The table does not list this transition.
    """
    if status not in TRANSITIONS[email.status]:
        message = f"no way from {email.status} to {status}"
        raise ValueError(message)
    return replace(
        email,
        status=status,
        reason=reason,
        updated_at=now,
        settled_at=now if status in SETTLED else None,
        due_at=None,
        lease_until=None,
        hold_until=None,
        blocked_on=(),
        history=(*email.history, Entry(at=now, status=status, reason=reason, note=note))[-KEPT:],
    )


def started(email: Email, attempt: Attempt, lease_until: datetime, now: datetime) -> Email:
    """Return the e-mail with an attempt under way, under a fresh lease."""
    reason = Reason.FAILOVER if email.status is Status.SENDING else Reason.ATTEMPT
    after_unknown = email.possibly_sent and not attempt.deduped
    return replace(
        _folded(moved(email, Status.SENDING, reason, now, note=attempt.provider), attempt),
        lease_until=lease_until,
        reserved=None,
        possible_duplicate=email.possible_duplicate or after_unknown,
    )


def _folded(email: Email, attempt: Attempt) -> Email:
    """Return the e-mail with one more attempt; beyond KEPT an old one is only counted.

    That is the oldest clean one, else the oldest repeat that its provider recognised: what could explain a
    duplicate stays, and so does the first of the repeats, by which the provider's window is reckoned.
    """
    past = email.attempts
    if len(past) < KEPT:
        return replace(email, attempts=(*past, attempt))
    clean = (i for i, one in enumerate(past) if one.outcome is not Verdict.UNKNOWN)
    deduped = (i for i, one in enumerate(past) if one.deduped)
    oldest = next(chain(clean, deduped), 0)
    return replace(email, attempts=(*past[:oldest], *past[oldest + 1 :], attempt), folded=email.folded + 1)


def closed(email: Email, attempt: Attempt) -> Email:
    """Return the e-mail with the attempt of the same number replaced by this finished one."""
    attempts = tuple([attempt if one.n == attempt.n else one for one in email.attempts])
    return replace(email, attempts=attempts)
