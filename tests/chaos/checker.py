"""Judges a history: pure, and knows nothing of how it came about.

Each rule yields what breaks it, as a line that names the e-mail; a run passes if no rule yields anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from statistics import quantiles
from typing import Final

from msgspec import Struct
from tests.chaos.history import SETTLED, History, Kind, Record, Request, Tried

CRASHED: Final = "worker_died"


class Figures(Struct, frozen=True, kw_only=True):
    """The numbers of a run.

    Attributes:
        posts: Requests to the API, repeats included.
        errors: Those that were answered with a 5xx or not at all.
        explained: Copies too many at providers that an unknown attempt explains.
        worst_recovery: The longest that anything of `Limits.recovery` took.
        post_p99: Of POSTs that were answered.
    """

    posts: int
    errors: int
    accepted: int
    sent: int
    failed: int
    cancelled: int
    held: int
    explained: int
    unknown_attempts: int
    crashes: int
    median_recovery: timedelta
    worst_recovery: timedelta
    post_p99: timedelta


class Judgement(Struct, frozen=True, kw_only=True):
    """What the rules say of a history: for each its name, and the lines that break it."""

    broken: Mapping[str, Sequence[str]]
    figures: Figures

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not any(self.broken.values())

    def lines(self) -> list[str]:
        """Return what breaks any rule, a line each."""
        return [f"{rule}: {line}" for rule, lines in self.broken.items() for line in lines]


class Books(Struct, frozen=True, kw_only=True):
    """A history, sorted for looking things up: by e-mail, the requests in the order in which they came."""

    history: History
    records: Mapping[str, Record]
    requests: Mapping[str, Sequence[Request]]
    wishes: Mapping[str, datetime]

    def accepts(self, email_id: str) -> int:
        """Return how often providers took an e-mail."""
        return sum(request.accepted for request in self.requests.get(email_id, ()))


def judge(history: History) -> Judgement:
    """Return what is wrong with a history, and its numbers."""
    books = _books(history)
    return Judgement(broken={name: list(rule(books)) for name, rule in RULES.items()}, figures=_figures(books))


def _books(history: History) -> Books:
    """Return a history sorted for looking things up."""
    requests = defaultdict[str, list[Request]](list)
    for request in sorted(history.requests, key=lambda one: one.received_at):
        requests[request.email_id].append(request)
    wishes = {one.key: one.scheduled_at for one in history.submissions if one.scheduled_at is not None}
    records = {one.id: one for one in history.records}
    return Books(history=history, records=records, requests=requests, wishes=wishes)


def _lost(books: Books) -> Iterator[str]:
    """What was answered 201 was taken by a provider, failed visibly or was cancelled (I1, I2)."""
    for one in books.history.submissions:
        for email_id in one.ids():
            record = books.records.get(email_id)
            if record is None:
                yield f"{email_id}: answered 201, and the store does not know it"
            elif record.status == "sent" and not books.accepts(email_id):
                yield f"{email_id}: is sent, and no provider took it"


def _unexpected(books: Books) -> Iterator[str]:
    """Providers get, and the store holds, only what a caller may have submitted."""
    told = {email_id for one in books.history.submissions for email_id in one.ids()}
    open_keys = {one.key for one in books.history.submissions if one.answers[-1].kind is not Kind.FAIL}
    for email_id in {*books.requests, *books.records} - told:
        record = books.records.get(email_id)
        if record is None or record.key not in open_keys:
            yield f"{email_id}: nobody was told of it, and nobody's answer was unknown"


def _doubled(books: Books) -> Iterator[str]:
    """One key is one e-mail (I12)."""
    keys = Counter(record.key for record in books.history.records)
    yield from (f"{key}: {count} e-mails in the store" for key, count in keys.items() if count > 1)
    for one in books.history.submissions:
        if len(one.ids()) > 1:
            yield f"{one.key}: answered with {len(one.ids())} ids"


def _unexplained(books: Books) -> Iterator[str]:
    """An e-mail is taken once, and once more for each attempt of unknown outcome; such e-mails are listed (I11)."""
    for email_id in books.requests:
        accepts, record = books.accepts(email_id), books.records.get(email_id)
        explained = _explained(record)
        if accepts > 1 + explained:
            yield f"{email_id}: taken {accepts} times, and {explained} attempts were ever unknown"
        elif accepts > 1 and not (record and record.listed):
            yield f"{email_id}: taken {accepts} times, and not listed as a possible duplicate"


def _explained(record: Record | None) -> int:
    """Return how many attempts are unknown, or were until an answer came after their lease."""
    if record is None:
        return 0
    accepted = sum(one.outcome == "accepted" for one in record.attempts)
    return _unknown(record) + min(record.crashes, max(0, accepted - 1))


def _unknown(record: Record) -> int:
    """Return how many attempts have no known outcome."""
    return sum(one.outcome in (None, "unknown") for one in record.attempts)


def _early(books: Books) -> Iterator[str]:
    """A scheduled e-mail is never early (I17)."""
    for one in books.history.submissions:
        for email_id in one.ids() if one.scheduled_at else ():
            for request in books.requests.get(email_id, ())[:1]:
                if one.scheduled_at and request.received_at < one.scheduled_at:
                    yield f"{email_id}: {one.scheduled_at - request.received_at} early"


def _overlaps(books: Books) -> Iterator[str]:
    """Two requests for one e-mail overlap only if the earlier one's lease had lapsed, and it is unknown (I7)."""
    lease = books.history.limits.lease
    for email_id, requests in books.requests.items():
        for first, second in combinations(requests, 2):
            if first.finished_at is not None and first.finished_at <= second.received_at:
                continue
            attempt = _attempt_of(first, books.records.get(email_id))
            lapsed = attempt is not None and second.received_at >= attempt.started_at + lease
            if not (lapsed and attempt and attempt.outcome in ("unknown", "accepted")):
                yield f"{email_id}: a request came while the one before it was under way, {attempt}"


