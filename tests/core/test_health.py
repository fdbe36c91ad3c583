"""A provider's health: what each report touches, what each obstacle means, and what the operator overrides."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.breaker import Breaker, Permit, State
from mailcore.health import (
    Health,
    HealthRules,
    Mode,
    Obstacle,
    Override,
    Report,
    Start,
    admit,
    reported,
    standing,
)
from mailcore.outcome import Scope, Verdict
from mailcore.retry import RetryBudget

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = HealthRules()
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OPEN = Breaker(state=State.OPEN, generation=1, opened_at=NOW, reopens_at=NOW + 15 * SECOND, openings=1)
PROBED = Breaker(state=State.HALF_OPEN, generation=2, permits=tuple(Permit(t, NOW + 20 * SECOND, 2) for t in "abc"))

REPORTS = st.builds(
    Report,
    token=st.sampled_from("tu"),
    email_id=st.sampled_from("abc"),
    generation=st.integers(0, 2),
    verdict=st.sampled_from([*Verdict, Verdict.DEFERRED, Verdict.DEFERRED]),
    scope=st.sampled_from([None, *Scope]),
    latency=st.sampled_from([0.1 * SECOND, 6 * SECOND]),
    retry_after=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
    rival_score=st.sampled_from([None, 0.98]),
    u=st.floats(0, 1, exclude_max=True),
)
TRACES = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 16.0, 70.0]), REPORTS), max_size=40)


def told(verdict: Verdict, **fields: object) -> Report:
    """Return the end of an attempt."""
    common = {"token": "t", "email_id": "e", "generation": 0, "latency": 0.1 * SECOND, "u": 0.5}
    return Report(verdict=verdict, **(common | fields))


def played(trace: list[tuple[float, Report]]) -> tuple[Health, datetime]:
    """Return a health that lived through a trace, and the moment at its end."""
    health, now = Health(), NOW
    for after_s, report in trace:
        now += after_s * SECOND
        health, _ = admit(health, Start(token=report.token), RULES, now)
        health = reported(health, report, RULES, now)
    return health, now


@given(TRACES, st.sampled_from([Verdict.REJECTED, Verdict.THROTTLED, Verdict.MISCONFIGURED]), REPORTS)
def test_what_is_not_the_providers_fault_moves_neither_score_nor_window(
    trace: list[tuple[float, Report]], verdict: Verdict, report: Report
) -> None:
    """B7, I28: a refused message, a throttled one and an unknown From leave score, breaker and budget alone."""
    health, now = played(trace)
    harmless = replace(report, verdict=verdict, scope=Scope.SENDER, generation=health.breaker.generation)

    after = reported(health, harmless, RULES, now)

    assert (after.score, after.budget) == (health.score, health.budget)
    assert replace(after.breaker, permits=()) == replace(health.breaker, permits=())


@given(TRACES, REPORTS, st.integers(1, 3))
def test_a_late_report_moves_neither_score_nor_breaker(
    trace: list[tuple[float, Report]], report: Report, behind: int
) -> None:
    """B6: the end of an attempt of an older generation changes neither breaker nor score."""
    health, now = played(trace)
    late = replace(report, generation=health.breaker.generation - behind)

    after = reported(health, late, RULES, now)

    assert after.breaker is health.breaker
    assert after.score is health.score


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab")), min_size=1, max_size=40), st.data())
def test_a_failure_in_place_of_a_success_opens_no_later(calls: list[tuple[bool, str]], data: st.DataObject) -> None:
    """B9: replacing a success by a failure never makes the breaker open later."""
    worse_at = data.draw(st.integers(0, len(calls) - 1))
    worse = [(good and i != worse_at, email_id) for i, (good, email_id) in enumerate(calls)]

    first, second = (opens_at(trace) for trace in (worse, calls))

    assert first <= second


def opens_at(calls: list[tuple[bool, str]]) -> int:
    """Return at which of some calls, half a second apart, the breaker opens; their number if at none."""
    health = Health()
    for i, (good, email_id) in enumerate(calls):
        verdict = Verdict.ACCEPTED if good else Verdict.DEFERRED
        report = told(verdict, email_id=email_id, rival_score=0.98)
        health = reported(health, report, RULES, NOW + i * SECOND / 2)
        if health.breaker.state is State.OPEN:
            return i
    return len(calls)


@given(TRACES)
def test_what_is_stored_comes_back_as_it_was(trace: list[tuple[float, Report]]) -> None:
    """Workers share a health as bytes: every one survives being written and read, and stays small."""
    health, _ = played(trace)

    stored = msgspec.json.encode(health)

    assert msgspec.json.decode(stored, type=Health) == health
    assert len(stored) < 2000


@given(TRACES)
def test_a_standing_is_what_admission_answers(trace: list[tuple[float, Report]]) -> None:
    """What a plan was made by is what the provider's health then says, to an attempt that costs nothing else."""
    health, now = played(trace)

    here = standing(health, RULES, now)
    _, admission = admit(health, Start(token="new"), RULES, now)

    assert admission.granted == (here.obstacle is None)
    assert admission.standing == here


