"""What to do next with an e-mail: the plan of an attempt, or of a wait, or the end. Pure.

The shell (mailer.py) asks `plan_attempt` whenever an e-mail is woken up and after every clean failure; what the
plan makes of the e-mail is in dispatch.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.attempt import Attempt, Why
from mailcore.lifecycle import WAITING, Email, Reason, Status, closed
from mailcore.message import OnUnknown
from mailcore.outcome import Verdict
from mailcore.provider import ProviderView
from mailcore.route import Route, find_route, spent
from mailcore.rules import Rules

_RESTING: Final = WAITING - {Status.QUEUED}
"""What waits for a moment."""


class Begin(Struct, frozen=True, kw_only=True):
    """Start an attempt, if the provider's health admits it.

    Attributes:
        repeat: This e-mail has tried this provider before, so the retry budget is asked.
        reserved: Pace and budget were reserved before and are not asked again.
        solo: The latest attempt's worker died: run this one alone, so that it charges no neighbours.
    """

    provider: str
    why: Why
    generation: int
    probe: bool
    deduped: bool
    repeat: bool
    reserved: bool
    solo: bool


class Wait(Struct, frozen=True, kw_only=True):
    """Look again at `until`, if one of `blocked_on` takes attempts by then."""

    until: datetime
    reason: Reason
    blocked_on: tuple[str, ...] = ()
    reserved: str | None = None
    round_over: bool = False


class Hold(Struct, frozen=True):
    """Stop until a person or a late answer settles it."""

    until: datetime


class GiveUp(Struct, frozen=True):
    """It is a dead letter."""

    reason: Reason
    note: str = ""


class Conclude(Struct, frozen=True):
    """It is sent: an earlier attempt turned out to be accepted while a later one was under way."""


class Withdraw(Struct, frozen=True):
    """It was asked to be cancelled while an attempt was under way."""


class Skip(Struct, frozen=True):
    """Nothing to do now; change nothing."""

    why: str


Plan = Begin | Wait | Hold | GiveUp | Conclude | Withdraw | Skip


def recovered(email: Email, now: datetime) -> Email:
    """Return the e-mail with an attempt closed as unknown whose lease has lapsed: its worker died, or stalls."""
    attempt = email.open_attempt
    if attempt is None or email.lease_until is None or email.lease_until > now:
        return email
    detail = "no answer was recorded before the lease ended"
    lapsed = replace(attempt, finished_at=now, outcome=Verdict.UNKNOWN, code=Reason.WORKER_DIED, detail=detail)
    return replace(
        closed(email, lapsed),
        crashes=email.crashes + 1,
        unknowns=email.unknowns + (not attempt.deduped),
        possibly_sent=True,
    )


def just_lapsed(email: Email) -> bool:
    """Return whether `recovered` has closed an attempt of this e-mail, and nobody has saved that yet."""
    last = email.attempts[-1].finished_at if _crashed(email) else None
    return last is not None and last > email.updated_at


def plan_attempt(email: Email, providers: Sequence[ProviderView], rules: Rules, now: datetime, u: float) -> Plan:
    """Return what to do with an e-mail now.

    Args:
        email: As stored, after `recovered`; or between two attempts of one failover.
        providers: Every configured provider, in configured order.
        rules: The numbers.
        now: The time that all workers agree on.
        u: A uniform draw from [0, 1), made by the caller.
    """
    return _not_now(email, now) or _end(email, rules, now) or _next_step(email, providers, rules, now, u)


def _not_now(email: Email, now: datetime) -> Skip | None:
    """Return a Skip if it is nobody's turn, or not yet."""
    if email.settled:
        return Skip(f"settled as {email.status}")
    if email.open_attempt:
        return Skip("another worker has it under lease")
    waits = email.status in _RESTING
    if waits and email.wake_at and email.wake_at > now and email.give_up_at > now:
        return Skip("not due yet")
    return None


def _end(email: Email, rules: Rules, now: datetime) -> Plan | None:
    """Return how an e-mail ends or stops without another attempt, or None if it goes on."""
    if email.status is Status.HELD:
        return GiveUp(Reason.UNRESOLVED) if email.hold_until and email.hold_until <= now else Skip("held")
    if any(one.outcome is Verdict.ACCEPTED for one in email.attempts):
        return Conclude()
    if email.cancel_requested:
        return Withdraw()
    if email.crashes >= rules.max_crashes:
        return GiveUp(Reason.CRASH_LOOP, f"{email.crashes} workers died while sending it")
    if email.give_up_at <= now:
        return GiveUp(too_old(email, now))
    if email.status is Status.SENDING and _crashed(email) and must_hold(email, rules):
        return Hold(now + rules.hold_for)
    return None


def _crashed(email: Email) -> bool:
    """Whether the latest attempt's worker died."""
    return bool(email.attempts) and email.attempts[-1].code == Reason.WORKER_DIED


def must_hold(email: Email, rules: Rules) -> bool:
    """Whether an unknown outcome stops this e-mail until somebody settles it."""
    return email.on_unknown is OnUnknown.HOLD or email.unknowns >= rules.max_unknowns


def too_old(email: Email, at: datetime) -> Reason:
    """Return the reason of an e-mail that is out of time."""
    return Reason.EXPIRED if email.expires_at and email.expires_at <= at else Reason.GAVE_UP