def _attempt_of(request: Request, record: Record | None) -> Tried | None:
    """Return the attempt that a request was made by: the latest at its provider that had begun by then."""
    begun = [
        one
        for one in (record.attempts if record else ())
        if one.provider == request.provider and one.started_at <= request.received_at
    ]
    return max(begun, key=lambda one: one.started_at, default=None)


def _cancelled(books: Books) -> Iterator[str]:
    """After a cancel that was answered 200 no provider is asked (I21)."""
    for cancel in books.history.cancels:
        for request in books.requests.get(cancel.email_id, ()):
            if request.received_at > cancel.at:
                yield f"{cancel.email_id}: asked for {request.received_at - cancel.at} after it was cancelled"


def _unfinished(books: Books) -> Iterator[str]:
    """After the drain everything is settled, or held for a person because its outcome is unknown (I2)."""
    for record in books.history.records:
        if record.status not in SETTLED and not (record.status == "held" and record.unknowns):
            yield f"{record.id}: {record.status}, {record.reason}, after {record.attempt_count} attempts"


def _unbounded(books: Books) -> Iterator[str]:
    """Crashes, unknown outcomes and attempts stay within their bounds (I10)."""
    limits = books.history.limits
    for record in books.history.records:
        for what, count, most in (
            ("attempts", record.attempt_count, limits.attempts),
            ("crashes", record.crashes, limits.crashes),
            ("unknown outcomes", record.unknowns, limits.unknowns),
        ):
            if count > most:
                yield f"{record.id}: {count} {what}, and {most} are the most"


def _careless(books: Books) -> Iterator[str]:
    """Where a fault leaves nothing unknown, nothing becomes so: no doubt by a polite stop, no copy by a lost answer."""
    limits = books.history.limits
    for what, most, found in (
        ("attempts of unknown outcome", limits.doubts, sum(_unknown(one) for one in books.history.records)),
        ("copies too many", limits.copies, _copies(books)),
    ):
        if most is not None and found > most:
            yield f"{found} {what}, and {most} are the most"