@given(
    st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0]), max_size=80),
    st.sampled_from([0.5, 3.0, 8.0, 50.0]),
    st.lists(st.booleans(), min_size=1, max_size=80),
)
def test_starts_keep_the_configured_pace(gaps_s: list[float], per_second: float, repeats: list[bool]) -> None:
    """SB9: starts over all processes, at once or reserved, are never closer than the configured pace allows."""
    health, now, starts = Health(budget=RetryBudget(balance=2.0, at=NOW)), NOW, []
    for i, gap_s in enumerate(gaps_s):
        now += gap_s * SECOND
        start = Start(token=str(i), max_per_second=per_second, repeat=repeats[i % len(repeats)])
        health, admission = admit(health, start, RULES, now)
        if admission.granted or admission.reserved_at:
            starts.append(admission.reserved_at or now)

    gaps = [b - a for a, b in pairwise(starts)]
    assert all(gap >= SECOND / per_second - timedelta(microseconds=1) for gap in gaps)
    assert all(start <= now + RULES.reserve_ahead for start in starts)


def test_the_usual_admission_changes_nothing() -> None:
    """A closed, unpaced provider admits a first attempt without a write: the very same health comes back."""
    health = Health()

    after, admission = admit(health, Start(token="t"), RULES, NOW)

    assert after is health
    assert admission.granted


def test_a_reserved_attempt_is_not_asked_for_pace_or_budget_again() -> None:
    """Whoever waited for its reservation starts, and takes no second slot and no second token."""
    empty = Health(budget=RetryBudget(balance=0.0, at=NOW), next_start=NOW + SECOND)
    asking = Start(token="t", repeat=True, max_per_second=0.5)
    health, waiting = admit(empty, asking, RULES, NOW)

    after, admission = admit(health, replace(asking, reserved=True), RULES, NOW + SECOND)

    assert waiting.reserved_at == NOW + SECOND
    assert (admission.granted, admission.standing.obstacle) == (True, None)
    assert after is health


def test_pace_and_budget_are_reserved_for_the_later_moment() -> None:
    """A repeat whose token comes in 10 s takes the pace's slot there, and says which of the two it waits for."""
    poor = Health(budget=RetryBudget(balance=-9.0, at=NOW), next_start=NOW + 4 * SECOND)
    start = Start(token="t", repeat=True, max_per_second=2.0)

    health, admission = admit(poor, start, RULES, NOW)

    assert (admission.reserved_at, admission.standing.obstacle) == (NOW + 10 * SECOND, Obstacle.BUDGET)
    assert health.next_start == NOW + 10.5 * SECOND
    assert health.budget.debt == 10


