"""Counts what happens: a watcher that adds to numbers in memory and does nothing else on the way.

Numbers are plain ones, changed on the event loop alone: adding costs a tenth of what a locked counter of a library
does, and they become Prometheus' own only when somebody scrapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from mailapps.metrics import catalogue as c
from mailapps.metrics.catalogue import Metric
from mailcore.attempt import Attempt
from mailcore.events import Event, Happening
from mailcore.lifecycle import BURIED, Email, Reason, Status
from mailcore.message import Lane
from mailcore.outcome import Verdict

OTHER: Final = "other"
"""Stands for a provider that is not configured any more, whose name could be anything."""

Labels = tuple[str, ...]


@dataclass
class Curve:
    """One histogram of one set of labels.

    Attributes:
        counts: How many fell into each bucket, and last those beyond all.
    """

    bounds: Sequence[float]
    counts: list[int]
    total: float = 0.0

    def add(self, span: timedelta) -> None:
        """Count a span of time; one below zero, by clocks that are apart, counts as none."""
        seconds = max(0.0, span.total_seconds())
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True)
class Tally:
    """What one process has counted since it began.

    Attributes:
        providers: The configured names; all series of theirs are there from the start, at 0.
        counts: Of each counter, by its name, the numbers by their labels.
        curves: The same of each histogram.
    """

    providers: Iterable[str]
    counts: dict[str, Counter[Labels]] = field(default_factory=dict[str, "Counter[Labels]"])
    curves: dict[str, dict[Labels, Curve]] = field(default_factory=dict[str, "dict[Labels, Curve]"])

    def __post_init__(self) -> None:
        """Begin with every series that is sure to come at 0, so that its first rise can be seen."""
        for metric, first in _first(tuple(self.providers)).items():
            self.counts[metric.name] = Counter(dict.fromkeys(first, 0))
        self.curves[c.LATENCY.name] = {(name,): _curve(c.LATENCY) for name in (*self.providers, OTHER)}
        for metric in (c.BEGUN_WITHIN, c.SENT_WITHIN):
            self.curves[metric.name] = {(lane.value,): _curve(metric) for lane in Lane}

    def watch(self, event: Event) -> None:
        """Count an event."""
        match event.what:
            case Happening.SUBMITTED if event.email:
                self.counts[c.ACCEPTED.name][event.email.lane.value,] += 1
            case Happening.ATTEMPTED if event.attempt:
                self._attempted(event.attempt, event.email)
            case Happening.CHANGED if event.email:
                self._changed(event.email)
            case Happening.SUBMITTED | Happening.ATTEMPTED | Happening.CHANGED | Happening.SWEPT:
                return
            case _:
                self.counts[c.TROUBLES[event.what].name][()] += 1

    def _attempted(self, attempt: Attempt, email: Email | None) -> None:
        """Count an attempt that ended."""
        provider = self._known(attempt.provider)
        self.counts[c.ATTEMPTS.name][provider, (attempt.outcome or Verdict.UNKNOWN).value] += 1
        if attempt.latency is not None:
            self.curves[c.LATENCY.name][provider,].add(attempt.latency)
        if email is None:
            return
        if _begins_series(attempt, email):
            self.curves[c.BEGUN_WITHIN.name][email.lane.value,].add(attempt.started_at - email.series_at)
        if email.open_attempt:
            self.counts[c.FAILOVERS.name][provider,] += 1
        if email.possible_duplicate and _may_repeat(attempt, email):
            self.counts[c.DUPLICATES.name][provider,] += 1

    def _changed(self, email: Email) -> None:
        """Count an e-mail that has come to an end, or come back from it."""
        if email.settled:
            self.counts[c.SETTLED.name][email.status.value, email.reason.value] += 1
        if email.status is Status.SENT:
            self.curves[c.SENT_WITHIN.name][email.lane.value,].add(email.updated_at - email.series_at)
        if _was_failed(email):
            self.counts[c.REOPENED.name][email.reason.value,] += 1

    def _known(self, provider: str) -> str:
        """Return a provider's name if it is one of the configured."""
        return provider if (provider,) in self.curves[c.LATENCY.name] else OTHER


def _begins_series(attempt: Attempt, email: Email) -> bool:
    """Whether an attempt is an e-mail's first, or its first since a redrive; each series has a key of its own."""
    before = [one for one in email.attempts if one.n == attempt.n - 1]
    return attempt.n == 1 or any(one.key != attempt.key for one in before)


def _may_repeat(attempt: Attempt, email: Email) -> bool:
    """Whether somebody may have had the message before this attempt, and its provider could not tell."""
    earlier = (one for one in email.attempts if one.n < attempt.n)
    return not attempt.deduped and any(one.outcome is Verdict.UNKNOWN for one in earlier)


def _was_failed(email: Email) -> bool:
    """Whether an e-mail had failed before its latest move."""
    return len(email.history) > 1 and email.history[-2].status is Status.FAILED


def _curve(metric: Metric) -> Curve:
    """Return an empty curve."""
    return Curve(metric.buckets, [0] * (len(metric.buckets) + 1))


def _first(providers: Sequence[str]) -> Mapping[Metric, Iterable[Labels]]:
    """Return the labels of every series that is there from the start."""
    each = [(name,) for name in providers]
    ends: list[Labels] = [(Status.SENT.value, Reason.ACCEPTED.value), (Status.CANCELLED.value, Reason.WITHDRAWN.value)]
    return {
        c.ACCEPTED: [(lane.value,) for lane in Lane],
        c.ATTEMPTS: [(name, outcome.value) for name in providers for outcome in Verdict],
        c.FAILOVERS: each,
        c.DUPLICATES: each,
        c.SETTLED: [*ends, *((Status.FAILED.value, reason.value) for reason in sorted(BURIED))],
        c.REOPENED: [(Reason.REDRIVEN.value,), (Reason.LATE_ANSWER.value,)],
        **{metric: [()] for metric in c.TROUBLES.values()},
    }
