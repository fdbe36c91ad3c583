"""The checker is tried itself: it lets a good history pass, and finds in each bad one what is bad in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.chaos.checker import judge, percentile
from tests.chaos.history import Answer, Cancel, Counted, History, Kind, Limits, Record, Request, Submission, Tried

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)


def after(seconds: float) -> datetime:
    """Return a time of the history."""
    return NOON + timedelta(seconds=seconds)


def answered(kind: Kind, email_id: str = "", at: float = 0) -> Answer:
    """Return what a caller heard."""
    return Answer(at=after(at), took=timedelta(seconds=0.02), kind=kind, email_id=email_id, status=201)


def submitted(name: str, *kinds: Kind, scheduled_at: datetime | None = None) -> Submission:
    """Return a submission that ended with the last of these answers."""
    answers = tuple(answered(kind, f"em_{name}" if kind is Kind.OK else "") for kind in kinds or (Kind.OK,))
    return Submission(key=name, answers=answers, scheduled_at=scheduled_at)


def request(name: str, at: float = 1, took: float = 0.2, **fields: Any) -> Request:
    """Return a request to a provider that took the e-mail."""
    times = {"received_at": after(at), "finished_at": after(at + took)}
    whole: dict[str, Any] = {"provider": "a", "accepted": True, **times, **fields}
    return Request(email_id=f"em_{name}", **whole)


def tried(n: int = 1, at: float = 0.9, outcome: str | None = "accepted", code: str | None = None) -> Tried:
    """Return an attempt."""
    return Tried(n=n, provider="a", outcome=outcome, code=code, started_at=after(at))


def stored(name: str, *attempts: Tried, **fields: Any) -> Record:
    """Return an e-mail that was sent."""
    made = attempts or (tried(),)
    usual = {"status": "sent", "reason": "accepted", "created_at": NOON, "settled_at": after(2)}
    none = {"crashes": 0, "unknowns": 0, "listed": False}
    whole: dict[str, Any] = {**usual, **none, "attempt_count": len(made), "attempts": made, **fields}
    return Record(id=f"em_{name}", key=name, **whole)


CRASHED = stored(
    "crashed",
    tried(1, 0.9, "unknown", "worker_died"),
    tried(2, 61.5),
    crashes=1,
    unknowns=1,
    listed=True,
    settled_at=after(62),
)
GOOD = History(
    submissions=(
        submitted("plain"),
        submitted("repeated", Kind.UNKNOWN, Kind.UNKNOWN, Kind.OK),
        submitted("doubtful", Kind.UNKNOWN),
        submitted("refused", Kind.FAIL),
        submitted("crashed"),
        submitted("late"),
        submitted("planned", scheduled_at=after(30)),
        submitted("withdrawn"),
        submitted("held"),
    ),
    cancels=(Cancel("em_withdrawn", after(1)),),
    requests=(
        request("plain"),
        request("repeated"),
        request("doubtful"),
        request("crashed", 1),
        request("crashed", 61.6),
        request("late", 1, took=70),
        request("late", 61.6),
        request("planned", 30),
        request("held"),
    ),
    records=(
        stored("plain"),
        stored("repeated"),
        stored("doubtful"),
        CRASHED,
        stored("late", tried(1), tried(2, 61.5), crashes=1, listed=True, settled_at=after(62)),
        stored("planned", tried(1, 29.999), settled_at=after(31)),
        stored("withdrawn", status="cancelled", settled_at=after(1)),
        stored("held", tried(1, 0.9, "unknown", "timeout"), status="held", unknowns=1, settled_at=None),
    ),
    counted=Counted(accepted=8, settled=7),
    healed_at=after(10),
    limits=Limits(lease=LEASE),
)


def with_record(name: str, **fields: Any) -> History:
    """Return the good history with an e-mail of it stored otherwise."""
    records = [replace(one, **fields) if one.key == name else one for one in GOOD.records]
    return replace(GOOD, records=tuple(records))


def with_request(*more: Request, without: str = "") -> History:
    """Return the good history with more requests, and without those for one e-mail."""
    kept = [one for one in GOOD.requests if one.email_id != f"em_{without}"]
    return replace(GOOD, requests=(*kept, *more))


def without_record(name: str) -> History:
    """Return the good history without an e-mail."""
    records = tuple(one for one in GOOD.records if one.key != name)
    return replace(GOOD, records=records, counted=Counted())


BAD: Sequence[tuple[str, str, History]] = (
    ("lost", "the store has forgotten it", without_record("withdrawn")),
    ("lost", "sent, and nobody took it", with_request(without="plain")),
    ("unexpected", "refused, and sent all the same", with_request(request("refused"))),
    ("unexpected", "nobody has posted it", with_request(request("strange"))),
    ("doubled", "two ids for one key", replace(GOOD, submissions=(*GOOD.submissions[1:], Submission(
        key="plain", answers=(answered(Kind.OK, "em_plain"), answered(Kind.OK, "em_repeated")))))),
    ("unexplained", "taken twice without a trace", with_request(request("plain", 1.5))),
    ("unexplained", "taken thrice with one crash", with_request(request("crashed", 63))),
    ("unexplained", "taken twice, and nobody can list it", with_record("crashed", listed=False)),
    ("early", "a millisecond early", with_request(request("planned", 29.999), without="planned")),
    ("overlaps", "two at once", with_request(request("repeated", 1.1, accepted=False))),
    ("overlaps", "within the lease", with_request(
        request("late", 1, took=70), request("late", 50), without="late")),
    ("cancelled", "asked after its cancel", with_request(request("withdrawn", 1.5, accepted=False))),
    ("unfinished", "still waits", replace(with_record("plain", status="retrying"), counted=Counted())),
    ("unfinished", "held without a doubt", with_record("held", unknowns=0)),
    ("unbounded", "four crashes", with_record("crashed", crashes=4)),
    ("unbounded", "five unknown outcomes", with_record("held", unknowns=5)),
    ("unbounded", "too many attempts", with_record("plain", attempt_count=65)),
    ("careless", "a doubt by a polite stop", replace(GOOD, limits=Limits(lease=LEASE, doubts=1))),
    ("careless", "a copy by a lost answer", replace(GOOD, limits=Limits(lease=LEASE, copies=1))),
    ("slow", "a lease and much more", with_record(
        "crashed", attempts=(CRASHED.attempts[0], replace(CRASHED.attempts[1], started_at=after(80))))),
    ("slow", "long after the fault was healed", with_record("plain", settled_at=after(76))),
    ("miscounted", "a settled one was not counted", replace(GOOD, counted=Counted(accepted=8, settled=6))),
    ("miscounted", "one was counted twice", replace(GOOD, counted=Counted(accepted=9, settled=7))),
)  # fmt: skip


def test_a_good_history_passes() -> None:
    """Crashes, repeats, late answers, doubts and cancels are no faults as long as each is recorded."""
    judgement = judge(GOOD)

    assert {name: lines for name, lines in judgement.broken.items() if lines} == {}
    assert judgement.passed


@pytest.mark.parametrize(("rule", "history"), [(rule, history) for rule, _, history in BAD], ids=[b[1] for b in BAD])
def test_a_bad_history_is_found_by_its_rule(rule: str, history: History) -> None:
    """Each planted fault breaks the rule that it is about, and no other."""
    judgement = judge(history)

    assert [name for name, lines in judgement.broken.items() if lines] == [rule]
    assert not judgement.passed


def test_the_figures_are_counted_from_the_history() -> None:
    """What the report says is what happened."""
    figures = judge(GOOD).figures

    assert (figures.posts, figures.errors, figures.accepted) == (11, 3, 7)
    assert (figures.sent, figures.failed, figures.cancelled, figures.held) == (6, 0, 1, 1)
    assert (figures.explained, figures.unknown_attempts, figures.crashes) == (2, 2, 2)
    assert figures.worst_recovery == timedelta(seconds=60.6)
    assert percentile([]) == timedelta()
