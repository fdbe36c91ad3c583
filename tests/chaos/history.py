"""What a run leaves behind: what callers asked and heard, what providers got, what the store says at the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

SETTLED = frozenset({"sent", "failed", "cancelled"})


class Kind(StrEnum):
    """What a caller knows after an answer, or without one: Jepsen's three."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Answer(Struct, frozen=True, kw_only=True):
    """What came of one POST.

    Attributes:
        took: From the request's first byte to the answer's last, or until the caller gave up.
        status: None if there was no answer.
        problem: The `code` of a problem; for no answer the name of what happened instead.
        replayed: The e-mail was there already.
    """

    at: datetime
    took: timedelta
    kind: Kind
    status: int | None = None
    problem: str = ""
    email_id: str = ""
    replayed: bool = False


class Submission(Struct, frozen=True, kw_only=True):
    """All POSTs of one message under one idempotency key, the last of which may have settled it.

    Attributes:
        scheduled_at: The wish it was posted with.
    """

    key: str
    answers: tuple[Answer, ...]
    scheduled_at: datetime | None = None

    def ids(self) -> frozenset[str]:
        """Return the e-mails that it was told of; there should be at most one."""
        return frozenset(answer.email_id for answer in self.answers if answer.kind is Kind.OK)


class Cancel(Struct, frozen=True):
    """A cancel that was answered 200, and when."""

    email_id: str
    at: datetime


class Request(Struct, frozen=True, kw_only=True):
    """One request to a provider, as the emulator's ledger has it.

    Attributes:
        finished_at: When its answer was written or its connection was gone; None if neither was seen.
    """

    email_id: str
    provider: str
    received_at: datetime
    finished_at: datetime | None
    accepted: bool


class Tried(Struct, frozen=True, kw_only=True):
    """One attempt, as the store has it."""

    n: int
    provider: str
    outcome: str | None
    code: str | None
    started_at: datetime


class Record(Struct, frozen=True, kw_only=True):
    """One e-mail, as the store has it at the end.

    Attributes:
        key: The idempotency key that it was posted with.
        attempt_count: Over all series; `attempts` are the latest.
        listed: It is among those that may exist twice.
    """

    id: str
    key: str
    status: str
    reason: str
    created_at: datetime
    settled_at: datetime | None
    attempt_count: int
    crashes: int
    unknowns: int
    listed: bool
    attempts: tuple[Tried, ...]


class Counted(Struct, frozen=True, kw_only=True):
    """What the metrics of all processes add up to; None where a process that was killed took its share along.

    Attributes:
        doubtful: Cancels that were answered with a 5xx or not at all.
    """

    accepted: int | None = None
    settled: int | None = None
    doubtful: int = 0


class Limits(Struct, frozen=True, kw_only=True):
    """What a run is judged by.

    Attributes:
        attempts: So many may one e-mail need.
        recovery: So long after an attempt whose worker died begins the e-mail's next one.
        settling: So long after the last fault was healed everything is settled. A provider's breaker may be open
            for 99 s after its latest failure.
        doubts: So many attempts may have an unknown outcome; None where nobody can say beforehand.
        copies: So many copies too many may providers have taken, likewise.
    """

    lease: timedelta
    attempts: int = 64
    crashes: int = 3
    unknowns: int = 4
    recovery: timedelta = timedelta(seconds=65)
    settling: timedelta = timedelta(seconds=65)
    doubts: int | None = None
    copies: int | None = None


class History(Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        healed_at: When the last fault was over.
    """

    submissions: tuple[Submission, ...]
    cancels: tuple[Cancel, ...] = ()
    requests: tuple[Request, ...]
    records: tuple[Record, ...]
    counted: Counted = Counted()
    healed_at: datetime
    limits: Limits
