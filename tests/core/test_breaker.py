"""The breaker as a value: when it opens and closes, and what changes nothing (reliability.md, B1 to B10)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from mailcore.breaker import Breaker, BreakerRules, Call, Result, State, ramp_share, recorded, ripened
from mailcore.window import total

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = BreakerRules()
ARROWS = {
    (State.CLOSED, State.OPEN),
    (State.OPEN, State.HALF_OPEN),
    (State.HALF_OPEN, State.CLOSED),
    (State.HALF_OPEN, State.OPEN),
}


class Step(Struct, frozen=True, kw_only=True):
    """One call that ends some time after the one before."""

    after_s: float
    result: Result
    email_id: str = "a"
    latency_s: float = 0.1
    score: float = 0.5
    rival_score: float | None = 0.9
    u: float = 0.5


STEPS = st.builds(
    Step,
    after_s=st.sampled_from([0.0, 0.4, 1.0, 2.0, 5.0, 14.0, 17.0, 33.0, 59.0, 61.0, 100.0]),
    result=st.sampled_from([Result.FAILURE] * 5 + [Result.SUCCESS] * 3 + [Result.IGNORED, Result.FATAL]),
    email_id=st.sampled_from("abc"),
    latency_s=st.sampled_from([0.1, 5.0, 5.1]),
    score=st.sampled_from([0.1, 0.5, 0.75]),
    rival_score=st.sampled_from([None, 0.7, 0.95]),
    u=st.floats(0, 1, exclude_max=True),
)
TRACES = st.lists(STEPS, max_size=60)
CALM = TRACES.map(lambda steps: [s for s in steps if s.result is not Result.FATAL])


def call(step: Step, generation: int) -> Call:
    """Return a step as a call of a generation."""
    return Call(
        token="t",
        email_id=step.email_id,
        generation=generation,
        result=step.result,
        latency=timedelta(seconds=step.latency_s),
        beaten_by=None if step.rival_score is None else step.rival_score - step.score,
        u=step.u,
    )


def played(steps: list[Step], start: datetime = NOW) -> list[tuple[Breaker, datetime]]:
    """Return the breaker after each change of each step, the first breaker included."""
    breaker, now = Breaker(), start
    seen = [(breaker, now)]
    for step in steps:
        now += timedelta(seconds=step.after_s)
        breaker = ripened(breaker, RULES, now)
        seen.append((breaker, now))
        breaker = recorded(breaker, call(step, breaker.generation), RULES, now)
        seen.append((breaker, now))
    return seen


def failures(count: int, **fields: object) -> list[Step]:
    """Return failures of two e-mails in turn, a second apart."""
    step = Step(after_s=1.0, result=Result.FAILURE, rival_score=None)
    return [replace(step, **{"email_id": "ab"[i % 2], **fields}) for i in range(count)]


def successes(count: int, **fields: object) -> list[Step]:
    """Return successes, a second apart."""
    return [replace(Step(after_s=1.0, result=Result.SUCCESS), **fields) for _ in range(count)]


def opened_after(steps: list[Step]) -> bool:
    """Return whether a new breaker is open after the steps."""
    return played(steps)[-1][0].state is State.OPEN


@given(TRACES)
def test_only_the_drawn_arrows_are_walked_and_each_is_a_new_generation(steps: list[Step]) -> None:
    """B1: only the listed transitions occur, and the generation grows by one with each and with nothing else."""
    seen = [breaker for breaker, _ in played(steps)]

    moves = [(a, b) for a, b in pairwise(seen) if a.state is not b.state]

    assert {(a.state, b.state) for a, b in moves} <= ARROWS
    assert seen[-1].generation == len(moves)
    assert all(b.generation == a.generation + 1 for a, b in moves)


def oracle_opens(history: list[tuple[Step, datetime]]) -> bool:
    """Return whether the last of some counted calls must open a breaker, by the letter of the rules."""
    step, now = history[-1]
    streak: list[Step] = []
    for past, _ in reversed(history):
        if past.result is Result.SUCCESS:
            break
        streak.append(past)
    last_success = max((at for past, at in history if past.result is Result.SUCCESS), default=None)
    is_quiet = last_success is None or now - last_success >= timedelta(seconds=2)
    if len(streak) >= 8 and len({past.email_id for past in streak}) >= 2 and is_quiet:
        return True
    newest = int(now.timestamp()) // 5
    window = [past for past, at in history if int(at.timestamp()) // 5 > newest - 12]
    failed = sum(past.result is Result.FAILURE for past in window)
    slow = sum(past.latency_s > 5 for past in window)
    if len(window) < 10 or step.rival_score is None:
        return False
    return (failed >= len(window) / 2 and step.rival_score - step.score >= 0.2) or slow >= 0.8 * len(window)


@given(CALM)
def test_it_opens_when_the_rules_say_so_and_never_before(steps: list[Step]) -> None:
    """B2: a closed breaker opens at the very call at which a naive list of all calls says so, not below M or K."""
    history: list[tuple[Step, datetime]] = []
    breaker, now, must_open = Breaker(), NOW, False

    for step in steps:
        now += timedelta(seconds=step.after_s)
        if step.result is not Result.IGNORED:
            history.append((step, now))
            must_open = oracle_opens(history)
        breaker = recorded(breaker, call(step, 0), RULES, now)
        if must_open:
            break

    assert (breaker.state is State.OPEN) == must_open


@given(st.lists(STEPS, max_size=9))
def test_few_calls_open_nothing(steps: list[Step]) -> None:
    """B2: with fewer than 10 calls and fewer than 8 failures in a row a breaker stays closed."""
    kept = [s for s in steps if s.result is not Result.FATAL]
    eighth = [i for i, s in enumerate(kept) if s.result is Result.FAILURE][7:]
    few = kept[: eighth[0]] if eighth else kept

    states = {breaker.state for breaker, _ in played(few)}

    assert states == {State.CLOSED}


@given(TRACES, STEPS, st.integers(1, 5))
def test_a_late_result_changes_nothing(steps: list[Step], late: Step, behind: int) -> None:
    """B6: the result of an attempt that was admitted in an older generation changes nothing."""
    breaker, now = played(steps)[-1]

    after = recorded(breaker, call(late, breaker.generation - behind), RULES, now)

    assert after is breaker


@given(TRACES, STEPS)
def test_an_ignored_result_counts_nowhere(steps: list[Step], step: Step) -> None:
    """B7: a result that says nothing of the provider leaves calls, failures and streak as they were."""
    breaker, now = played(steps)[-1]
    ignored = replace(step, result=Result.IGNORED)

    after = recorded(breaker, call(ignored, breaker.generation), RULES, now)

    assert total(after.window, RULES.window, now) == total(breaker.window, RULES.window, now)
    assert (after.state, after.generation) == (breaker.state, breaker.generation)
    assert (after.streak, after.last_success) == (breaker.streak, breaker.last_success)


@given(TRACES, st.integers(-(10**6), 10**6))
def test_where_the_clock_stands_does_not_matter(steps: list[Step], buckets: int) -> None:
    """B10: the same trace by a clock that stands elsewhere ends in the same states and counts."""
    shift = buckets * RULES.window.bucket

    here, there = played(steps), played(steps, NOW + shift)

    assert [(b.state, b.generation) for b, _ in here] == [(b.state, b.generation) for b, _ in there]
    (one, now), (other, then) = here[-1], there[-1]
    assert [t.calls for t in one.window] == [t.calls for t in other.window]
    assert ramp_share(one, RULES, now) == ramp_share(other, RULES, then)


@given(TRACES, st.floats(0, 10**8), TRACES)
def test_a_clock_that_goes_back_keeps_no_breaker_open(before: list[Step], back_s: float, after: list[Step]) -> None:
    """B10: after a jump back by any time, calls count as ever, and twice the longest opening bounds the wait."""
    breaker, now = played(before)[-1]
    now -= timedelta(seconds=back_s)
    for step in after:
        now += timedelta(seconds=step.after_s)
        breaker = recorded(breaker, call(step, breaker.generation), RULES, now)

    now += 2 * RULES.open_cap
    ripe = ripened(breaker, RULES, now)
    healed = recorded(ripe, call(Step(after_s=0, result=Result.SUCCESS), ripe.generation), RULES, now)

    assert ripe.state is not State.OPEN
    assert healed.state is State.CLOSED


def test_of_one_poisonous_email_a_breaker_does_not_open() -> None:
    """A streak needs two e-mails: one that fails everywhere and for ever opens nothing."""
    poison = failures(50, email_id="poison")

    states = [opened_after(poison), opened_after([*poison, *failures(1, email_id="other")])]

    assert states == [False, True]


def test_a_streak_right_after_a_success_is_a_burst() -> None:
    """Eight failures in a row open only once there was no success for 2 s."""
    burst = [*successes(1), *failures(9, after_s=0.1)]

    states = [opened_after(burst), opened_after([*burst, *failures(1, after_s=1.1)])]

    assert states == [False, True]


def test_a_success_ends_a_streak() -> None:
    """Failures that are not in a row are no streak, however many there are."""
    broken = [*failures(7), *successes(1, rival_score=None), *failures(7, after_s=3)]

    states = [opened_after(broken), opened_after([*broken, *failures(1)])]

    assert states == [False, True]


def test_a_streak_counts_also_for_a_clock_that_was_set_back() -> None:
    """B10: a latest success that seems to lie ahead by more than 2 s does not keep a dead provider closed."""
    back = Step(after_s=-3600, result=Result.FAILURE, rival_score=None)

    state = opened_after([*successes(1), back, *failures(7)])

    assert state


def test_failures_do_not_open_it_when_nobody_is_better() -> None:
    """Never eject all: half the calls failing opens only if another provider's score is 0.2 higher."""
    halves = [step for _ in range(10) for step in (*failures(1), *successes(1, rival_score=None))]
    close = [replace(step, score=0.6, rival_score=0.79) for step in halves]
    better = [replace(step, score=0.6, rival_score=0.8) for step in halves]

    states = [opened_after(trace[:10]) for trace in (halves, close, better)]

    assert states == [False, False, True]


