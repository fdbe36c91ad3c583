"""What a person may ask of an e-mail on its way: to cancel it, to settle a held one, to redrive a dead letter. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec.structs import replace

from mailcore.dispatch import Transition, told
from mailcore.errors import ConflictError
from mailcore.lifecycle import Email, Reason, Status, moved
from mailcore.rules import Rules


class Resolution(StrEnum):
    """How a person settles a held e-mail."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    CANCELLED = "cancelled"


def cancelled(email: Email, now: datetime) -> Transition:
    """Return the e-mail withdrawn, or marked to be withdrawn while an attempt is under way.

    Raises:
        ConflictError: It is sent or failed.
    """
    match email.status:
        case Status.CANCELLED:
            return Transition(email)
        case Status.SENDING if email.cancel_requested:
            return Transition(email)
        case Status.SENDING:
            return Transition(replace(email, cancel_requested=True, updated_at=now))
        case Status.SENT | Status.FAILED:
            message = f"the e-mail is {email.status} already"
            raise ConflictError(message)
        case Status.SCHEDULED | Status.QUEUED | Status.RETRYING | Status.HELD:
            return told(moved(email, Status.CANCELLED, Reason.WITHDRAWN, now))
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(email.status)


def resolved(email: Email, how: Resolution, note: str, rules: Rules, now: datetime) -> Transition:
    """Return a held e-mail settled by a person who found out what became of it.

    One that is retried gets its lane's age anew: it may have been held for longer than that.

    Raises:
        ConflictError: It is not held.
    """
    if email.status is not Status.HELD:
        message = f"only a held e-mail can be resolved; this one is {email.status}"
        raise ConflictError(message)
    match how:
        case Resolution.SENT:
            return told(moved(email, Status.SENT, Reason.RESOLVED, now, note))
        case Resolution.RETRY:
            again = moved(replace(email, unknowns=0), Status.RETRYING, Reason.RESOLVED, now, note)
            return told(replace(again, due_at=now, give_up_at=_give_up_at(email, email.expires_at, rules, now)))
        case Resolution.FAILED:
            return told(moved(email, Status.FAILED, Reason.UNRESOLVED, now, note))
        case Resolution.CANCELLED:
            return told(moved(email, Status.CANCELLED, Reason.WITHDRAWN, now, note))
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(how)


def redriven(email: Email, rules: Rules, now: datetime) -> Transition:
    """Return a dead letter queued again: a new series with a new provider key, its history kept.

    An `expires_at` that has passed is dropped: the person who redrives it decided that it is still wanted.

    Raises:
        ConflictError: It is not failed.
    """
    if email.status is not Status.FAILED:
        message = f"only a failed e-mail can be redriven; this one is {email.status}"
        raise ConflictError(message)
    expires_at = email.expires_at if email.expires_at and email.expires_at > now else None
    return told(
        replace(
            moved(email, Status.QUEUED, Reason.REDRIVEN, now),
            due_at=now,
            series_at=now,
            expires_at=expires_at,
            give_up_at=_give_up_at(email, expires_at, rules, now),
            rounds=0,
            crashes=0,
            unknowns=0,
            redrives=email.redrives + 1,
            cancel_requested=False,
            refused_by=(),
            reserved=None,
        )
    )


def _give_up_at(email: Email, expires_at: datetime | None, rules: Rules, now: datetime) -> datetime:
    """Return when an e-mail is given up that a person put back now."""
    aged = now + rules.lanes.give_up_after(email.lane)
    return min(aged, expires_at) if expires_at else aged