def _copies(books: Books) -> int:
    """Return how many copies too many providers took."""
    return sum(max(0, books.accepts(email_id) - 1) for email_id in books.requests)


def _slow(books: Books) -> Iterator[str]:
    """A dead worker costs its e-mails a lease and a sweep; what waits when a fault is over is settled soon."""
    limits = books.history.limits
    for what, most, times in (
        ("next attempt after", limits.recovery, _retried(books)),
        ("settled after", limits.settling, _settled(books)),
    ):
        yield from (f"{email_id}: {what} {took.total_seconds():.1f} s" for email_id, took in times if took > most)


def _retried(books: Books) -> Iterator[tuple[str, timedelta]]:
    """Yield how long after an attempt whose worker died an e-mail's next one began."""
    for record in books.history.records:
        for first, second in pairwise(record.attempts):
            if first.code == CRASHED:
                yield record.id, second.started_at - first.started_at


def _settled(books: Books) -> Iterator[tuple[str, timedelta]]:
    """Yield how long after the last fault was over e-mails were settled that waited then, but for dead workers'."""
    healed = books.history.healed_at
    for record in books.history.records:
        due = max(record.created_at, books.wishes.get(record.key, record.created_at))
        if record.settled_at is not None and due < healed < record.settled_at and not record.crashes:
            yield record.id, record.settled_at - healed


def _miscounted(books: Books) -> Iterator[str]:
    """What the processes have counted adds up to what the store holds, but for what they had no answer for (I39)."""
    counted, records = books.history.counted, books.history.records
    settled = sum(record.status in SETTLED for record in records)
    doubtful = sum(answer.kind is Kind.UNKNOWN for one in books.history.submissions for answer in one.answers)
    for what, said, held, slack in (
        ("accepted", counted.accepted, len(records), doubtful),
        ("settled", counted.settled, settled, counted.doubtful),
    ):
        if said is not None and not held - slack <= said <= held:
            yield f"{said} are counted as {what}, and the store holds {held}"


RULES: Final[Mapping[str, Callable[[Books], Iterator[str]]]] = {
    "lost": _lost,
    "unexpected": _unexpected,
    "doubled": _doubled,
    "unexplained": _unexplained,
    "early": _early,
    "overlaps": _overlaps,
    "cancelled": _cancelled,
    "unfinished": _unfinished,
    "unbounded": _unbounded,
    "careless": _careless,
    "slow": _slow,
    "miscounted": _miscounted,
}


def _figures(books: Books) -> Figures:
    """Return the numbers of a run."""
    answers = [answer for one in books.history.submissions for answer in one.answers]
    statuses = Counter(record.status for record in books.history.records)
    recovered = sorted(took for _, took in (*_retried(books), *_settled(books))) or [timedelta()]
    return Figures(
        posts=len(answers),
        errors=sum(answer.kind is Kind.UNKNOWN for answer in answers),
        accepted=sum(bool(one.ids()) for one in books.history.submissions),
        sent=statuses["sent"],
        failed=statuses["failed"],
        cancelled=statuses["cancelled"],
        held=statuses["held"],
        explained=_copies(books),
        unknown_attempts=sum(_unknown(record) for record in books.history.records),
        crashes=sum(record.crashes for record in books.history.records),
        median_recovery=recovered[len(recovered) // 2],
        worst_recovery=recovered[-1],
        post_p99=percentile([answer.took for answer in answers if answer.status is not None]),
    )


def percentile(times: Sequence[timedelta], percent: int = 99) -> timedelta:
    """Return the time that so many percent of these do not exceed; zero if there are none."""
    if len(times) < 2:
        return max(times, default=timedelta())
    return timedelta(seconds=quantiles([one.total_seconds() for one in times], n=100, method="inclusive")[percent - 1])
