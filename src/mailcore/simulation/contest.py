"""Who is compared: the strategies of mailcore, one that knows everything, and one that knows nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.provider import ProviderView
from mailcore.rules import Rules
from mailcore.simulation.catalogue import CATALOGUE, PAIR, RARE
from mailcore.simulation.delivery import delivered
from mailcore.simulation.figures import Figures, averaged, figures_of
from mailcore.simulation.internet import MadeUp
from mailcore.simulation.scenario import Scenario
from mailcore.strategy import STRATEGIES, Choice, Strategy, weighted

ORACLE: Final = "oracle"
"""It knows which provider fails how much, and chooses by weight among the best."""
STATIC: Final = "static"
"""It chooses by weight alone, without a circuit breaker."""
CONTESTANTS: Final = (*STRATEGIES, ORACLE, STATIC)
"""Everybody who is compared, by name."""
SEEDS: Final = 20
"""How many made-up worlds are averaged over unless more are asked for."""

_NEVER: Final = 1_000_000_000


def rules_of(contestant: str, scenario: Scenario, rules: Rules) -> Rules:
    """Return the rules by which a contestant plays: as they are, if they have its strategy.

    Raises:
        KeyError: There is no such contestant.
    """
    if contestant == rules.strategy_name:
        return rules
    if contestant == ORACLE:
        return replace(rules, strategy=oracle(scenario.providers), strategy_name=ORACLE)
    if contestant == STATIC:
        breaker = replace(rules.health.breaker, min_calls=_NEVER, streak=_NEVER)
        unbroken = replace(rules, health=replace(rules.health, breaker=breaker))
        return replace(unbroken, strategy=weighted, strategy_name=STATIC)
    return replace(rules, strategy=STRATEGIES[contestant], strategy_name=contestant)


def oracle(providers: Sequence[MadeUp]) -> Strategy:
    """Return a strategy that knows how much of its mail every provider fails."""
    made_up = {one.name: one for one in providers}

    def choose(candidates: Sequence[ProviderView], now: datetime, u: float, /) -> Choice:
        failing = {view.name: made_up[view.name].failing(now) for view in candidates}
        least = min(failing.values())
        return weighted([view for view in candidates if failing[view.name] == least], now, u)

    return choose


class Match(Struct, frozen=True, kw_only=True):
    """A contestant in a scenario, over so many made-up worlds."""

    scenario: Scenario
    contestant: str = "preferred_band"
    rules: Rules = Rules()
    seeds: int = SEEDS


def matches(
    names: Sequence[str],
    contestants: Sequence[str] = CONTESTANTS,
    *,
    providers: Sequence[MadeUp] = PAIR,
    rules: Rules | None = None,
    seeds: int = SEEDS,
) -> list[Match]:
    """Return everybody in each of these scenarios; in more worlds where there is little mail to judge by.

    Raises:
        KeyError: There is no such scenario.
    """
    return [
        Match(
            scenario=CATALOGUE[name](providers),
            contestant=contestant,
            rules=rules or Rules(),
            seeds=seeds * 3 if name in RARE else seeds,
        )
        for name in names
        for contestant in contestants
    ]


def run(match: Match, seed: int) -> Figures:
    """Return how a contestant fares in one made-up world."""
    by = rules_of(match.contestant, match.scenario, match.rules)
    return figures_of(match.scenario, delivered(match.scenario, by, seed))


def played(match: Match) -> Figures:
    """Return how a contestant fares on average."""
    return averaged([run(match, seed) for seed in range(match.seeds)])


def all_played(played_by: Sequence[Match], executor: Executor) -> Iterator[Figures]:
    """Return the same for many matches, in their order, each as soon as it is known; played by other processes."""
    begun = [[executor.submit(run, match, seed) for seed in range(match.seeds)] for match in played_by]
    return (averaged([future.result() for future in runs]) for runs in begun)
