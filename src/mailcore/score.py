"""How much of a provider's mail succeeds: an estimate that forgets.

Both counts halve every 25 seconds, and an optimistic prior takes their place, so that silence forgives
(reliability.md section 6).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from mailcore.moments import advanced, seconds_since

GOOD: Final = 1.0
SLOW: Final = 0.5
"""A success that took too long is half a success and half a failure."""
BAD: Final = 0.0


class Score(Struct, frozen=True, kw_only=True):
    """The faded counts of what a provider did.

    Attributes:
        at: The moment at which the counts were as they stand here; None before the first attempt.
    """

    successes: float = 0.0
    failures: float = 0.0
    at: datetime | None = None


class ScoreRules(Struct, frozen=True, kw_only=True):
    """The numbers of the estimate.

    Attributes:
        half_life: The time in which what was seen loses half its weight.
        prior_successes: Successes that are always assumed.
        prior_failures: Failures that are always assumed; the two make a stranger's score of 0.98.
    """

    half_life: timedelta = timedelta(seconds=25)
    prior_successes: float = 2.0
    prior_failures: float = 0.04


def estimate(score: Score, rules: ScoreRules, now: datetime) -> float:
    """Return the estimated share of attempts that succeed now, above 0 and below 1."""
    kept = _kept(score, rules, now)
    good = rules.prior_successes + kept * score.successes
    return good / (good + rules.prior_failures + kept * score.failures)


def counted(score: Score, worth: float, rules: ScoreRules, now: datetime) -> Score:
    """Return the score after one more attempt.

    Args:
        score: The score before it.
        worth: How much of a success it was, from `BAD` to `GOOD`; the rest of it is a failure.
        rules: The numbers to count by.
        now: When it ended.
    """
    kept = _kept(score, rules, now)
    return Score(
        successes=kept * score.successes + worth,
        failures=kept * score.failures + 1.0 - worth,
        at=advanced(score.at, now),
    )


def _kept(score: Score, rules: ScoreRules, now: datetime) -> float:
    """Return which part of the counts has not been forgotten."""
    return float(2.0 ** (-seconds_since(score.at, now) / rules.half_life.total_seconds()))
