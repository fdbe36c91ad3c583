"""The estimate of how much of a provider's mail succeeds (reliability.md section 6)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailcore.score import BAD, GOOD, SLOW, Score, ScoreRules, counted, estimate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = ScoreRules()
CALLS = st.lists(st.tuples(st.floats(-90, 90) | st.just(0.0), st.sampled_from([GOOD, SLOW, BAD])), max_size=60)


def played(calls: list[tuple[float, float]]) -> tuple[Score, datetime]:
    """Return the score after calls, each some seconds after, or before, the one before."""
    score, now = Score(), NOW
    for after_s, worth in calls:
        now += timedelta(seconds=after_s)
        score = counted(score, worth, RULES, now)
    return score, now


@given(CALLS, st.floats(-1000, 1000))
def test_a_score_is_a_share_whatever_the_clock_does(calls: list[tuple[float, float]], later_s: float) -> None:
    """B10: above 0 and below 1 for any calls at any moments, also when time goes back."""
    score, now = played(calls)

    share = estimate(score, RULES, now + timedelta(seconds=later_s))

    assert 0 < share < 1


@given(CALLS)
def test_a_failure_lowers_and_a_success_raises(calls: list[tuple[float, float]]) -> None:
    """Whatever came before: failure < slow success < success, and the score before lies between the ends."""
    score, now = played(calls)

    bad, slow, good = (estimate(counted(score, w, RULES, now), RULES, now) for w in (BAD, SLOW, GOOD))

    assert bad < slow < good
    assert bad < estimate(score, RULES, now) < good


@given(CALLS)
def test_silence_forgives(calls: list[tuple[float, float]]) -> None:
    """With nothing new a score goes to the optimistic prior, from either side."""
    score, now = played(calls)

    later = estimate(score, RULES, now + timedelta(minutes=15))

    assert abs(later - 2 / 2.04) < 1e-6


@given(st.lists(st.tuples(st.floats(0, 60), st.sampled_from([GOOD, SLOW, BAD])), max_size=40))
def test_the_counts_fade_as_a_list_would(calls: list[tuple[float, float]]) -> None:
    """Two numbers say what a list of all calls would, each weighing 2^(-age / 25 s)."""
    score, now = played(calls)

    moments, at = [], NOW
    for after_s, worth in calls:
        at += timedelta(seconds=after_s)
        moments.append((at, worth))
    weights = [2 ** (-(now - at).total_seconds() / 25) for at, _ in moments]
    assert abs(score.successes - sum(w * worth for w, (_, worth) in zip(weights, moments, strict=True))) < 1e-6
    assert abs(score.successes + score.failures - sum(weights)) < 1e-6


def test_a_stranger_gets_the_benefit_of_the_doubt() -> None:
    """A provider that nothing is known of has 98 %, so that it gets its weight at once."""
    share = estimate(Score(), RULES, NOW)

    assert round(share, 2) == 0.98


def test_the_half_life_is_25_seconds() -> None:
    """Ten failures weigh five after 25 s."""
    score = Score(failures=10.0, at=NOW)

    share = estimate(score, RULES, NOW + timedelta(seconds=25))

    assert share == 2 / (2.04 + 5)


def test_a_score_counted_ahead_of_a_clock_set_back_still_fades() -> None:
    """B10: after a jump back by a day the next call is dated by the new clock, and fades from then on."""
    yesterday = NOW - timedelta(days=1)

    score = counted(Score(failures=10.0, at=NOW), BAD, RULES, yesterday)

    assert (score.at, score.failures) == (yesterday, 11)


def test_clocks_that_differ_do_not_forget_twice() -> None:
    """B10: two processes whose clocks are 5 s apart report in turn: what was seen fades by 5 s, not by 500."""
    score = Score(failures=1000.0, at=NOW)

    for _ in range(100):
        score = counted(score, GOOD, RULES, NOW + timedelta(seconds=5))
        score = counted(score, GOOD, RULES, NOW)

    assert score.failures == 1000 * 2 ** (-5 / 25)
