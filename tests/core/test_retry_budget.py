"""The budget of repeats (reliability.md section 5, G1 to G4)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailcore.health import Health, HealthRules, Obstacle, Start, admit
from mailcore.retry import BudgetRules, RetryBudget, earned, refilled, spent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = BudgetRules()
SPEND, EARN = "spend", "earn"
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.5, 1.0, 3.0, 30.0]),
        st.sampled_from([SPEND] * 3 + [EARN]),
        st.integers(1, 60),
    ),
    max_size=25,
)


def played(events: list[tuple[float, str, int]]) -> list[tuple[RetryBudget, datetime, str, timedelta]]:
    """Return the budget after every single spending and earning, when, what it was, and the wait."""
    budget, now, seen = RetryBudget(), NOW, []
    for after_s, what, times in events:
        now += timedelta(seconds=after_s)
        for _ in range(times):
            wait = timedelta(0)
            if what == EARN:
                budget = earned(budget, RULES, now)
            else:
                budget, wait = spent(budget, RULES, now)
            seen.append((budget, now, what, wait))
    return seen


@given(EVENTS, st.data())
def test_repeats_in_a_window_are_paid_for(events: list[tuple[float, str, int]], data: st.DataObject) -> None:
    """G1: in any window of w seconds repeats <= 100 + accepts + w + the reservations outstanding at its end."""
    seen = played(events)
    start = data.draw(st.integers(0, len(seen)))
    window = seen[start : data.draw(st.integers(start, len(seen)))]
    began = seen[start - 1][1] if start else NOW

    repeats = sum(what == SPEND for _, _, what, _ in window)
    accepts = sum(what == EARN for _, _, what, _ in window)

    last, ended = (window[-1][0], window[-1][1]) if window else (RetryBudget(), began)
    assert repeats <= 100 + accepts + (ended - began).total_seconds() + last.debt + 1e-6


@given(st.lists(st.sampled_from([0.0, 0.1, 0.9, 2.0, 20.0]), max_size=300))
def test_a_provider_that_fails_everything_gets_one_repeat_a_second(gaps_s: list[float]) -> None:
    """G2: with 100 % failures, from an empty bucket on, the load on top of new mail is 1/s at most."""
    health, now, starts = Health(budget=RetryBudget(balance=0.0, at=NOW)), NOW, []
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        health, admission = admit(health, Start(token="t", repeat=True), HealthRules(), now)
        if admission.granted or admission.reserved_at:
            starts.append(admission.reserved_at or now)

    elapsed_s = [(start - NOW).total_seconds() for start in sorted(starts)]
    assert all(repeats <= seconds + 1e-6 for repeats, seconds in enumerate(elapsed_s, 1))


@given(EVENTS, st.lists(st.floats(-30, 30), max_size=25))
def test_no_interleaving_spends_a_token_that_is_not_there(
    events: list[tuple[float, str, int]], skews_s: list[float]
) -> None:
    """G3: with any clocks that differ by less than a minute, repeats that pass at once had a whole token each."""
    budget, now, latest, at_once, accepts = RetryBudget(), NOW, NOW, 0, 0
    for i, (after_s, what, times) in enumerate(events):
        now += timedelta(seconds=after_s)
        skewed = now + timedelta(seconds=skews_s[i % len(skews_s)] if skews_s else 0)
        latest = max(latest, skewed)
        for _ in range(times):
            if what == EARN:
                budget, accepts = earned(budget, RULES, skewed), accepts + 1
            else:
                budget, wait = spent(budget, RULES, skewed)
                at_once += wait == timedelta(0)

    assert budget.tokens >= 0
    assert budget.debt >= 0
    assert at_once <= 100 + accepts + (latest - NOW).total_seconds() + 30 + 1e-6


@given(st.integers(1, 400))
def test_every_postponed_email_passes_in_turn(count: int) -> None:
    """G4: repeats that come back when they were told to all pass, in turn, at the rate of the floor."""
    health, passed = Health(), []
    waiting = [(NOW, n) for n in range(count)]
    while waiting:
        waiting.sort()
        now, n = waiting.pop(0)
        health, admission = admit(health, Start(token=str(n), repeat=True), HealthRules(), now)
        if admission.granted or admission.reserved_at:
            passed.append((admission.reserved_at or now, n))
        else:
            assert admission.standing.available_at is not None
            waiting.append((admission.standing.available_at, n))

    assert max(passed)[0] <= NOW + timedelta(seconds=max(0, count - 100) + 62)
    assert [n for _, n in sorted(passed)] == list(range(count))


@given(EVENTS)
def test_a_wait_is_debt_by_rate_and_a_second_at_least(events: list[tuple[float, str, int]]) -> None:
    """A promised token comes after debt / (1 + accepts per second over 10 s), and not within the second."""
    waits = [(budget, wait) for budget, _, what, wait in played(events) if what == SPEND]

    for budget, wait in waits:
        by_rate = timedelta(seconds=budget.debt / (1 + budget.accepts / 10))
        assert wait == (max(by_rate, timedelta(seconds=1)) if budget.debt else timedelta(0))


@given(EVENTS)
def test_the_bucket_holds_a_hundred(events: list[tuple[float, str, int]]) -> None:
    """However much mail succeeds and however long nothing happens, 100 repeats at once is the most."""
    balances = [budget.balance for budget, *_ in played(events)]
    idle = refilled(RetryBudget(balance=-50.0, at=NOW), RULES, NOW + timedelta(days=1))

    assert max(balances, default=0) <= 100
    assert idle.balance == 100


def test_accepts_earn_and_hasten() -> None:
    """Ten accepts a second pay a debt tenfold faster, and shorten the wait of the next."""
    budget, now = RetryBudget(balance=-200.0, at=NOW), NOW
    for _ in range(300):
        now += timedelta(seconds=0.1)
        budget = earned(budget, RULES, now)
    _, wait = spent(RetryBudget(balance=-29.0, accepts=budget.accepts, at=now), RULES, now)

    assert 100 <= budget.balance + 30 <= 160
    assert 9.0 < budget.accepts / 10 < 10.0
    assert 2.7 < wait.total_seconds() < 3.1


def test_a_full_minute_of_promises_is_the_most() -> None:
    """What would have to wait beyond 60 s is refused, told when to come back, and takes nothing."""
    health = Health(budget=RetryBudget(balance=-59.5, at=NOW))

    after, admission = admit(health, Start(token="t", repeat=True), HealthRules(), NOW)

    assert after is health
    assert (admission.granted, admission.reserved_at) == (False, None)
    assert admission.standing.obstacle is Obstacle.BUDGET
    assert admission.standing.available_at == NOW + timedelta(seconds=60.5)


def test_a_clock_that_was_set_back_does_not_stop_the_floor() -> None:
    """B10: after a jump back by a day the next seconds earn their tokens again."""
    budget = refilled(RetryBudget(balance=0.0, at=NOW), RULES, NOW - timedelta(days=1))

    later = refilled(budget, RULES, NOW - timedelta(days=1) + timedelta(seconds=7))

    assert [b.balance for b in (budget, later)] == [0, 7]
    assert all(a.at and b.at and a.at < b.at for a, b in pairwise([budget, later]))


def test_clocks_that_differ_do_not_earn_twice() -> None:
    """G3: two processes whose clocks are 5 s apart take turns a hundred times: 5 s passed, not 500."""
    budget = RetryBudget(balance=0.0, at=NOW)

    for _ in range(100):
        budget = refilled(refilled(budget, RULES, NOW + timedelta(seconds=5)), RULES, NOW)

    assert budget.balance == 5
