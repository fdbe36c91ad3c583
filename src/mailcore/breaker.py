"""The circuit breaker of one provider's account, as a value.

    CLOSED ──fails too often──▶ OPEN ──its time is over──▶ HALF_OPEN ──first success──▶ CLOSED
                                  ◀──────────first failure───────┘

Every transition starts a new generation, and a result that belongs to an older one is dropped. Probes are
permits with a lease: a process that dies with one cannot keep it. No timeout leads back to OPEN, so that a
healthy provider closes with the first call that it answers, however rare calls are. Source: reliability.md 5.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from mailcore.moments import is_ahead
from mailcore.window import Window, WindowRules, counted, total

_MOST_DOUBLINGS: Final = 20  # far beyond the cap; timedelta overflows long before int does
_SEVERAL: Final = 2


class State(StrEnum):
    """Whether a provider takes attempts: all, none, or a few probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Result(StrEnum):
    """What an attempt says of the provider's health.

    IGNORED says nothing of it (the message or our pace was at fault); FATAL says that any attempt would fail.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    FATAL = "fatal"
    IGNORED = "ignored"


class Permit(Struct, frozen=True, array_like=True):
    """Leave to make one probe, which lapses by itself."""

    token: str
    until: datetime
    generation: int


class Breaker(Struct, frozen=True, kw_only=True):
    """The state of one circuit breaker.

    Attributes:
        generation: Grows by 1 with every transition.
        opened_at: When it opened last.
        reopens_at: When an open breaker lets the first probe through.
        openings: How often it opened since it was last closed for a whole ramp.
        closed_at: When it closed last, for the ramp; None if it never opened.
        window: The calls of late; emptied by every transition.
        streak: Failures since the latest success.
        streak_ids: The e-mails of the streak, the first two.
        last_success: When a call last succeeded.
        permits: Probes under way; a lapsed one counts no more.
    """

    state: State = State.CLOSED
    generation: int = 0
    opened_at: datetime | None = None
    reopens_at: datetime | None = None
    openings: int = 0
    closed_at: datetime | None = None
    window: Window = ()
    streak: int = 0
    streak_ids: tuple[str, ...] = ()
    last_success: datetime | None = None
    permits: tuple[Permit, ...] = ()


class BreakerRules(Struct, frozen=True, kw_only=True):
    """The numbers of a breaker.

    Attributes:
        min_calls: Fewer calls than these in the window are no rate.
        failure_rate: Opens from this share of failures on, if another's score is higher by `better_by`.
        slow_rate: Opens from this share of slow calls on, if another takes attempts.
        slow_after: A call that takes longer is slow.
        streak: Opens after so many failures in a row, of two e-mails at least,
        quiet: if there was no success for this long.
        open_for: How long the first opening lasts; each further one twice as long,
        open_cap: up to this,
        jitter: give or take this share.
        probes: Probes at one time, over all processes.
        permit_lease: After this a probe's process is taken for dead: the call deadline and 5 s.
        ramp: How long a closed breaker holds back after it was open.
        ramp_start: The share of slots at the start of the ramp.
        ramp_doubling: The time in which that share doubles.
    """

    window: WindowRules = WindowRules()
    min_calls: int = 10
    failure_rate: float = 0.5
    better_by: float = 0.2
    slow_rate: float = 0.8
    slow_after: timedelta = timedelta(seconds=5)
    streak: int = 8
    quiet: timedelta = timedelta(seconds=2)
    open_for: timedelta = timedelta(seconds=15)
    open_cap: timedelta = timedelta(seconds=90)
    jitter: float = 0.1
    probes: int = 3
    permit_lease: timedelta = timedelta(seconds=25)
    ramp: timedelta = timedelta(seconds=30)
    ramp_start: float = 0.1
    ramp_doubling: timedelta = timedelta(seconds=10)


class Call(Struct, frozen=True, kw_only=True):
    """How one attempt ended, as a breaker sees it.

    Attributes:
        token: Names the attempt, as its permit does.
        email_id: Names the e-mail, so that one poisonous e-mail alone opens nothing.
        generation: The breaker's generation when the attempt was admitted.
        beaten_by: How much higher the best score of the other providers is that take attempts now, this attempt
            included; None if no other does.
        u: A uniform draw from [0, 1), made by the caller: the jitter of an opening.
    """

    token: str
    email_id: str
    generation: int
    result: Result
    latency: timedelta
    beaten_by: float | None
    u: float


def ripened(breaker: Breaker, rules: BreakerRules, now: datetime) -> Breaker:
    """Return the breaker half open if its time of being open is over, else as it is."""
    if breaker.state is not State.OPEN or is_ahead(breaker.reopens_at, now, rules.open_cap):
        return breaker
    return replace(breaker, state=State.HALF_OPEN, generation=breaker.generation + 1)


def outstanding(breaker: Breaker, rules: BreakerRules, now: datetime) -> tuple[Permit, ...]:
    """Return the permits that have not lapsed."""
    return tuple(permit for permit in breaker.permits if is_ahead(permit.until, now, rules.permit_lease))


def taken(breaker: Breaker, token: str, rules: BreakerRules, now: datetime) -> Breaker | None:
    """Return a half-open breaker with a permit for an attempt, or None if there is none to be had.

    Asked twice, one token gets one permit. A token whose probe failed gets no other while that one lasts, so
    that a process that has not heard of the failure cannot probe again.
    """
    permits = outstanding(breaker, rules, now)
    for permit in permits:
        if permit.token == token:
            return breaker if permit.generation == breaker.generation else None
    if len(permits) >= rules.probes:
        return None
    permit = Permit(token, now + rules.permit_lease, breaker.generation)
    return replace(breaker, permits=(*permits, permit))


def given_back(breaker: Breaker, token: str, rules: BreakerRules, now: datetime) -> Breaker:
    """Return the breaker without an attempt's permit, if it has one of this generation."""
    kept = tuple(
        permit
        for permit in outstanding(breaker, rules, now)
        if permit.token != token or permit.generation != breaker.generation
    )
    return breaker if len(kept) == len(breaker.permits) else replace(breaker, permits=kept)


