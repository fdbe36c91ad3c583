"""Every metric that there is: its name, kind, labels and meaning. docs/how-to/monitor.md lists the same, by a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from mailcore.events import Happening

Kind = Literal["counter", "histogram", "gauge"]


class Metric(Struct, frozen=True, kw_only=True):
    """One metric.

    Attributes:
        name: As it is scraped, but for what Prometheus adds to the parts of a histogram.
        buckets: The upper bounds of a histogram, in seconds, without the infinite one.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    help: str
    buckets: tuple[float, ...] = ()


def _counter(name: str, help_: str, *labels: str) -> Metric:
    """Return a counter."""
    return Metric(name=f"mailcore_{name}_total", kind="counter", labels=labels, help=help_)


def _gauge(name: str, help_: str, *labels: str) -> Metric:
    """Return a gauge."""
    return Metric(name=f"mailcore_{name}", kind="gauge", labels=labels, help=help_)


ACCEPTED: Final = _counter("accepted", "E-mails accepted", "lane")
ATTEMPTS: Final = _counter("attempts", "Attempts that ended, by how they ended", "provider", "outcome")
FAILOVERS: Final = _counter("failovers", "Attempts that failed and were followed by another at once", "provider")
SETTLED: Final = _counter("settled", "E-mails sent, failed or cancelled", "status", "reason")
REOPENED: Final = _counter("reopened", "E-mails failed before, and now redriven or found sent after all", "reason")
DUPLICATES: Final = _counter("possible_duplicates", "Attempts made after one whose outcome is unknown", "provider")

LATENCY: Final = Metric(
    name="mailcore_attempt_seconds",
    kind="histogram",
    labels=("provider",),
    help="How long a provider took for its answer",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
_WAITS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
BEGUN_WITHIN: Final = Metric(
    name="mailcore_begun_seconds",
    kind="histogram",
    labels=("lane",),
    help="From acceptance, the scheduled time or the latest redrive until the first attempt began",
    buckets=_WAITS,
)
SENT_WITHIN: Final = Metric(
    name="mailcore_sent_seconds",
    kind="histogram",
    labels=("lane",),
    help="From acceptance, the scheduled time or the latest redrive until an e-mail was sent",
    buckets=_WAITS,
)

TROUBLES: Final[Mapping[Happening, Metric]] = {
    Happening.STALE_SAVE: _counter("stale_saves", "Saves that somebody else's save had overtaken"),
    Happening.SETTLED_LATE: _counter("settled_late", "Answers that came after their lease had lapsed"),
    Happening.LEASE_EXPIRED: _counter("lease_expiries", "Attempts whose worker died or stalled, found by their lease"),
    Happening.WAKE_UP_LOST: _counter("lost_wake_ups", "Wake-ups that the queue did not take; the sweep finds these"),
    Happening.BURIAL_LOST: _counter("lost_burials", "Dead letters that the queue was not told of"),
    Happening.STRANGE_WAKE_UP: _counter("strange_wake_ups", "Wake-ups that no e-mail of the store is meant by"),
    Happening.STORE_FAILED: _counter("store_failures", "Calls that the store did not answer"),
    Happening.HEALTH_FAILED: _counter("health_failures", "Calls that the shared health did not answer"),
    Happening.PROVIDER_RAISED: _counter("provider_exceptions", "Exceptions out of the code of a provider"),
    Happening.UNEXPECTED: _counter("unexpected_exceptions", "Exceptions that nobody foresaw: faults, to be reported"),
}

UNFINISHED: Final = _gauge("unfinished_emails", "E-mails not settled yet, in the whole store", "lane", "status")
OLDEST_DUE: Final = _gauge("oldest_due_seconds", "How long the oldest e-mail that is due has been so", "lane")
STOCK_AGE: Final = _gauge("stock_age_seconds", "How old the two figures before this one are")
BREAKER: Final = _gauge("provider_breaker", "1 for the state that a provider's breaker is in", "provider", "state")
OBSTACLE: Final = _gauge("provider_obstacle", "1 for what keeps a provider from an attempt now", "provider", "obstacle")
SCORE: Final = _gauge("provider_score", "Estimated share of attempts that succeed", "provider")
SHARE: Final = _gauge("provider_share", "Share of the slots a provider may hold; below 1 after reopening", "provider")
BUDGET: Final = _gauge("provider_retry_budget", "Repeats that a provider's budget still allows at once", "provider")
IN_FLIGHT: Final = _gauge("in_flight", "Attempts that this process has under way", "provider")
SLOTS: Final = _gauge("slots", "How many e-mails this process carries at once at most")
SLOTS_FREE: Final = _gauge("slots_free", "Slots that no e-mail has")
WAITING: Final = _gauge("waiting_wake_ups", "Wake-ups that wait in this process for a slot", "lane")
CALLS: Final = _counter("store_calls", "What this process asked of the store", "way")
BATCHES: Final = _counter("store_batches", "Round trips or transactions in which that was done", "way")
UNREADABLE: Final = _counter("unreadable_records", "Records of another release that this one passed over", "of")
DROPPED: Final = _counter("dropped_log_lines", "Lines of the log that standard error did not take")
BUILD: Final = _gauge("build_info", "1, with the version and what the process is for", "version", "role")

CATALOGUE: Final = (
    *(ACCEPTED, ATTEMPTS, FAILOVERS, SETTLED, REOPENED, DUPLICATES, LATENCY, BEGUN_WITHIN, SENT_WITHIN),
    *TROUBLES.values(),
    *(UNFINISHED, OLDEST_DUE, STOCK_AGE, BREAKER, OBSTACLE, SCORE, SHARE, BUDGET),
    *(IN_FLIGHT, SLOTS, SLOTS_FREE, WAITING, CALLS, BATCHES, UNREADABLE, DROPPED, BUILD),
)
"""All of them, in the order of the page."""
