"""The window: twelve buckets of five seconds instead of a list of every call (reliability.md, B8)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailcore.window import Tally, Window, WindowRules, counted, total

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = WindowRules()
CALLS = st.lists(
    st.tuples(st.floats(0, 20) | st.sampled_from([5.0, 55.0, 60.0, 65.0]), st.booleans(), st.booleans()), max_size=80
)


def filled(calls: list[tuple[float, bool, bool]]) -> tuple[Window, list[tuple[datetime, bool, bool]]]:
    """Return the window and the list of all calls, each some seconds after the one before."""
    window: Window = ()
    listed = []
    now = NOW
    for after_s, failed, slow in calls:
        now += timedelta(seconds=after_s)
        window = counted(window, failed=failed, slow=slow, rules=RULES, now=now)
        listed.append((now, failed, slow))
    return window, listed


@given(CALLS, st.floats(0, 130))
def test_buckets_count_as_a_list_of_moments_would(calls: list[tuple[float, bool, bool]], later_s: float) -> None:
    """B8: the window counts exactly the calls of the current five seconds and the eleven before, never more."""
    window, listed = filled(calls)
    now = (listed[-1][0] if listed else NOW) + timedelta(seconds=later_s)

    counts = total(window, RULES, now)

    newest = int(now.timestamp()) // 5
    recent = [(failed, slow) for at, failed, slow in listed if int(at.timestamp()) // 5 >= newest - 11]
    assert (counts.calls, counts.failures, counts.slow) == (
        len(recent),
        sum(failed for failed, _ in recent),
        sum(slow for _, slow in recent),
    )


@given(CALLS)
def test_a_window_is_bounded_and_in_order(calls: list[tuple[float, bool, bool]]) -> None:
    """However many calls come, a window has at most twelve buckets, oldest first, none empty."""
    window, _ = filled(calls)

    slots = [bucket.slot for bucket in window]
    assert len(window) <= 12
    assert slots == sorted(set(slots))
    assert all(bucket.calls > 0 for bucket in window)


@given(CALLS, st.floats(0, 54))
def test_a_clock_that_is_behind_loses_no_call(calls: list[tuple[float, bool, bool]], behind_s: float) -> None:
    """B10: a call counted by a clock that is less than a window behind is one more call."""
    window, listed = filled(calls)
    now = listed[-1][0] if listed else NOW

    after = counted(window, failed=True, slow=False, rules=RULES, now=now - timedelta(seconds=behind_s))

    assert total(after, RULES, now).calls == total(window, RULES, now).calls + 1


def test_a_clock_that_was_set_back_starts_anew() -> None:
    """B10: what was counted a window or more ahead of the clock is not waited for."""
    window = counted((), failed=True, slow=False, rules=RULES, now=NOW + timedelta(seconds=60))

    after = counted(window, failed=False, slow=True, rules=RULES, now=NOW)

    assert after == (Tally(int(NOW.timestamp()) // 5, 1, 0, 1),)
    assert total(window, RULES, NOW).calls == 0