def test_slow_calls_open_it_if_there_is_another_provider() -> None:
    """Eight of ten calls slower than 5 s open a breaker, but not the only one that takes attempts."""
    slow = [*successes(2), *successes(8, latency_s=5.1)]
    alone = [replace(step, rival_score=None) for step in slow]
    few = [*successes(3), *successes(7, latency_s=5.1)]
    at_the_limit = [*successes(2), *successes(8, latency_s=5.0)]

    states = [opened_after(trace) for trace in (slow, alone, few, at_the_limit)]

    assert states == [True, False, False, False]


def test_a_wrong_key_opens_it_at_once() -> None:
    """A misconfigured account fails every message: the first such answer opens the breaker."""
    breaker, _ = played([Step(after_s=0, result=Result.FATAL, rival_score=None)])[-1]

    assert breaker.state is State.OPEN


def test_openings_last_longer_until_a_whole_ramp_went_well() -> None:
    """T_k doubles from 15 s to 90 s with every opening, also from within the ramp, and starts anew after it."""
    breaker, now, lengths = played(failures(8, u=0.5))[-1][0], NOW, []
    fatal, good = Step(after_s=0, result=Result.FATAL), Step(after_s=0, result=Result.SUCCESS)
    for after_close_s in (None, 29, None, None, 30):
        assert breaker.opened_at is not None
        assert breaker.reopens_at is not None
        lengths.append((breaker.reopens_at - breaker.opened_at).total_seconds())
        now = breaker.reopens_at
        breaker = ripened(breaker, RULES, now)
        if after_close_s is not None:
            breaker = recorded(breaker, call(good, breaker.generation), RULES, now)
            now += timedelta(seconds=after_close_s)
        breaker = recorded(breaker, call(fatal, breaker.generation), RULES, now)
    assert breaker.opened_at is not None
    assert breaker.reopens_at is not None
    lengths.append((breaker.reopens_at - breaker.opened_at).total_seconds())

    assert lengths == [15, 30, 60, 90, 90, 15]


