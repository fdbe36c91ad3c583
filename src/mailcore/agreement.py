"""What two processes that could not talk to each other for a while make of one provider: the worse of both views.

Each went on from the same health and saw part of what happened since. The merged view is nowhere better than
either; merging again, or the other way round, changes nothing more, so that any number of processes may do it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from msgspec.structs import replace

from mailcore.breaker import Breaker, Permit, State
from mailcore.health import Health
from mailcore.retry import BudgetRules, RetryBudget, refilled
from mailcore.score import Score, ScoreRules, estimate
from mailcore.standing import Mode, Override
from mailcore.window import Tally, Window, WindowRules

T = TypeVar("T")

_WORSE: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}
_STRICTER: Final = {Mode.AUTO: 0, Mode.FORCED: 1, Mode.STOPPED: 2}
_SCORE: Final = ScoreRules()
_BUDGET: Final = BudgetRules()


def merged(one: Health, other: Health) -> Health:
    """Return the worse of two views of one provider, part by part."""
    return Health(
        breaker=_breaker(one.breaker, other.breaker),
        score=_score(one.score, other.score),
        budget=_budget(one.budget, other.budget),
        not_before=latest(one.not_before, other.not_before),
        next_start=latest(one.next_start, other.next_start),
        override=_override(one.override, other.override),
    )


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two moments; None is before all of them."""
    return max((moment for moment in (one, other) if moment), default=None)


def _breaker(one: Breaker, other: Breaker) -> Breaker:
    """Return the breaker that lets less through, and the later of what both know besides."""
    kept = max(one, other, key=_badness)
    closed = kept.state is State.CLOSED
    return replace(
        kept,
        generation=max(one.generation, other.generation),
        opened_at=latest(one.opened_at, other.opened_at),
        openings=max(one.openings, other.openings),
        closed_at=latest(one.closed_at, other.closed_at) if closed else None,
        window=_window(one.window, other.window) if closed else (),
        last_success=latest(one.last_success, other.last_success),
        permits=_permits(one.permits, other.permits),
    )


def _badness(breaker: Breaker) -> tuple[object, ...]:
    """Return what orders breakers: by state, by when they reopen, by their streak; then by whatever else is kept."""
    reopens, closed = (at.timestamp() if at else 0.0 for at in (breaker.reopens_at, breaker.closed_at))
    return _WORSE[breaker.state], reopens, breaker.streak, breaker.streak_ids, closed, repr(breaker.window)


def _permits(one: tuple[Permit, ...], other: tuple[Permit, ...]) -> tuple[Permit, ...]:
    """Return every permit that either knows, each token's latest."""
    known = {permit.token: permit for permit in sorted((*one, *other), key=_lateness)}
    return tuple(sorted(known.values(), key=lambda permit: (permit.until, permit.token)))


def _lateness(permit: Permit) -> tuple[datetime, int]:
    """Return what orders permits of one token."""
    return permit.until, permit.generation


def _window(one: Window, other: Window) -> Window:
    """Return, bucket by bucket, the higher counts: most calls are in both, so a sum would count them twice."""
    ours, theirs = ({tally.slot: tally for tally in window} for window in (one, other))
    slots = sorted(ours.keys() | theirs.keys())[-WindowRules().buckets :]
    return tuple(_tally(ours.get(slot, Tally(slot)), theirs.get(slot, Tally(slot))) for slot in slots)


def _tally(one: Tally, other: Tally) -> Tally:
    """Return the higher of each count."""
    return Tally(one.slot, max(one.calls, other.calls), max(one.failures, other.failures), max(one.slow, other.slow))


def _score(one: Score, other: Score) -> Score:
    """Return the score with the lower estimate, at a moment when both are known."""
    at = latest(one.at, other.at)
    return one if at is None else _lower(one, other, lambda score: estimate(score, _SCORE, at))


def _budget(one: RetryBudget, other: RetryBudget) -> RetryBudget:
    """Return the budget with fewer tokens, at a moment when both are known."""
    at = latest(one.at, other.at)
    return one if at is None else _lower(one, other, lambda budget: refilled(budget, _BUDGET, at).balance)


def _lower(one: T, other: T, worth: Callable[[T], float]) -> T:
    """Return what is worth less; of two that are worth the same, whichever it is, the same one."""
    return min(one, other, key=lambda value: (worth(value), repr(value)))


def _override(one: Override | None, other: Override | None) -> Override | None:
    """Return the stricter word of the operator."""
    words = [word for word in (one, other) if word]
    return max(words, key=lambda word: (_STRICTER[word.mode], word.until is None, repr(word)), default=None)
