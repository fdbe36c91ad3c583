"""Rate limits: what the generic cell rate algorithm promises, and how it is told."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailcore.metering import MOST, LocalRates
from mailcore.rates import Bucket, RateLimit, full_at, told

LIMITS = st.builds(
    RateLimit,
    requests=st.integers(1, 1000),
    per=st.integers(1000, 3_600_000_000).map(lambda us: timedelta(microseconds=us)),
)
GAPS = st.lists(st.integers(0, 5_000_000), max_size=200)


def admitted(limit: RateLimit, gaps: list[int]) -> list[int]:
    """Return the moments at which requests with these pauses between them are admitted, in microseconds."""
    now, full, let_in = 0, 0, list[int]()
    for gap in gaps:
        now += gap
        after = full_at(full, limit, now)
        if after is not None:
            full = after
            let_in.append(now)
    return let_in


@given(limit=LIMITS, gaps=GAPS)
def test_no_window_has_more_than_twice_the_limit_and_no_moment_more_than_once(
    limit: RateLimit, gaps: list[int]
) -> None:
    """In any stretch of time there are at most `requests`, and as many more as that stretch earns."""
    let_in = admitted(limit, gaps)

    for first, begun in enumerate(let_in):
        for last in range(first, len(let_in)):
            earned = (let_in[last] - begun) // limit.spacing_us
            assert last - first + 1 <= limit.requests + earned


@given(limit=LIMITS, gaps=GAPS)
def test_who_keeps_to_the_pace_is_never_refused(limit: RateLimit, gaps: list[int]) -> None:
    """One request each spacing, and later is never worse than sooner."""
    patient = [gap + limit.spacing_us for gap in gaps]

    assert len(admitted(limit, patient)) == len(patient)


@given(limit=LIMITS, before=st.integers(-(10**12), 10**12), now=st.integers(0, 10**12))
def test_after_the_wait_that_is_told_the_next_request_is_admitted(limit: RateLimit, before: int, now: int) -> None:
    """`retry_after` is exact to the microsecond: a moment earlier the answer is no."""
    before = min(before, now + limit.spacing_us * limit.requests)
    after = full_at(before, limit, now)
    left = (before if after is None else after) - now

    wait = round(told(limit, left, allowed=after is not None).retry_after_s * 1e6)

    assert full_at(now + left, limit, now + wait) is not None
    assert wait == 0 or full_at(now + left, limit, now + wait - 1) is None
    assert after is not None or wait > 0


@given(limit=LIMITS, asked=st.integers(1, 50))
def test_what_remains_is_what_is_still_let_in(limit: RateLimit, asked: int) -> None:
    """`remaining` more at once are admitted, and not one more."""
    full = 0
    for _ in range(asked):
        full = full_at(full, limit, 0) or full
    told_now = told(limit, full, allowed=True)

    more = len(admitted_from(full, limit, told_now.remaining + 1))

    assert told_now.remaining == max(0, limit.requests - asked) == more


def admitted_from(full: int, limit: RateLimit, tries: int) -> list[int]:
    """Return what is let in of so many requests at the moment 0."""
    let_in = []
    for _ in range(tries):
        after = full_at(full, limit, 0)
        if after is not None:
            full = after
            let_in.append(after)
    return let_in


async def test_each_has_a_bucket_of_its_own() -> None:
    """One key that asks too often keeps no other from asking."""
    rates, limit = LocalRates(lambda: 5.0), RateLimit(requests=2, per=timedelta(seconds=10))

    answers = [await rates.admit(name, limit) for name in ("a", "a", "a", "b")]

    assert [one.allowed for one in answers] == [True, True, False, True]
    assert [one.remaining for one in answers] == [1, 0, 0, 1]
    assert [one.retry_after_s for one in answers] == [0, 5.0, 5.0, 0]
    assert [one.full_after_s for one in answers] == [5.0, 10.0, 10.0, 5.0]


async def test_a_process_goes_on_from_what_all_have_found_out() -> None:
    """Without the others a bucket is as empty as it was with them."""
    rates, limit = LocalRates(lambda: 5.0), RateLimit(requests=2, per=timedelta(seconds=10))
    rates.note("a", 10_000_000)

    assert not (await rates.admit("a", limit)).allowed


@given(limits=st.lists(LIMITS, min_size=1, max_size=4), asked=st.lists(st.sets(st.integers(0, 3)), max_size=30))
async def test_buckets_that_are_asked_together_are_counted_together(
    limits: list[RateLimit], asked: list[set[int]]
) -> None:
    """One is counted in all of them if each alone would let it in, and else in none."""
    together, apart = LocalRates(lambda: 5.0), [0] * len(limits)
    for some in asked:
        numbers = sorted(number for number in some if number < len(limits))
        after = [full_at(apart[number], limits[number], 5_000_000) for number in numbers]
        for number, at in zip(numbers, after, strict=True):
            apart[number] = apart[number] if at is None or None in after else at

        told_now = await together.admit_together([Bucket(str(number), limits[number]) for number in numbers])

        assert [one.allowed for one in told_now] == [at is not None for at in after]
        left = [max(0, apart[number] - 5_000_000) / 1e6 for number in numbers]
        assert [one.full_after_s for one in told_now] == left


async def test_a_process_remembers_no_more_than_so_many_names() -> None:
    """Those that may soon ask as at the beginning are forgotten first, and those that have asked too often are not."""
    rates = LocalRates(lambda: 5.0)
    often, once = RateLimit(requests=1, per=timedelta(hours=1)), RateLimit(requests=1, per=timedelta(minutes=1))
    await rates.admit("often", often)
    for number in range(MOST):
        await rates.admit(str(number), once)

    assert len(rates) == MOST // 2
    assert not (await rates.admit("often", often)).allowed
    assert (await rates.admit(str(MOST - 1), once)).allowed
