"""What the API shows of e-mails. Times are RFC 3339 in UTC with milliseconds, everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict

from mailcore.attempt import Attempt, Why
from mailcore.lifecycle import Email, EmailId, Entry, Reason, Status
from mailcore.message import Address, Attachment, Lane, Message, OnUnknown, envelope
from mailcore.outcome import Verdict
from mailcore.stored import Page

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-12-01T08:00:00.000Z"]})]

_MILLISECOND = timedelta(milliseconds=1)


class EmailSummary(Struct, frozen=True, kw_only=True):
    """An e-mail, as lists and the answer to its acceptance show it.

    Attributes:
        reason: Why it is where it is.
        due_at: When its next attempt is due; null unless it waits.
        provider: Where its latest attempt went; null before the first.
        attempt_count: Attempts so far, over all series.
        redrives: How often a person queued it again after it had failed.
        possibly_sent: Some attempt's outcome is unknown.
        possible_duplicate: An attempt followed an unknown one, at a provider that could not tell.
    """

    id: EmailId
    status: Status
    reason: Reason
    lane: Lane
    created_at: Moment
    updated_at: Moment
    settled_at: Moment | None
    scheduled_at: Moment | None
    expires_at: Moment | None
    due_at: Moment | None
    recipients: tuple[str, ...]
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    on_unknown: OnUnknown
    provider: str | None
    attempt_count: int
    redrives: int
    cancel_requested: bool
    possibly_sent: bool
    possible_duplicate: bool


class AttemptView(Struct, frozen=True, kw_only=True):
    """One try at one provider.

    Attributes:
        outcome: Null while it is under way.
        code: The provider's word for it, or ours.
        provider_id: The provider's own id of the message.
        probe: It tried out a provider whose breaker was half-open.
        deduplicated: It repeated an unknown attempt at a provider that recognises repeats.
    """

    n: int
    provider: str
    outcome: Verdict | None
    code: str | None
    detail: str
    provider_id: str | None
    why: Why
    started_at: Moment
    finished_at: Moment | None
    latency_ms: int | None
    probe: bool
    deduplicated: bool


class EntryView(Struct, frozen=True, kw_only=True):
    """One line of an e-mail's history."""

    at: Moment
    status: Status
    reason: Reason
    note: str


class EmailView(EmailSummary, frozen=True, kw_only=True):
    """An e-mail with everything that happened to it.

    Attributes:
        give_up_at: When it is given up whatever happens.
        hold_until: When a held e-mail is given up as unresolved.
        waits_for: The providers that it waits for; empty if it waits for time alone.
        rounds: Passes over the providers without success, in this series; likewise
        crashes: attempts whose worker died, and
        unknowns: attempts whose outcome nobody knows.
        attempts: The latest, oldest first.
        history: The latest changes, oldest first.
    """

    give_up_at: Moment
    hold_until: Moment | None
    waits_for: tuple[str, ...]
    rounds: int
    crashes: int
    unknowns: int
    attempts: tuple[AttemptView, ...]
    history: tuple[EntryView, ...]


class EmailList(Struct, frozen=True, kw_only=True):
    """A part of a list, newest first.

    Attributes:
        next_cursor: Send it back as `after` to get the next part; null at the end.
    """

    data: tuple[EmailSummary, ...]
    has_more: bool
    next_cursor: str | None


class ContentView(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What was accepted: the message in its normal form, every address apart. Attachments are base64."""

    from_: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]
    headers: Mapping[str, str]
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    lane: Lane
    scheduled_at: Moment | None
    expires_at: Moment | None
    on_unknown: OnUnknown


@lru_cache(maxsize=4096)
def moment(at: datetime) -> Moment:
    """Return a time as the API writes it; under load many e-mails share one."""
    return f"{at.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def maybe(at: datetime | None) -> Moment | None:
    """Return a time as the API writes it, if there is one."""
    return None if at is None else moment(at)


def summary(email: Email) -> EmailSummary:
    """Return an e-mail as lists show it."""
    latest = email.attempts[-1] if email.attempts else None
    created = moment(email.created_at)
    return EmailSummary(
        id=email.id,
        status=email.status,
        reason=email.reason,
        lane=email.lane,
        created_at=created,
        updated_at=created if email.updated_at is email.created_at else moment(email.updated_at),
        settled_at=maybe(email.settled_at),
        scheduled_at=maybe(email.scheduled_at),
        expires_at=maybe(email.expires_at),
        due_at=maybe(email.due_at),
        recipients=email.recipients,
        tags=email.tags,
        metadata=email.metadata,
        on_unknown=email.on_unknown,
        provider=latest.provider if latest else None,
        attempt_count=len(email.attempts) + email.folded,
        redrives=email.redrives,
        cancel_requested=email.cancel_requested,
        possibly_sent=email.possibly_sent,
        possible_duplicate=email.possible_duplicate,
    )


def view(email: Email) -> EmailView:
    """Return an e-mail with everything that happened to it."""
    return EmailView(
        **asdict(summary(email)),
        give_up_at=moment(email.give_up_at),
        hold_until=maybe(email.hold_until),
        waits_for=email.blocked_on,
        rounds=email.rounds,
        crashes=email.crashes,
        unknowns=email.unknowns,
        attempts=tuple(map(_attempt, email.attempts)),
        history=tuple(map(_entry, email.history)),
    )


def page(part: Page) -> EmailList:
    """Return a part of a list."""
    data = tuple(map(summary, part.emails))
    return EmailList(data=data, has_more=part.after is not None, next_cursor=part.after)


def content(message: Message) -> ContentView:
    """Return a stored message."""
    who = envelope(message)
    return ContentView(
        from_=who.sender,
        to=who.to,
        cc=who.cc,
        bcc=who.bcc,
        reply_to=who.reply_to,
        subject=message.subject,
        text=message.text,
        html=message.html,
        attachments=tuple(message.attachments),
        headers=message.headers,
        tags=tuple(message.tags),
        metadata=message.metadata,
        lane=message.lane,
        scheduled_at=maybe(message.scheduled_at),
        expires_at=maybe(message.expires_at),
        on_unknown=message.on_unknown,
    )


def _attempt(attempt: Attempt) -> AttemptView:
    """Return one attempt."""
    return AttemptView(
        n=attempt.n,
        provider=attempt.provider,
        outcome=attempt.outcome,
        code=attempt.code,
        detail=attempt.detail,
        provider_id=attempt.provider_id,
        why=attempt.why,
        started_at=moment(attempt.started_at),
        finished_at=maybe(attempt.finished_at),
        latency_ms=None if attempt.latency is None else round(attempt.latency / _MILLISECOND),
        probe=attempt.probe,
        deduplicated=attempt.deduped,
    )


def _entry(entry: Entry) -> EntryView:
    """Return one line of a history."""
    return EntryView(at=moment(entry.at), status=entry.status, reason=entry.reason, note=entry.note)
