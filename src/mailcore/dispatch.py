"""What a plan and an outcome make of an e-mail, and the effects to perform once that is saved. Pure.

The shell (mailer.py) calls `carried_out` with a plan, `record_outcome` with an answer, and `settle_late` with an
answer that came when the lease had lapsed. Each returns a Transition: the next e-mail, not yet saved, and effects.
Losing an effect loses nothing: the sweep finds whatever a wake-up should have woken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from mailcore.attempt import Attempt
from mailcore.lifecycle import BURIED, TRANSITIONS, Email, EmailId, Reason, Status, closed, moved, started
from mailcore.message import Lane
from mailcore.outcome import (
    SUPPRESSED,
    Accepted,
    Deferred,
    Misconfigured,
    Outcome,
    Rejected,
    Scope,
    Throttled,
    Unknown,
    Verdict,
    verdict,
    wish,
)
from mailcore.plan import (
    Begin,
    Conclude,
    GiveUp,
    Hold,
    Plan,
    Skip,
    Wait,
    Withdraw,
    attempt_of,
    last_round,
    must_hold,
    too_old,
)
from mailcore.rules import Rules

REST = timedelta(seconds=15)
"""How long a provider that failed without using up the round is not tried again by the same e-mail."""

LEAST = timedelta(seconds=1)
"""The shortest rest: a wish for less would let one e-mail spin at a provider that throttles it."""

MOST_GROWTH = 8
"""How often the grace of an unknown outcome grows: far beyond any age, and timedelta overflows long before int does."""


class WakeUp(Struct, frozen=True):
    """Tell a worker to look at an e-mail now."""

    email_id: EmailId
    lane: Lane


class Bury(Struct, frozen=True):
    """Tell other systems that an e-mail is a dead letter."""

    email_id: EmailId
    reason: Reason


class Notify(Struct, frozen=True):
    """Tell whoever watches that an e-mail changed its status."""

    email_id: EmailId


Effect = WakeUp | Bury | Notify


class Transition(Struct, frozen=True):
    """The next e-mail, to be saved as the next version, and what to do after that.

    Attributes:
        email: In status `sending` without an open attempt if the next provider is to be planned at once.
    """

    email: Email
    effects: tuple[Effect, ...] = ()


def carried_out(email: Email, plan: Plan, rules: Rules, now: datetime) -> Transition:
    """Return what a plan makes of the e-mail; a Skip changes nothing."""
    match plan:
        case Begin():
            return told(started(email, attempt_of(email, plan, now), now + rules.lease, now))
        case Wait():
            return told(_waiting(email, plan, now))
        case Hold():
            return told(replace(moved(email, Status.HELD, Reason.UNKNOWN_OUTCOME, now), hold_until=plan.until))
        case GiveUp():
            return told(moved(email, Status.FAILED, plan.reason, now, plan.note))
        case Conclude():
            return told(moved(email, Status.SENT, Reason.LATE_ANSWER, now, _taker(email)))
        case Withdraw():
            return told(moved(email, Status.CANCELLED, Reason.WITHDRAWN, now))
        case Skip():
            return Transition(email)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(plan)


def told(email: Email) -> Transition:
    """Return a transition with the effects that the e-mail's new status calls for."""
    effects: list[Effect] = [Notify(email.id)]
    if email.status is Status.FAILED and email.reason in BURIED:
        effects.append(Bury(email.id, email.reason))
    if email.due_at and email.due_at <= email.updated_at:
        effects.append(WakeUp(email.id, email.lane))
    return Transition(email, tuple(effects))


def _waiting(email: Email, plan: Wait, now: datetime) -> Email:
    """Return the e-mail in wait of its next attempt."""
    return replace(
        moved(email, Status.RETRYING, plan.reason, now),
        due_at=plan.until,
        blocked_on=plan.blocked_on,
        reserved=plan.reserved,
        rounds=email.rounds + plan.round_over,
    )


def record_outcome(
    email: Email, outcome: Outcome, rules: Rules, now: datetime, latency: timedelta | None = None
) -> Transition:
    """Return what the outcome of the open attempt makes of an e-mail.

    After a clean failure the e-mail stays `sending`, without an open attempt: plan the next provider at once and
    save both together. Every other outcome is ready to be saved.

    Raises:
        ValueError: No attempt is open.
    """
    attempt = email.open_attempt
    if attempt is None:
        message = f"{email.id} has no open attempt"
        raise ValueError(message)
    email = _noted(email, attempt, outcome, rules, now, latency)
    if email.status is Status.SENDING and any(_took_it(one) for one in email.attempts):
        return told(moved(email, Status.SENT, Reason.ACCEPTED, now, _taker(email)))
    match outcome:
        case Rejected():
            reason = Reason.SUPPRESSED if outcome.code == SUPPRESSED else Reason.REJECTED
            return told(moved(email, Status.FAILED, reason, now, outcome.detail))
        case Unknown():
            return _after_unknown(email, attempt, rules, now)
        case Misconfigured(scope=Scope.SENDER):
            return Transition(replace(email, refused_by=_with(email.refused_by, attempt.provider)))
        case Accepted() | Deferred() | Throttled() | Misconfigured():
            return Transition(email)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(outcome)


