"""MTA strategies: which of the providers that could take an e-mail is tried next.

A strategy is a pure function of values. It sees only providers that can carry the e-mail and take attempts
now, and says in one sentence why it chose as it did; that sentence is kept with the attempt.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from mailcore.provider import ProviderView

BAND: Final = 0.05
"""Scores that differ by no more than this are equally good: it is the operator's weights that count then."""
EXPLORE: Final = 0.01
"""The share of mail that each provider below the band gets, so that its score stays an estimate."""
MOST_EXPLORING: Final = 0.5
"""The share of mail that all of them get together at most."""


class Choice(Struct, frozen=True, kw_only=True):
    """The provider that is tried next.

    Attributes:
        why: One sentence for people, with the numbers behind the choice.
    """

    provider: str
    why: str


class Strategy(Protocol):
    """Chooses the provider of the next attempt."""

    def __call__(self, candidates: Sequence[ProviderView], now: datetime, u: float, /) -> Choice:
        """Return one of the candidates.

        Args:
            candidates: One or more, each able to carry the e-mail and taking attempts, in configured order.
            now: The moment of the choice.
            u: A uniform draw from [0, 1), made by the caller; the only chance there is.
        """
        ...


def preferred_band(candidates: Sequence[ProviderView], _now: datetime, u: float, /) -> Choice:
    """Choose by weight among the providers whose scores are near the best; now and then try another.

    Providers in the band share mail as the operator weighted them, whatever the noise in their scores. What
    is left of the draw after the decision to explore is spread anew over [0, 1): one draw is fair for both.
    """
    best = max([view.standing.score for view in candidates])
    good = [view for view in candidates if view.standing.score >= best - BAND]
    if len(good) < len(candidates):
        bad = [view for view in candidates if view.standing.score < best - BAND]
        exploring = min(MOST_EXPLORING, EXPLORE * len(bad))
        if u < exploring:
            return _exploration(bad, best, u / exploring)
        u = (u - exploring) / (1.0 - exploring)
    picked = _by_weight(good, u)
    return Choice(
        provider=picked.name,
        why=f"score {picked.standing.score:.2f} within {BAND:.2f} of the best, {_weight(picked, good)}",
    )


def priority(candidates: Sequence[ProviderView], _now: datetime, _u: float, /) -> Choice:
    """Choose the first in the configured order."""
    first = candidates[0]
    return Choice(
        provider=first.name,
        why=f"first in the configured order of {len(candidates)} available, score {first.standing.score:.2f}",
    )


def weighted(candidates: Sequence[ProviderView], _now: datetime, u: float, /) -> Choice:
    """Choose by the configured weights alone, whatever the scores."""
    picked = _by_weight(candidates, u)
    return Choice(
        provider=picked.name,
        why=f"{_weight(picked, candidates)}, score {picked.standing.score:.2f} not considered",
    )


STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {"preferred_band": preferred_band, "priority": priority, "weighted": weighted}
)
"""The strategies that come with mailcore, by the name that a configuration gives them."""


def _exploration(bad: Sequence[ProviderView], best: float, u: float) -> Choice:
    """Choose evenly among the providers below the band."""
    picked = bad[min(int(u * len(bad)), len(bad) - 1)]
    return Choice(
        provider=picked.name,
        why=f"tried to keep its score current: {picked.standing.score:.2f}, the best has {best:.2f}",
    )


def _by_weight(candidates: Sequence[ProviderView], u: float) -> ProviderView:
    """Return the candidate in whose share of the weights, laid end to end, the draw falls."""
    ends = list(accumulate([view.weight for view in candidates]))
    return candidates[min(bisect_right(ends, u * ends[-1]), len(candidates) - 1)]


def _weight(picked: ProviderView, among: Sequence[ProviderView]) -> str:
    """Return a provider's weight among others as a phrase."""
    return f"weight {picked.weight:g} of {sum([view.weight for view in among]):g}"
