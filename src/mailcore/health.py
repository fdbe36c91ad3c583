"""What all workers know of one provider: breaker, score, retry budget, throttling, pace, override.

A Health is a value. Workers share it through the ProviderHealth port, which replaces it atomically by these
pure functions. A function that changes nothing returns the very object that it was given, so that an adapter
can save the write: on the usual path `admit` does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.breaker import (
    Breaker,
    BreakerRules,
    Permit,
    Result,
    State,
    given_back,
    outstanding,
    ramp_share,
    recorded,
    ripened,
    taken,
)
from mailcore.moments import NOTHING, is_ahead
from mailcore.outcome import Verdict
from mailcore.report import Report, call, result, worth
from mailcore.retry import BudgetRules, RetryBudget, earned, spent
from mailcore.score import Score, ScoreRules, counted, estimate
from mailcore.standing import Mode, Obstacle, Override, Standing

__all__ = [
    "Admission",
    "Health",
    "HealthRules",
    "Mode",
    "Obstacle",
    "Override",
    "Report",
    "Standing",
    "Start",
    "admit",
    "released",
    "reported",
    "standing",
]

_SECOND: Final = timedelta(seconds=1)
_SHUT: Final = frozenset({Obstacle.STOPPED, Obstacle.THROTTLED, Obstacle.OPEN})


class Health(Struct, frozen=True, kw_only=True):
    """What all workers know of one provider.

    Attributes:
        not_before: The provider asked to be left alone until then.
        next_start: When pacing (max_per_second) allows the next start.
    """

    breaker: Breaker = Breaker()
    score: Score = Score()
    budget: RetryBudget = RetryBudget()
    not_before: datetime | None = None
    next_start: datetime | None = None
    override: Override | None = None


class HealthRules(Struct, frozen=True, kw_only=True):
    """The numbers that health is judged by (reliability.md sections 5 and 6).

    Attributes:
        reserve_ahead: The furthest ahead that pace and budget are reserved.
        retry_after_limit: The longest wish to be left alone that is granted.
        throttled_for: How long a provider is left alone that throttled us and did not say for how long.
    """

    breaker: BreakerRules = BreakerRules()
    score: ScoreRules = ScoreRules()
    budget: BudgetRules = BudgetRules()
    reserve_ahead: timedelta = timedelta(seconds=60)
    retry_after_limit: timedelta = timedelta(hours=24)
    throttled_for: timedelta = timedelta(seconds=5)


class Start(Struct, frozen=True, kw_only=True):
    """An attempt that wants to begin.

    Attributes:
        token: Names this attempt; the same token asked twice is one permit.
        repeat: This e-mail has tried this provider before (crashes apart): it costs a token of the budget.
        reserved: Pace and budget were reserved before; they are not asked again.
        max_per_second: The configured pace; None for no limit.
    """

    token: str
    repeat: bool = False
    reserved: bool = False
    max_per_second: float | None = None


class Admission(Struct, frozen=True, kw_only=True):
    """The answer to a Start.

    Attributes:
        granted: The attempt may begin now.
        reserved_at: Not now, but then: pace or budget were reserved for it, and will not be asked again.
        standing: The standing at that moment, with the obstacle if it was not granted.
    """

    granted: bool
    reserved_at: datetime | None
    standing: Standing


def standing(health: Health, rules: HealthRules, now: datetime) -> Standing:
    """Return whether a provider takes attempts now, and what a choice among providers needs to know of it."""
    mode = _mode(health, now)  # a forced provider makes no probes, so its breaker stays
    breaker = health.breaker if mode is Mode.FORCED else ripened(health.breaker, rules.breaker, now)
    probe = breaker.state is State.HALF_OPEN and mode is not Mode.FORCED
    permits = outstanding(breaker, rules.breaker, now) if probe else ()
    obstacle, available_at = _obstacle(health, mode, breaker, permits, rules=rules, now=now)
    return Standing(
        obstacle=obstacle,
        available_at=available_at,
        generation=breaker.generation,
        probe=probe,
        permits=max(0, rules.breaker.probes - len(permits)) if probe else 0,
        score=estimate(health.score, rules.score, now),
        share=ramp_share(breaker, rules.breaker, now),
    )


def admit(health: Health, start: Start, rules: HealthRules, now: datetime) -> tuple[Health, Admission]:
    """Return whether an attempt may begin, and the health that bears it in mind.

    A probe gets its permit only when it may begin. What must wait for pace or budget gets both reserved for
    the later moment of the two, if that is near enough; if not, nothing is reserved.
    """
    here = standing(health, rules, now)
    if here.obstacle in _SHUT:
        return health, _refused(here, here.obstacle, here.available_at)
    breaker = _with_permit(health, start.token, here, rules, now)
    if breaker is None:
        return health, _refused(here, Obstacle.PROBING, here.available_at)
    paid, obstacle, at = _paid(health, start, rules, now)
    if obstacle is None:
        return _with_breaker(paid, breaker), _granted(here)
    if at - now > rules.reserve_ahead:
        return health, _refused(here, obstacle, at)
    return paid, _refused(here, obstacle, at, reserved_at=at)


def reported(health: Health, report: Report, rules: HealthRules, now: datetime) -> Health:
    """Return the health after an attempt has ended.

    Being throttled, and what is the message's fault, touch neither score nor breaker; nor does an attempt
    that began before the breaker's latest transition.
    """
    score, said, rival = health.score, result(report), report.rival_score
    if said is not Result.IGNORED and report.generation == health.breaker.generation:
        score = counted(score, worth(report, rules.breaker), rules.score, now)
    beaten_by = None if rival is None else rival - estimate(score, rules.score, now)
    accepted = report.verdict is Verdict.ACCEPTED
    return replace(
        health,
        breaker=recorded(health.breaker, call(report, said, beaten_by), rules.breaker, now),
        score=score,
        budget=earned(health.budget, rules.budget, now) if accepted else health.budget,
        not_before=_not_before(health, report, rules, now),
    )


def released(health: Health, token: str, rules: HealthRules, now: datetime) -> Health:
    """Return the health after an attempt was admitted and then never began: a probe gives its permit back."""
    breaker = given_back(health.breaker, token, rules.breaker, now)
    return _with_breaker(health, breaker)


def _mode(health: Health, now: datetime) -> Mode:
    """Return the operator's word as long as it holds."""
    override = health.override
    if override is None or (override.until is not None and override.until <= now):
        return Mode.AUTO
    return override.mode