def _took_it(attempt: Attempt) -> bool:
    """Whether a provider took the message in this attempt."""
    return attempt.outcome is Verdict.ACCEPTED


def _taker(email: Email) -> str:
    """Return the name of the provider that took the message."""
    return next((one.provider for one in reversed(email.attempts) if _took_it(one)), "")


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the names with one more, each once."""
    return names if name in names else (*names, name)


def _noted(
    email: Email, attempt: Attempt, outcome: Outcome, rules: Rules, now: datetime, latency: timedelta | None
) -> Email:
    """Return the e-mail with an attempt closed by its outcome."""
    unknown = isinstance(outcome, Unknown)
    finished = replace(
        attempt,
        finished_at=now,
        outcome=verdict(outcome),
        code=None if isinstance(outcome, Accepted) else outcome.code,
        detail=outcome.detail[:500],
        provider_id=outcome.provider_id if isinstance(outcome, Accepted) else None,
        latency=latency,
        repeat_at=_repeat_at(attempt, outcome, rules, now),
    )
    email = closed(email, finished)
    return replace(
        email,
        updated_at=now,
        unknowns=email.unknowns + (unknown and not attempt.deduped),
        possibly_sent=any(one.outcome is Verdict.UNKNOWN for one in email.attempts),
    )


def _repeat_at(attempt: Attempt, outcome: Outcome, rules: Rules, now: datetime) -> datetime | None:
    """Return when the provider may see this e-mail again, where its outcome says so.

    A failure that does not use up the round needs such a rest, or the same e-mail would come back at once.
    """
    asked = wish(outcome)
    granted = max(LEAST, min(asked, rules.retry.retry_after_limit)) if asked else None
    match outcome:
        case Throttled():
            return now + (granted or REST)
        case Deferred() if attempt.probe:
            return now + max(granted or REST, REST)
        case Deferred():
            return now + granted if granted else None
        case Misconfigured():
            return now + REST
        case _:
            return None


def _after_unknown(email: Email, attempt: Attempt, rules: Rules, now: datetime) -> Transition:
    """Return what an unknown outcome makes of an e-mail: never a failover within the lease."""
    if email.cancel_requested:
        return told(moved(email, Status.CANCELLED, Reason.WITHDRAWN, now))
    if must_hold(email, rules):
        held = moved(email, Status.HELD, Reason.UNKNOWN_OUTCOME, now)
        return told(replace(held, hold_until=now + rules.hold_for))
    until = now + rules.unknown_grace * 6 ** min(max(email.unknowns - 1, 0), MOST_GROWTH)
    costs_round = not attempt.probe
    if until >= email.give_up_at or (costs_round and last_round(email, rules)):
        return told(moved(email, Status.FAILED, too_old(email, until), now, "its last outcome is unknown"))
    return told(_waiting(email, Wait(until=until, reason=Reason.UNKNOWN_OUTCOME, round_over=costs_round), now))


def settle_late(
    email: Email, n: int, outcome: Outcome, rules: Rules, now: datetime, latency: timedelta | None = None
) -> Transition | None:
    """Return what an answer makes of an e-mail whose attempt was closed as unknown before it came.

    An e-mail that was held for this doubt alone goes on by itself.
    Returns None if there is nothing to settle: the attempt was folded away, or its outcome is known by now.
    """
    attempt = next((one for one in email.attempts if one.n == n and one.outcome is Verdict.UNKNOWN), None)
    if attempt is None or isinstance(outcome, Unknown):
        return None
    counted = not attempt.deduped and attempt.key == email.key
    known = replace(email, unknowns=max(email.unknowns - counted, 0))
    settled = _noted(known, attempt, outcome, rules, now, latency)
    if isinstance(outcome, Accepted) and Status.SENT in TRANSITIONS[email.status] and not email.open_attempt:
        return told(moved(settled, Status.SENT, Reason.LATE_ANSWER, now, attempt.provider))
    if email.status is Status.HELD and not settled.possibly_sent:
        freed = moved(settled, Status.RETRYING, Reason.LATE_ANSWER, now, attempt.provider)
        return told(replace(freed, due_at=now))
    return Transition(settled, ())


def put_back(email: Email, now: datetime, rest: timedelta = timedelta()) -> Transition:
    """Return an e-mail whose open attempt is given back before any byte was sent.

    A polite stop, or a claim that came too late to call within its lease. The attempt counts for nothing.

    Args:
        email: As stored.
        now: The time that all workers agree on.
        rest: How long it is left alone; longer than nothing if the same would happen at once.
    """
    attempt = email.open_attempt
    if attempt is None:
        message = f"{email.id} has no open attempt"
        raise ValueError(message)
    stopped = replace(
        attempt,
        finished_at=now,
        outcome=Verdict.DEFERRED,
        code=Reason.STOPPED,
        detail="given back before anything was sent",
        round=-1,
    )
    back = moved(closed(email, stopped), Status.QUEUED, Reason.STOPPED, now)
    return told(replace(back, due_at=now + rest))