@given(st.floats(0, 1, exclude_max=True))
def test_an_opening_is_jittered_by_a_tenth(u: float) -> None:
    """The processes of one breaker, and the breakers of one outage, do not all come back at one moment."""
    opened, now = played([Step(after_s=0, result=Result.FATAL, u=u)])[-1]

    assert opened.reopens_at is not None
    assert abs((opened.reopens_at - now).total_seconds() - 15 * (0.9 + 0.2 * u)) < 1e-5


def test_after_closing_the_share_of_slots_doubles_every_ten_seconds() -> None:
    """The ramp: 0.1 at the closing, twice that 10 s later, all after 30 s; a breaker that never opened has none."""
    closed = Breaker(closed_at=NOW, generation=3)

    shares = [ramp_share(closed, RULES, NOW + timedelta(seconds=s)) for s in (0, 10, 20, 29.999, 30, 10**6)]

    assert [round(share, 2) for share in shares] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert ramp_share(Breaker(), RULES, NOW) == 1.0


def test_while_it_is_open_no_result_ends_its_time() -> None:
    """An attempt that the operator forced through an open breaker neither closes nor prolongs it."""
    opened, now = played(failures(8))[-1]

    after = [
        recorded(opened, call(Step(after_s=0, result=result), opened.generation), RULES, now)
        for result in (Result.SUCCESS, Result.FAILURE)
    ]

    assert after == [opened, opened]
