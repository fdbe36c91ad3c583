"""The tally: every event of the engine counted once, under labels that cannot grow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.apps.metrics.numbers import counted

from mailapps.metrics.catalogue import ATTEMPTS, BEGUN_WITHIN, CATALOGUE, LATENCY, SENT_WITHIN, TROUBLES
from mailapps.metrics.counting import OTHER, Tally
from mailcore.appeal import Resolution
from mailcore.assembly import Tuning
from mailcore.attempt import Attempt
from mailcore.errors import ConflictError
from mailcore.events import Event, Happening
from mailcore.lifecycle import SETTLED, Email, Status
from mailcore.message import Message, OnUnknown
from mailcore.outcome import Accepted, Deferred, Outcome, Rejected, Unknown, Verdict
from mailcore.provider import Send
from mailcore.testing.contracts.examples import NOW, attempt, next_of, queued
from mailcore.testing.outbox import Outbox

MESSAGE = Message(to="ann@example.com", subject="Hi", text="Hello")
REJECTED = Rejected(code="550", detail="no")
DEFERRED = Deferred(code="503", detail="later")
UNKNOWN = Unknown(code="timeout", detail="")
SECOND = timedelta(seconds=1)


def ended(provider: str, outcome: Verdict, n: int = 1, **fields: object) -> Attempt:
    """Return an attempt that ended after a second."""
    return replace(attempt(provider, n), outcome=outcome, finished_at=NOW, latency=SECOND, **fields)


def attempted(one: Attempt, email: Email | None = None) -> Event:
    """Return the event of an attempt that ended."""
    return Event(what=Happening.ATTEMPTED, email_id="em_a", email=email, attempt=one)


def test_an_attempt_is_counted_by_provider_and_outcome_with_its_latency() -> None:
    """The two numbers that say how a provider does."""
    tally = Tally(["p1"])

    tally.watch(attempted(ended("p1", Verdict.DEFERRED)))

    assert counted(tally, "attempts") == {("p1", "deferred"): 1}
    assert tally.curves[LATENCY.name]["p1",].total == 1.0
    assert tally.curves[LATENCY.name]["p1",].counts == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_a_provider_that_is_not_configured_counts_as_other() -> None:
    """Names that an old e-mail brings along make no new series."""
    tally = Tally(["p1"])

    tally.watch(attempted(ended("gone", Verdict.ACCEPTED)))

    assert counted(tally, "attempts") == {(OTHER, "accepted"): 1}


def test_a_failover_is_an_attempt_that_another_follows_at_once() -> None:
    """It is counted for the provider that was left."""
    tally = Tally(["p1", "p2"])
    failed = ended("p1", Verdict.DEFERRED)

    tally.watch(attempted(failed, queued(attempts=(failed, attempt("p2", 2)))))
    tally.watch(attempted(failed, queued(attempts=(failed,))))

    assert counted(tally, "failovers") == {("p1",): 1}


@pytest.mark.parametrize(
    ("first", "second", "risky"),
    [
        (ended("p1", Verdict.UNKNOWN), ended("p2", Verdict.ACCEPTED, 2), 1),
        (ended("p1", Verdict.UNKNOWN), ended("p2", Verdict.ACCEPTED, 2, deduped=True), 0),
        (ended("p1", Verdict.DEFERRED), ended("p2", Verdict.UNKNOWN, 2), 0),
    ],
)
def test_a_possible_duplicate_is_an_attempt_after_an_unknown_one(first: Attempt, second: Attempt, risky: int) -> None:
    """An unknown outcome alone is none, nor is a repeat that its provider recognises."""
    tally = Tally(["p1", "p2"])

    tally.watch(attempted(second, queued(attempts=(first, second), possible_duplicate=True)))

    assert sum(counted(tally, "possible_duplicates").values()) == risky


@pytest.mark.parametrize("what", TROUBLES)
def test_every_trouble_is_counted_once(what: Happening) -> None:
    """What the engine lives with is a number of its own."""
    tally = Tally([])

    tally.watch(Event(what=what, email_id="em_a", note="whatever"))

    assert [metric.name for metric in TROUBLES.values() if tally.counts[metric.name][()]] == [TROUBLES[what].name]


def test_every_happening_is_counted_somewhere() -> None:
    """A new kind of event cannot be forgotten here."""
    told = {Happening.SUBMITTED, Happening.ATTEMPTED, Happening.CHANGED}
    of_traces = {Happening.SWEPT}

    assert told | of_traces | set(TROUBLES) == set(Happening)


def test_series_are_there_before_anything_happens() -> None:
    """The first failure of a provider is a rise from 0, which a rate can see."""
    tally = Tally(["p1"])

    assert tally.counts[ATTEMPTS.name] == {("p1", outcome.value): 0 for outcome in Verdict}
    assert set(tally.curves[SENT_WITHIN.name]) == {("urgent",), ("transactional",), ("bulk",)}


def test_names_are_unique_and_end_as_prometheus_wants() -> None:
    """Counters end in _total, times are in seconds."""
    names = [metric.name for metric in CATALOGUE]

    assert len(set(names)) == len(names)
    assert [one.name for one in CATALOGUE if (one.kind == "counter") != one.name.endswith("_total")] == []
    assert [one.name for one in CATALOGUE if one.kind == "histogram" and not one.name.endswith("_seconds")] == []


def test_the_time_to_send_begins_with_the_series() -> None:
    """A scheduled e-mail waits for its time, which is no delay."""
    tally = Tally(["p1"])
    sent = next_of(queued(), status=Status.SENT, series_at=NOW, updated_at=NOW + 3 * SECOND)

    tally.watch(Event(what=Happening.CHANGED, email_id="em_a", email=sent))

    assert tally.curves[SENT_WITHIN.name]["transactional",].total == 3.0


def test_the_wait_for_the_first_attempt_begins_with_the_series() -> None:
    """How old the queue is: a wait is counted once for each series, and not again for its repeats."""
    tally = Tally(["p1"])
    first = replace(ended("p1", Verdict.DEFERRED), started_at=NOW + 2 * SECOND)
    repeat = replace(ended("p1", Verdict.REJECTED, 2), started_at=NOW + 60 * SECOND)
    redriven = replace(ended("p1", Verdict.ACCEPTED, 3), key="em_a.1", started_at=NOW + 600 * SECOND)

    for one, series_at in ((first, NOW), (repeat, NOW), (redriven, NOW + 597 * SECOND)):
        so_far = tuple(each for each in (first, repeat, redriven) if each.n <= one.n)
        tally.watch(attempted(one, queued(attempts=so_far, series_at=series_at)))

    curve = tally.curves[BEGUN_WITHIN.name]["transactional",]
    assert (sum(curve.counts), curve.total) == (2, 5.0)


STEPS = st.sampled_from(["submit", "carry", "wait", "cancel", "redrive", "resolve"])
OUTCOMES = st.sampled_from([Accepted(), REJECTED, DEFERRED, UNKNOWN])


@dataclass
class Life:
    """An outbox whose counters are compared with its store at every turn, in the middle of attempts as well."""

    outcomes: Iterator[Outcome]
    tally: Tally = field(default_factory=lambda: Tally(["outbox"]))
    looks: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.outbox = Outbox(tuning=Tuning(watch=self.tally.watch))
        self.outbox.provider.script(self._answer)

    def _answer(self, _: Send) -> Outcome:
        """Answer an attempt, which is under way at this moment."""
        self.must_reconcile()
        return next(self.outcomes, Accepted())

    def must_reconcile(self) -> None:
        """Assert that accepted = sent + failed + cancelled + unfinished, less what came back from failed."""
        settled = sum(counted(self.tally, "settled").values()) - sum(counted(self.tally, "reopened").values())
        unfinished = sum(email.status not in SETTLED for email in self.outbox.emails)
        assert sum(counted(self.tally, "accepted").values()) == len(self.outbox.emails) == settled + unfinished
        self.looks += 1

    async def live(self, steps: Sequence[str]) -> None:
        """Take steps, and look after each."""
        for step in steps:
            await _step(self.outbox, step)
            self.must_reconcile()


async def _step(outbox: Outbox, step: str) -> None:
    """Do one thing, if it can be done."""
    some = outbox.emails[0].id if outbox.emails else ""
    match step:
        case "submit":
            policy = OnUnknown.HOLD if len(outbox.emails) % 2 else OnUnknown.RETRY
            await outbox.mailer.submit(replace(MESSAGE, on_unknown=policy))
        case "carry":
            await outbox.delivered()
        case "wait":
            await outbox.advance(3600)
        case _ if some:
            doing = {
                "cancel": outbox.mailer.cancel,
                "redrive": outbox.mailer.redrive,
                "resolve": lambda one: outbox.mailer.resolve(one, Resolution.SENT),
            }[step]
            try:
                await doing(some)
            except ConflictError:
                return
        case _:
            return


@given(steps=st.lists(STEPS, max_size=25), outcomes=st.lists(OUTCOMES, max_size=12))
@example(steps=["carry", "redrive", "carry"], outcomes=[REJECTED])
@example(steps=["submit", "carry", "resolve", "cancel", "cancel"], outcomes=[UNKNOWN, UNKNOWN])
@settings(max_examples=60, deadline=None)
def test_the_counters_reconcile_with_the_store_at_every_moment(steps: list[str], outcomes: list[Outcome]) -> None:
    """I39: accepted = sent + failed + cancelled + unfinished, less what came back from failed, in mid-attempt too."""
    life = Life(iter(outcomes))

    asyncio.run(life.live(["submit", *steps]))

    assert life.looks > len(steps)