def test_a_pace_that_is_taken_for_a_minute_is_refused() -> None:
    """Nothing is reserved more than 60 s ahead; who is refused learns when to ask again."""
    busy = Health(next_start=NOW + 61 * SECOND)

    after, admission = admit(busy, Start(token="t", max_per_second=1.0), RULES, NOW)

    assert after is busy
    assert (admission.granted, admission.reserved_at) == (False, None)
    assert admission.standing.obstacle is Obstacle.PACED
    assert admission.standing.available_at == NOW + 61 * SECOND


def test_a_pace_that_is_no_longer_configured_holds_nobody_up() -> None:
    """When the operator lifts a limit, what was reserved under it is forgotten."""
    busy = Health(next_start=NOW + 50 * SECOND)

    _, admission = admit(busy, Start(token="t"), RULES, NOW)

    assert (admission.granted, admission.standing.obstacle) == (True, None)


def test_obstacles_are_named_in_order() -> None:
    """Stopped, throttled, open or probing, paced: the first that stands in the way is the one that is named."""
    paced = Health(next_start=NOW + SECOND)
    opened = replace(paced, breaker=OPEN)
    probed = replace(paced, breaker=PROBED)
    throttled = replace(opened, not_before=NOW + HOUR)
    stopped = replace(throttled, override=Override(mode=Mode.STOPPED, until=NOW + 2 * HOUR))

    found = [standing(h, RULES, NOW) for h in (Health(), paced, probed, opened, throttled, stopped)]

    assert [(one.obstacle, one.available_at) for one in found] == [
        (None, None),
        (Obstacle.PACED, NOW + SECOND),
        (Obstacle.PROBING, NOW + 20 * SECOND),
        (Obstacle.OPEN, NOW + 15 * SECOND),
        (Obstacle.THROTTLED, NOW + HOUR),
        (Obstacle.STOPPED, NOW + 2 * HOUR),
    ]


def test_only_what_waits_for_pace_or_budget_costs_anything() -> None:
    """An attempt that an open breaker turns away takes neither a slot nor a token."""
    health = Health(breaker=OPEN)

    after, admission = admit(health, Start(token="t", repeat=True, max_per_second=1.0), RULES, NOW)

    assert after is health
    assert (admission.granted, admission.standing.obstacle) == (False, Obstacle.OPEN)


def test_a_probe_that_waits_for_its_pace_holds_no_permit() -> None:
    """A permit is a lease that runs: it is taken when the probe starts, not when its slot is reserved."""
    ripe = Health(breaker=replace(OPEN, reopens_at=NOW), next_start=NOW + 9 * SECOND)
    start = Start(token="t", max_per_second=1.0)

    health, waiting = admit(ripe, start, RULES, NOW)
    started, admission = admit(health, replace(start, reserved=True), RULES, NOW + 9 * SECOND)

    assert (waiting.reserved_at, health.breaker.permits) == (NOW + 9 * SECOND, ())
    assert admission.granted
    assert [permit.token for permit in started.breaker.permits] == ["t"]


@pytest.mark.parametrize("breaker", [OPEN, PROBED])
def test_a_forced_provider_is_admitted_whatever_its_breaker_says(breaker: Breaker) -> None:
    """The operator's word stands above the breaker, needs no permit, and moves no state of it."""
    forced = Health(breaker=breaker, override=Override(mode=Mode.FORCED))

    after, admission = admit(forced, Start(token="t"), RULES, NOW + HOUR)

    assert (admission.granted, admission.standing.probe) == (True, False)
    assert admission.standing.generation == breaker.generation
    assert after is forced


def test_a_forced_provider_is_still_throttled() -> None:
    """The provider's own wish to be left alone stands above the operator's."""
    forced = Health(not_before=NOW + HOUR, override=Override(mode=Mode.FORCED))

    _, admission = admit(forced, Start(token="t"), RULES, NOW)

    assert (admission.granted, admission.standing.obstacle) == (False, Obstacle.THROTTLED)