def recorded(breaker: Breaker, call: Call, rules: BreakerRules, now: datetime) -> Breaker:
    """Return the breaker after an attempt has ended; a result of an older generation changes nothing.

    While it is open only the operator's word lets attempts through, and they do not end its time.
    """
    if call.generation != breaker.generation:
        return breaker
    if call.result is Result.IGNORED:
        return given_back(breaker, call.token, rules, now)
    match breaker.state:
        case State.OPEN:
            return breaker
        case State.HALF_OPEN if call.result is Result.SUCCESS:
            return _closed(breaker, now)
        case State.HALF_OPEN:
            return _opened(breaker, call.u, rules, now)
        case State.CLOSED:
            after = _counted(breaker, call, rules, now)
            return _opened(after, call.u, rules, now) if _trips(after, call, rules, now) else after
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(breaker.state)


def ramp_share(breaker: Breaker, rules: BreakerRules, now: datetime) -> float:
    """Return the share of a process's slots that the provider may hold: below 1 only after a closing."""
    if breaker.closed_at is None or breaker.state is not State.CLOSED or _is_ramp_over(breaker, rules, now):
        return 1.0
    doublings = abs(now - breaker.closed_at) / rules.ramp_doubling
    return float(min(1.0, rules.ramp_start * 2.0**doublings))


def _is_ramp_over(breaker: Breaker, rules: BreakerRules, now: datetime) -> bool:
    """Return whether a closed breaker is past its ramp; a clock that went far back does not prolong it."""
    return breaker.closed_at is None or abs(now - breaker.closed_at) >= rules.ramp


def _closed(breaker: Breaker, now: datetime) -> Breaker:
    """Return the breaker closed by a probe; the openings are forgotten only when the ramp is over."""
    return Breaker(
        generation=breaker.generation + 1,
        opened_at=breaker.opened_at,
        openings=breaker.openings,
        closed_at=now,
        last_success=now,
    )


def _opened(breaker: Breaker, u: float, rules: BreakerRules, now: datetime) -> Breaker:
    """Return the breaker open. Permits stay until they lapse: their probes may still be under way."""
    forgotten = breaker.state is State.CLOSED and _is_ramp_over(breaker, rules, now)
    openings = 0 if forgotten else breaker.openings
    doubled = rules.open_for * (1 << min(openings, _MOST_DOUBLINGS))
    spread = 1.0 - rules.jitter + 2.0 * rules.jitter * u
    return Breaker(
        state=State.OPEN,
        generation=breaker.generation + 1,
        opened_at=now,
        reopens_at=now + min(doubled, rules.open_cap) * spread,
        openings=openings + 1,
        last_success=breaker.last_success,
        permits=breaker.permits,
    )


def _counted(breaker: Breaker, call: Call, rules: BreakerRules, now: datetime) -> Breaker:
    """Return a closed breaker with one more call in its window and its streak."""
    failed = call.result is not Result.SUCCESS
    window = counted(breaker.window, failed=failed, slow=call.latency > rules.slow_after, rules=rules.window, now=now)
    if not failed:
        return replace(breaker, window=window, streak=0, streak_ids=(), last_success=now)
    ids = breaker.streak_ids
    known = len(ids) == _SEVERAL or call.email_id in ids
    return replace(
        breaker,
        window=window,
        streak=breaker.streak + 1,
        streak_ids=ids if known else (*ids, call.email_id),
    )


def _trips(breaker: Breaker, call: Call, rules: BreakerRules, now: datetime) -> bool:
    """Return whether a closed breaker must open, its latest call counted."""
    return call.result is Result.FATAL or _has_streak(breaker, rules, now) or _has_rate(breaker, call, rules, now)


def _has_streak(breaker: Breaker, rules: BreakerRules, now: datetime) -> bool:
    """Return whether too many calls in a row failed; a burst that failed within moments is no streak yet."""
    if breaker.streak < rules.streak or len(breaker.streak_ids) < _SEVERAL:
        return False
    return breaker.last_success is None or abs(now - breaker.last_success) >= rules.quiet


def _has_rate(breaker: Breaker, call: Call, rules: BreakerRules, now: datetime) -> bool:
    """Return whether too many calls in the window failed or were slow, and somebody else does better.

    With nobody better, opening would only turn part of the mail away that would have gone through.
    """
    if call.beaten_by is None:
        return False
    calls = total(breaker.window, rules.window, now)
    if calls.calls < rules.min_calls:
        return False
    is_worse = call.beaten_by >= rules.better_by
    is_failing = is_worse and calls.failures >= rules.failure_rate * calls.calls
    return is_failing or calls.slow >= rules.slow_rate * calls.calls
