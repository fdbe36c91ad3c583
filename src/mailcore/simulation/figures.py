"""What a chronicle says in numbers, of one run and over many seeds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from math import inf
from statistics import fmean, median

from msgspec import Struct

from mailcore.breaker import State
from mailcore.lifecycle import Status
from mailcore.outcome import Verdict
from mailcore.simulation.chronicle import Chronicle, Sample, Try
from mailcore.simulation.scenario import Scenario
from mailcore.simulation.world import moment

GONE = 0.15
"""A provider's share of new mail at which the mail counts as shifted away from it."""
BACK = 0.9
"""The part of its weight's share with which a provider counts as back."""
CALM = 2 / 3
"""The part of a quarter of an hour that is calm, when trouble lasts five minutes of it."""

_FAILED = frozenset({Verdict.DEFERRED, Verdict.UNKNOWN, Verdict.THROTTLED, Verdict.MISCONFIGURED})


class Figures(Struct, frozen=True, kw_only=True):
    """One run, or many of them on average.

    Attributes:
        first_try: The share of e-mails that arrived during the trouble whose first attempt was accepted.
        failed: Failed attempts per 1000 e-mails, over a quarter of an hour of which the trouble takes five minutes.
        gone_s: Seconds from the beginning of the trouble until the watched provider would get at most 15 % of new
            mail; infinite if never.
        back_s: Seconds from the end of the trouble until it would get nine tenths of its share again.
        share: The watched provider's part of all first attempts during the trouble.
        openings: How often breakers opened.
        hits: The most attempts that began at a provider in one period of its breaker being open.
        throttled: Attempts that were answered with 429.
        unsent: E-mails that still waited at the end.
        given_up: E-mails that failed for good.
        plans: Decisions per e-mail.
        saves: Writes to the store per e-mail, the first apart.
        late_s: Seconds from the end of the trouble until the last e-mail that had waited for it was sent.
    """

    first_try: float
    failed: float
    gone_s: float
    back_s: float
    share: float
    openings: float
    hits: float
    throttled: float
    unsent: float
    given_up: float
    plans: float
    saves: float
    late_s: float


def figures_of(scenario: Scenario, seen: Chronicle) -> Figures:
    """Return the figures of one run."""
    begins, ends = moment(scenario.watch.begins), moment(scenario.watch.ends)
    firsts = [one for one in seen.tries if one.n == 1 and begins <= one.arrived < ends]
    gone, back = _turning_points(scenario, seen.samples)
    return Figures(
        first_try=_part(firsts, lambda one: one.verdict is Verdict.ACCEPTED),
        failed=_failed_per_1000(seen.tries, begins, ends),
        gone_s=gone,
        back_s=back,
        share=_part(firsts, lambda one: one.provider == scenario.watch.provider),
        openings=sum(turn.state is State.OPEN for turn in seen.turns),
        hits=max(hits_while_open(scenario, seen), default=0),
        throttled=sum(one.verdict is Verdict.THROTTLED for one in seen.tries),
        unsent=seen.mails - len(seen.fates),
        given_up=sum(fate.status is Status.FAILED for fate in seen.fates),
        plans=seen.plans / max(1, seen.mails),
        saves=seen.saves / max(1, seen.mails),
        late_s=max((_s(fate.at - ends) for fate in seen.fates if fate.arrived < ends < fate.at), default=0.0),
    )


def averaged(runs: Sequence[Figures]) -> Figures:
    """Return the figures over many seeds: medians of `gone_s` and `back_s`, the worst `hits` and `late_s`, or means."""
    return Figures(**{name: _summed(name)([getattr(run, name) for run in runs]) for name in Figures.__struct_fields__})


def _summed(name: str) -> Callable[[Sequence[float]], float]:
    """Return what one figure of many runs is summed up by."""
    if name in {"gone_s", "back_s"}:
        return median
    return max if name in {"hits", "late_s"} else fmean


def hits_while_open(scenario: Scenario, seen: Chronicle) -> Iterator[int]:
    """Return for every opening of a breaker how many attempts began there until it opened again or closed.

    Those count that began when every worker's copy of the shared health could tell of the opening.
    """
    for name in {turn.provider for turn in seen.turns}:
        starts = [one.at for one in seen.tries if one.provider == name]
        turns = [turn for turn in seen.turns if turn.provider == name]
        for turn, following in zip_longest(turns, turns[1:]):
            if turn.state is State.OPEN:
                over = bisect_left(starts, following.at) if following else len(starts)
                yield max(0, over - bisect_left(starts, turn.at + scenario.copy_age))


def _part(tries: Sequence[Try], holds: Callable[[Try], bool]) -> float:
    """Return the part of the attempts for which something holds; 1 of none."""
    return fmean(map(holds, tries)) if tries else 1.0


def _failed_per_1000(tries: Sequence[Try], begins: datetime, ends: datetime) -> float:
    """Return the failed attempts per 1000 e-mails, trouble and calm weighted as they are in a quarter of an hour."""
    trouble = [one for one in tries if begins <= one.arrived < ends]
    calm = [one for one in tries if not begins <= one.arrived < ends]
    return 1000 * (CALM * _failures_each(calm) + (1 - CALM) * _failures_each(trouble))


def _failures_each(tries: Sequence[Try]) -> float:
    """Return the failed attempts per e-mail."""
    return sum(one.verdict in _FAILED for one in tries) / max(1, sum(one.n == 1 for one in tries))


def _turning_points(scenario: Scenario, samples: Sequence[Sample]) -> tuple[float, float]:
    """Return how long the watched provider's share took to go, and to come back."""
    watch = scenario.watch
    begins, ends = moment(watch.begins), moment(watch.ends)
    weights = {one.name: one.weight for one in scenario.providers}
    home = BACK * weights[watch.provider] / sum(weights.values())
    gone = (_s(one.at - begins) for one in samples if one.at < ends and one.share <= GONE)
    back = (_s(one.at - ends) for one in samples if one.at >= ends and one.share >= home)
    return next(gone, inf), next(back, inf)


def _s(span: timedelta) -> float:
    """Return a span in seconds."""
    return span.total_seconds()