@pytest.mark.parametrize("mode", [Mode.STOPPED, Mode.FORCED])
def test_an_override_ends_when_it_says(mode: Mode) -> None:
    """From `until` on the breaker decides again; and an automatic transition never undoes an override."""
    health = Health(breaker=OPEN, override=Override(mode=mode, until=NOW + SECOND))

    during, after = (standing(health, RULES, NOW + s * SECOND).obstacle for s in (0.9, 1))

    assert during is (Obstacle.STOPPED if mode is Mode.STOPPED else None)
    assert after is Obstacle.OPEN
    assert reported(health, told(Verdict.ACCEPTED), RULES, NOW).override is health.override


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(timedelta(minutes=1), timedelta(minutes=1)), (timedelta(days=9), 24 * HOUR), (None, 5 * SECOND)],
)
def test_who_throttles_us_is_left_alone(asked: timedelta | None, wait: timedelta) -> None:
    """I19: until its Retry-After, up to 24 h, or 5 s where it gave none, and not a microsecond less."""
    health = reported(Health(), told(Verdict.THROTTLED, retry_after=asked), RULES, NOW)

    last = standing(health, RULES, NOW + wait - timedelta(microseconds=1))
    then = standing(health, RULES, NOW + wait)

    assert (last.obstacle, last.available_at) == (Obstacle.THROTTLED, NOW + wait)
    assert then.obstacle is None


def test_a_second_wish_does_not_shorten_the_first() -> None:
    """Many attempts are throttled at once: the furthest moment that the provider named holds."""
    first = reported(Health(), told(Verdict.THROTTLED, retry_after=HOUR), RULES, NOW)

    second = reported(first, told(Verdict.THROTTLED, retry_after=SECOND), RULES, NOW)

    assert second.not_before == NOW + HOUR


def test_a_clock_set_back_does_not_throttle_for_ever() -> None:
    """B10: a moment further ahead than two days is the trace of a clock that ran ahead, not a wish."""
    ahead = reported(Health(), told(Verdict.THROTTLED, retry_after=HOUR), RULES, NOW)
    before = NOW - timedelta(days=3)

    here = standing(ahead, RULES, before)
    again = reported(ahead, told(Verdict.THROTTLED, retry_after=SECOND), RULES, before)

    assert here.obstacle is None
    assert again.not_before == before + SECOND


def test_a_wrong_key_opens_and_an_unknown_from_does_not() -> None:
    """A misconfiguration of the account takes the provider away from everyone, one of a sender from nobody."""
    account, sender, unscoped = (
        reported(Health(), told(Verdict.MISCONFIGURED, scope=scope), RULES, NOW).breaker.state
        for scope in (Scope.ACCOUNT, Scope.SENDER, None)
    )

    assert (account, sender, unscoped) == (State.OPEN, State.CLOSED, State.CLOSED)


def test_a_slow_success_is_half_a_success() -> None:
    """A provider that answers after more than 5 s loses score, though less than one that fails."""
    fast, slow, failed = (
        standing(reported(Health(), report, RULES, NOW), RULES, NOW).score
        for report in (
            told(Verdict.ACCEPTED),
            told(Verdict.ACCEPTED, latency=5.1 * SECOND),
            told(Verdict.UNKNOWN, latency=0.1 * SECOND),
        )
    )

    assert (fast, slow, failed) == (3 / 3.04, 2.5 / 3.04, 2 / 3.04)


def test_only_accepted_attempts_earn_repeats() -> None:
    """A token for every accepted attempt, also for a late one; none for any other outcome."""
    poor = Health(budget=RetryBudget(balance=0.0, at=NOW))

    balances = {verdict: reported(poor, told(verdict, generation=-1), RULES, NOW).budget.balance for verdict in Verdict}

    assert balances == {verdict: float(verdict is Verdict.ACCEPTED) for verdict in Verdict}