def _next_step(email: Email, providers: Sequence[ProviderView], rules: Rules, now: datetime, u: float) -> Plan:
    """Return the attempt to make, or how long to wait for one."""
    pin = _pinned_to(email, providers, now)
    route = find_route(email, [view for view in providers if view.name == pin] if pin else providers, now)
    if route.capable and not route.carriers:
        return GiveUp(Reason.REJECTED, "no provider that could carry it knows its sender")
    if choice := _reserved(email, route) or route.ready or _reservable(route, rules, now):
        return _begin(email, choice, route, rules, now=now, u=u)
    return _wait(email, route, rules, now, u)


def _reserved(email: Email, route: Route) -> Sequence[ProviderView]:
    """Return the provider at which pace and budget were reserved for the e-mail, if it takes it now."""
    return [view for view in (*route.ready, *route.paced) if view.name == email.reserved] if email.reserved else ()


def _reservable(route: Route, rules: Rules, now: datetime) -> Sequence[ProviderView]:
    """Return the paced providers whose next start is near enough to be reserved."""
    return [view for view in route.paced if _can_reserve(view, rules, now)]


def _can_reserve(view: ProviderView, rules: Rules, now: datetime) -> bool:
    """Whether a paced provider's next start is near enough to be reserved."""
    turn = view.standing.available_at
    return turn is None or turn - now <= rules.health.reserve_ahead


def _pinned_to(email: Email, providers: Sequence[ProviderView], now: datetime) -> str | None:
    """Return the provider that alone may repeat an unknown attempt, since it recognises the repeat.

    The pin ends with the provider's window, and at half the lane's age so that another still gets a chance.
    """
    doubtful = [one for one in email.attempts if one.outcome is Verdict.UNKNOWN and one.key == email.key]
    if not doubtful or now >= email.series_at + (email.give_up_at - email.series_at) / 2:
        return None
    first = next(one for one in doubtful if one.provider == doubtful[-1].provider)
    able = (view for view in providers if view.name == first.provider and view.name not in email.refused_by)
    window = next((view.capabilities.dedupe_window for view in able), None)
    return first.provider if window and now < first.started_at + window else None


def _begin(
    email: Email, choice: Sequence[ProviderView], route: Route, rules: Rules, *, now: datetime, u: float
) -> Begin:
    """Return an attempt at the provider that the strategy prefers."""
    chosen = rules.strategy(choice, now, u)
    view = next(one for one in choice if one.name == chosen.provider)
    tried = any(one.provider == view.name and _counts_as_try(one) for one in email.attempts)
    passed_over = tuple([one for one in route.passed_over if one.provider != view.name])
    crashed = _crashed(email)
    return Begin(
        provider=view.name,
        why=Why(strategy=rules.strategy_name, because=chosen.why, passed_over=passed_over),
        generation=view.standing.generation,
        probe=view.standing.probe,
        deduped=_pinned_to(email, choice, now) is not None,
        repeat=tried and not crashed,
        reserved=email.reserved == view.name,
        solo=crashed,
    )


def _counts_as_try(attempt: Attempt) -> bool:
    """Whether an attempt makes the next one at its provider a repeat; being throttled put no load on it."""
    return attempt.outcome in {Verdict.DEFERRED, Verdict.UNKNOWN} and attempt.code != Reason.STOPPED


def _wait(email: Email, route: Route, rules: Rules, now: datetime, u: float) -> Plan:
    """Return how long to wait when no provider takes the e-mail now."""
    if any(spent(attempt, email) for attempt in email.attempts) and not route.full:
        return _round_over(email, route, rules, now, u)
    if route.full:
        between = email.status is Status.SENDING
        return Wait(until=now, reason=Reason.NO_PROVIDER) if between else Skip("this process has no slot for it")
    until = max(route.available_at or now + rules.look_again, now + timedelta(milliseconds=1))
    return Wait(until=min(until, email.give_up_at), reason=Reason.NO_PROVIDER, blocked_on=_names(route.carriers))


def _round_over(email: Email, route: Route, rules: Rules, now: datetime, u: float) -> Plan:
    """Return the backoff after a round in which every candidate failed or was passed over."""
    if last_round(email, rules):
        return GiveUp(Reason.GAVE_UP, f"{email.rounds + 1} rounds failed")
    until = max(now + rules.retry.delay(email.rounds, u), route.available_at or now)
    if until >= email.give_up_at:
        return GiveUp(too_old(email, until))
    return Wait(until=until, reason=Reason.ROUND_FAILED, blocked_on=_names(route.carriers), round_over=True)


def last_round(email: Email, rules: Rules) -> bool:
    """Whether the operator allows no further round."""
    return rules.retry.max_rounds is not None and email.rounds + 1 >= rules.retry.max_rounds


def _names(views: Sequence[ProviderView]) -> tuple[str, ...]:
    """Return the providers' names, sorted."""
    return tuple(sorted(view.name for view in views))


def attempt_of(email: Email, begin: Begin, now: datetime) -> Attempt:
    """Return the record of an attempt that is about to start."""
    return Attempt(
        n=email.next_n,
        provider=begin.provider,
        key=email.key,
        round=email.rounds,
        started_at=now,
        generation=begin.generation,
        probe=begin.probe,
        deduped=begin.deduped,
        why=begin.why,
    )