def _obstacle(
    health: Health, mode: Mode, breaker: Breaker, permits: tuple[Permit, ...], *, rules: HealthRules, now: datetime
) -> tuple[Obstacle | None, datetime | None]:
    """Return the first thing in the way of an attempt, and when it may be gone."""
    if mode is Mode.STOPPED:
        return Obstacle.STOPPED, health.override.until if health.override else None
    if is_ahead(health.not_before, now, rules.retry_after_limit):
        return Obstacle.THROTTLED, health.not_before
    if mode is not Mode.FORCED and breaker.state is State.OPEN:
        return Obstacle.OPEN, breaker.reopens_at
    if len(permits) >= rules.breaker.probes:
        return Obstacle.PROBING, min(permit.until for permit in permits)
    if is_ahead(health.next_start, now, rules.retry_after_limit):
        return Obstacle.PACED, health.next_start
    return None, None


def _with_permit(health: Health, token: str, here: Standing, rules: HealthRules, now: datetime) -> Breaker | None:
    """Return the breaker to go on with, or None if a probe gets no permit."""
    if not here.probe:
        return health.breaker
    return taken(ripened(health.breaker, rules.breaker, now), token, rules.breaker, now)


def _paid(health: Health, start: Start, rules: HealthRules, now: datetime) -> tuple[Health, Obstacle | None, datetime]:
    """Return the health with pace and budget taken, which of them delays the start if any, and until when."""
    if start.reserved or not (start.repeat or start.max_per_second):
        return health, None, now
    budget, wait = spent(health.budget, rules.budget, now) if start.repeat else (health.budget, NOTHING)
    turn = _turn(health, start, rules, now)
    at = max(turn, now + wait)
    obstacle = None if at == now else Obstacle.PACED if at == turn else Obstacle.BUDGET
    next_start = at + _SECOND / start.max_per_second if start.max_per_second else health.next_start
    return replace(health, budget=budget, next_start=next_start), obstacle, at


def _turn(health: Health, start: Start, rules: HealthRules, now: datetime) -> datetime:
    """Return when pace lets the next attempt start."""
    paced = start.max_per_second and is_ahead(health.next_start, now, rules.retry_after_limit)
    return health.next_start if paced and health.next_start else now


def _with_breaker(health: Health, breaker: Breaker) -> Health:
    """Return the health with that breaker; the same object if it had it."""
    return health if breaker is health.breaker else replace(health, breaker=breaker)


def _granted(here: Standing) -> Admission:
    """Return leave to begin: a pace that was reserved, or that is no longer set, is no obstacle."""
    clear = here if here.obstacle is None else replace(here, obstacle=None, available_at=None)
    return Admission(granted=True, reserved_at=None, standing=clear)


def _refused(
    here: Standing, obstacle: Obstacle | None, at: datetime | None, reserved_at: datetime | None = None
) -> Admission:
    """Return that an attempt may not begin now, and why."""
    standing = replace(here, obstacle=obstacle, available_at=at)
    return Admission(granted=False, reserved_at=reserved_at, standing=standing)


def _not_before(health: Health, report: Report, rules: HealthRules, now: datetime) -> datetime | None:
    """Return until when the provider is left alone; a second wish never shortens the first."""
    if report.verdict is not Verdict.THROTTLED:
        return health.not_before
    asked = rules.throttled_for if report.retry_after is None else report.retry_after
    until = now + min(asked, rules.retry_after_limit)
    known = health.not_before if is_ahead(health.not_before, now, rules.retry_after_limit) else None
    return max(known, until) if known else until
