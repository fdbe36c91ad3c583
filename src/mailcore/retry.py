"""When to try again: backoff by rounds, an age for every lane, and a budget of repeats for every provider.

Full jitter spreads a round's delay over its whole range, so that e-mails that failed together do not come
back together. The budget bounds what a struggling provider gets on top of new mail. Source: reliability.md 5.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp
from typing import Final, assert_never

from msgspec import Struct

from mailcore.message import Lane
from mailcore.moments import advanced, seconds_since

_MOST_DOUBLINGS: Final = 20  # timedelta overflows long before int does


class LaneRules(Struct, frozen=True, kw_only=True):
    """The age at which an e-mail that was not sent is given up, by lane."""

    urgent: timedelta = timedelta(minutes=15)
    transactional: timedelta = timedelta(hours=24)
    bulk: timedelta = timedelta(hours=72)

    def give_up_after(self, lane: Lane) -> timedelta:
        """Return the age at which an e-mail of a lane is given up."""
        match lane:
            case Lane.URGENT:
                return self.urgent
            case Lane.TRANSACTIONAL:
                return self.transactional
            case Lane.BULK:
                return self.bulk
            case _:  # pragma: no cover - mypy proves that nothing is left
                assert_never(lane)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How long an e-mail waits between rounds.

    Attributes:
        base: The longest delay after the first round; it doubles with every further one.
        cap: The longest delay after any round, unless a provider asks for more.
        max_rounds: How many rounds an e-mail gets; None to bound it by its age alone.
        retry_after_limit: The longest wish of a provider that is granted.
    """

    base: timedelta = timedelta(seconds=5)
    cap: timedelta = timedelta(minutes=5)
    max_rounds: int | None = None
    retry_after_limit: timedelta = timedelta(hours=24)

    def delay(self, rounds: int, u: float) -> timedelta:
        """Return how long to wait for the next round, if no provider asks for more.

        Args:
            rounds: The rounds that ended before the latest one: 0 for the first delay.
            u: A uniform draw from [0, 1), made by the caller.
        """
        return u * min(self.cap, self.base * (1 << min(rounds, _MOST_DOUBLINGS)))


class RetryBudget(Struct, frozen=True, kw_only=True):
    """A provider's bucket of tokens for repeats: attempts of e-mails that have already tried it.

    Attributes:
        balance: Tokens in the bucket; below 0, tokens that are yet to come and are promised already.
        accepts: Accepted attempts of late, faded over `BudgetRules.memory`.
        at: The moment at which both were as they stand here; None while nothing happened.
    """

    balance: float = 100.0
    accepts: float = 0.0
    at: datetime | None = None

    @property
    def tokens(self) -> float:
        """Tokens that may be spent at once, 0 or more."""
        return max(0.0, self.balance)

    @property
    def debt(self) -> float:
        """Tokens that are promised and yet to come, 0 or more."""
        return max(0.0, -self.balance)


class BudgetRules(Struct, frozen=True, kw_only=True):
    """The numbers of the retry budget.

    Attributes:
        most: Tokens that the bucket holds.
        floor_per_second: Tokens that come whatever happens.
        memory: The time over which accepted attempts per second are counted.
        shortest: The least that an e-mail waits for a token to come.
    """

    most: float = 100.0
    floor_per_second: float = 1.0
    memory: timedelta = timedelta(seconds=10)
    shortest: timedelta = timedelta(seconds=1)


def refilled(budget: RetryBudget, rules: BudgetRules, now: datetime) -> RetryBudget:
    """Return the budget as it stands now: the floor's tokens have come, old accepts have faded."""
    passed_s = seconds_since(budget.at, now)
    return RetryBudget(
        balance=min(rules.most, budget.balance + passed_s * rules.floor_per_second),
        accepts=budget.accepts * exp(-passed_s / rules.memory.total_seconds()),
        at=advanced(budget.at, now),
    )


def earned(budget: RetryBudget, rules: BudgetRules, now: datetime) -> RetryBudget:
    """Return the budget after an accepted attempt, which is worth one token."""
    ready = refilled(budget, rules, now)
    return RetryBudget(balance=min(rules.most, ready.balance + 1.0), accepts=ready.accepts + 1.0, at=ready.at)


def spent(budget: RetryBudget, rules: BudgetRules, now: datetime) -> tuple[RetryBudget, timedelta]:
    """Return the budget with one token spent, and how long to wait for that token to come.

    The wait is 0 if there was a whole token. Otherwise the token is promised: whoever waits for it passes
    without a second check. A caller who finds the wait too long keeps the budget that it had.
    """
    ready = refilled(budget, rules, now)
    paid = RetryBudget(balance=ready.balance - 1.0, accepts=ready.accepts, at=ready.at)
    if paid.balance >= 0.0:
        return paid, timedelta(0)
    per_second = rules.floor_per_second + paid.accepts / rules.memory.total_seconds()
    return paid, max(rules.shortest, timedelta(seconds=paid.debt / per_second))
