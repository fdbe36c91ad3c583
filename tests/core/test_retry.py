"""Backoff between rounds (reliability.md section 5, W1 to W6; W3 in test_plan.py), and the age at which a lane ends."""

from bisect import bisect_left, bisect_right
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.message import Lane
from mailcore.retry import LaneRules, RetryPolicy

POLICY = RetryPolicy()
CAP = timedelta(minutes=5)
ROUNDS = st.integers(0, 10**6)
DRAWS = st.floats(0, 1, exclude_max=True)


@given(ROUNDS, DRAWS)
def test_a_delay_stays_within_its_round_and_the_cap(rounds: int, u: float) -> None:
    """W1: without a Retry-After 0 <= d <= min(cap, base * 2^n), whatever n."""
    delay = POLICY.delay(rounds, u)

    assert timedelta(0) <= delay <= CAP
    assert delay <= timedelta(seconds=5) * 2 ** min(rounds, 10)


@given(ROUNDS, DRAWS)
def test_later_rounds_wait_no_less(rounds: int, u: float) -> None:
    """W2: for every draw, so also in the mean, the delay does not fall from one round to the next."""
    delay, next_delay = POLICY.delay(rounds, u), POLICY.delay(rounds + 1, u)

    assert delay <= next_delay


@given(ROUNDS)
def test_two_emails_do_not_come_back_together(rounds: int) -> None:
    """W4: of two e-mails that failed together fewer than 5 % come back within 100 ms of each other, in any round."""
    delays = [POLICY.delay(rounds, i / 400).total_seconds() for i in range(400)]

    close = sum(bisect_left(delays, one + 0.1) - bisect_right(delays, one - 0.1) for one in delays)

    assert close / len(delays) ** 2 < 0.05


@given(ROUNDS, DRAWS)
def test_the_same_draw_gives_the_same_delay(rounds: int, u: float) -> None:
    """W5: a replay with the same draws waits as long, in whatever process."""
    delays = {RetryPolicy().delay(rounds, u) for _ in range(2)}

    assert len(delays) == 1


@given(st.lists(DRAWS, max_size=50))
def test_a_series_of_rounds_takes_no_longer_than_their_caps(draws: list[float]) -> None:
    """W6: the delays of n rounds add up to no more than the caps of those rounds do."""
    total = sum((POLICY.delay(rounds, u) for rounds, u in enumerate(draws)), timedelta(0))

    caps = sum((min(CAP, timedelta(seconds=5 * 2**n)) for n in range(len(draws))), timedelta(0))
    assert total <= caps


def test_the_first_delay_is_drawn_from_the_base() -> None:
    """Rounds count from 0: 5 s at most after the first, 10 s after the second, 5 minutes from the seventh on."""
    longest = [RetryPolicy().delay(n, 1.0).total_seconds() for n in (0, 1, 5, 6, 7)]

    assert longest == [5, 10, 160, 300, 300]


@pytest.mark.parametrize(("lane", "hours"), [(Lane.URGENT, 0.25), (Lane.TRANSACTIONAL, 24), (Lane.BULK, 72)])
def test_every_lane_has_its_age(lane: Lane, hours: float) -> None:
    """A one-time password is given up after 15 minutes, a receipt after a day, a newsletter after three."""
    age = LaneRules().give_up_after(lane)

    assert age == timedelta(hours=hours)
