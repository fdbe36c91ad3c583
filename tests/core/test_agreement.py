"""Two views of one provider become one: the worse of both, whichever way and however often they are merged."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.agreement import merged
from mailcore.breaker import Breaker, Permit, State, outstanding
from mailcore.health import Health, HealthRules, Mode, Obstacle, Override, standing
from mailcore.retry import BudgetRules, RetryBudget, refilled
from mailcore.score import Score
from mailcore.window import Tally, WindowRules, total

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = HealthRules()
SECOND = timedelta(seconds=1)
SLOT = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // WindowRules().bucket

MOMENTS = st.integers(-30, 30).map(lambda seconds: NOW + seconds * SECOND)
MAYBE = st.none() | MOMENTS
COUNTS = st.integers(0, 9)
TALLIES = st.builds(Tally, st.integers(SLOT - 15, SLOT), COUNTS, COUNTS, COUNTS)
WINDOWS = st.lists(TALLIES, max_size=4, unique_by=lambda tally: tally.slot).map(
    lambda found: tuple(sorted(found, key=lambda tally: tally.slot))
)
PERMITS = st.lists(
    st.builds(Permit, st.sampled_from("tuvw"), MOMENTS, st.integers(0, 3)),
    max_size=3,
    unique_by=lambda permit: permit.token,
)


@st.composite
def breakers(draw: st.DrawFn) -> Breaker:
    """Return a breaker of any state, with what that state has."""
    state = draw(st.sampled_from(State))
    return Breaker(
        state=state,
        generation=draw(st.integers(0, 5)),
        opened_at=draw(MAYBE),
        reopens_at=draw(MOMENTS) if state is not State.CLOSED else None,
        openings=draw(st.integers(0, 4)),
        closed_at=draw(MAYBE),
        window=draw(WINDOWS) if state is State.CLOSED else (),
        last_success=draw(MAYBE),
        permits=tuple(draw(PERMITS)) if state is not State.CLOSED else (),
    )


HEALTHS = st.builds(
    Health,
    breaker=breakers(),
    score=st.builds(Score, successes=st.floats(0, 50), failures=st.floats(0, 50), at=MOMENTS),
    budget=st.builds(RetryBudget, balance=st.floats(-50, 100), accepts=st.floats(0, 50), at=MOMENTS),
    not_before=MAYBE,
    next_start=MAYBE,
    override=st.none() | st.builds(Override, mode=st.sampled_from(Mode), until=MAYBE),
)


@given(HEALTHS, HEALTHS)
def test_it_does_not_matter_who_merges(one: Health, other: Health) -> None:
    """Two processes that come back at the same time write the same."""
    assert merged(one, other) == merged(other, one)


@given(HEALTHS, HEALTHS)
def test_merging_again_changes_nothing(one: Health, other: Health) -> None:
    """A merge whose answer was lost may be made again."""
    once = merged(one, other)

    assert merged(once, one) == once
    assert merged(once, other) == once


@given(HEALTHS, HEALTHS)
def test_the_merged_breaker_is_no_better_than_either(one: Health, other: Health) -> None:
    """Nothing that one process has closed to a provider is opened by another that has not heard of it."""
    breaker = merged(one, other).breaker

    order = [State.CLOSED, State.HALF_OPEN, State.OPEN]
    for seen in (one.breaker, other.breaker):
        assert order.index(breaker.state) >= order.index(seen.state)
        assert breaker.generation >= seen.generation
        assert {permit.token for permit in outstanding(seen, RULES.breaker, NOW)} <= {p.token for p in breaker.permits}
        if seen.state is State.OPEN and seen.reopens_at and breaker.reopens_at:
            assert breaker.reopens_at >= seen.reopens_at


@given(HEALTHS, HEALTHS)
def test_the_merged_numbers_are_no_better_than_either(one: Health, other: Health) -> None:
    """Score, budget and moments are the worse ones, at the first moment at which both are known."""
    both = merged(one, other)
    scored_at = max(seen.score.at or NOW for seen in (one, other))
    budget_at = max(seen.budget.at or NOW for seen in (one, other))

    for seen in (one, other):
        assert standing(both, RULES, scored_at).score <= standing(seen, RULES, scored_at).score
        mine, theirs = (refilled(health.budget, BudgetRules(), budget_at).balance for health in (both, seen))
        assert mine <= theirs
        assert seen.not_before is None or (both.not_before is not None and both.not_before >= seen.not_before)
        assert seen.next_start is None or (both.next_start is not None and both.next_start >= seen.next_start)


def test_calls_that_both_know_count_once() -> None:
    """Both views go on from one window: a sum of the two would trip the breaker by itself."""
    shared = Tally(SLOT - 1, 6, 3)
    one = Health(breaker=Breaker(window=(shared, Tally(SLOT, 2, 1))))
    other = Health(breaker=Breaker(window=(shared, Tally(SLOT, 4, 0))))

    calls = total(merged(one, other).breaker.window, WindowRules(), NOW)

    assert (calls.calls, calls.failures) == (10, 4)


def test_an_opening_that_only_one_has_seen_stays() -> None:
    """A breaker that opened while the shared one could not be reached is open for all afterwards."""
    opened = Health(breaker=Breaker(state=State.OPEN, generation=1, opened_at=NOW, reopens_at=NOW + 15 * SECOND))

    here = standing(merged(Health(), opened), RULES, NOW)

    assert here.obstacle is Obstacle.OPEN


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.FORCED])
def test_a_stopped_provider_stays_stopped(mode: Mode) -> None:
    """Of two words of the operator the stricter one holds, whatever the other says."""
    stopped = Health(override=Override(mode=Mode.STOPPED, until=NOW + SECOND))

    both = merged(Health(override=Override(mode=mode)), stopped)

    assert standing(both, RULES, NOW).obstacle is Obstacle.STOPPED


def test_nothing_is_known_of_two_strangers() -> None:
    """Two new healths make a new one."""
    assert merged(Health(), Health()) == Health()


def test_a_streak_is_kept_with_its_emails() -> None:
    """The longer streak stays, with the e-mails that prove that it was not one poisonous message."""
    streak = Breaker(streak=5, streak_ids=("a", "b"))

    both = merged(Health(breaker=streak), Health(breaker=replace(streak, streak=1, streak_ids=("c",))))

    assert (both.breaker.streak, both.breaker.streak_ids) == (5, ("a", "b"))
