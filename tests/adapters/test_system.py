"""The only clock, dice and ids."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailadapters.system import SAMPLED_EVERY, SystemClock, draw, new_email_id, new_request_id, new_token
from mailcore.testing.contracts import ClockContract

START = 1_900_000_000.0


class Host:
    """A host whose two clocks a test moves."""

    def __init__(self) -> None:
        """Begin at a round moment."""
        self.wall = START
        self.passed = 5000.0

    def clock(self) -> SystemClock:
        """Return a clock that runs on this host."""
        return SystemClock(wall=lambda: self.wall, monotonic=lambda: self.passed)


class TestSystemClock(ClockContract):
    """SystemClock is a Clock."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        """Return the real one."""
        return SystemClock()


def test_it_tells_the_hosts_time() -> None:
    """At first the time is the wall clock's, cut to milliseconds."""
    host = Host()
    host.wall = START + 0.0129

    now = host.clock().now()

    assert now == datetime.fromtimestamp(START, UTC) + timedelta(milliseconds=12)


def test_time_goes_on_with_the_monotonic_clock() -> None:
    """Between samples time passes as the clock says that never jumps."""
    host = Host()
    clock = host.clock()

    host.passed += 12.5

    assert clock.now() == datetime.fromtimestamp(START + 12.5, UTC)


def test_a_moment_lasts_for_a_millisecond() -> None:
    """Those who ask within one are told the same, and those who ask in the next one the next."""
    host = Host()
    host.wall = START + 0.0005
    clock = host.clock()

    told = []
    for host.passed in (5000.0, 5000.0004, 5000.0006, 5000.0014, 5000.0016):
        told.append((clock.now() - datetime.fromtimestamp(START, UTC)) // timedelta(milliseconds=1))

    assert told == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("jump", [-86_400.0, -1.0, 1.0, 86_400.0])
def test_a_jump_that_is_taken_back_changes_nothing(jump: float) -> None:
    """A wall clock that jumps within the 30 s changes nothing (I18)."""
    host = Host()
    clock = host.clock()

    host.wall += jump
    host.passed += SAMPLED_EVERY - 0.001

    assert clock.now() == datetime.fromtimestamp(START + SAMPLED_EVERY - 0.001, UTC)


def test_after_half_a_minute_the_wall_clock_is_believed_again() -> None:
    """A clock that was set for good is followed, within 30 s."""
    host = Host()
    clock = host.clock()

    host.wall += 3600.0
    host.passed += SAMPLED_EVERY

    assert clock.now() == datetime.fromtimestamp(START + 3600.0, UTC)


def test_the_next_sample_is_believed_as_long() -> None:
    """Every sample counts for 30 s from when it was taken."""
    host = Host()
    clock = host.clock()
    host.passed += SAMPLED_EVERY
    clock.now()

    host.wall += 3600.0
    host.passed += 1.0

    assert clock.now() == datetime.fromtimestamp(START + 1.0, UTC)


def test_monotonic_is_the_hosts() -> None:
    """Deadlines are measured by the clock that never jumps."""
    assert Host().clock().monotonic() == 5000.0


def many(make: object) -> Iterator[str]:
    """Yield what a source makes, a thousand times."""
    assert callable(make)
    return (make() for _ in range(1000))


def test_ids_sort_as_they_were_made() -> None:
    """An id is unique and greater than those before it, so that rows lie in the order of arrival."""
    ids = list(many(new_email_id))

    assert ids == sorted(set(ids))


@pytest.mark.parametrize(("make", "pattern"), [(new_email_id, "em_"), (new_request_id, "req_"), (new_token, "")])
def test_what_is_made_is_made_of_few_characters(make: object, pattern: str) -> None:
    """An id can stand in a URL, a file name and a header as it is."""
    made = list(many(make))

    assert all(one.startswith(pattern) for one in made)
    assert set("".join(one.removeprefix(pattern) for one in made)) <= set("0123456789abcdefghijklmnopqrstuv")


def test_an_id_is_as_long_as_one_from_a_key() -> None:
    """Nobody can tell by its form whether an id came from an idempotency key."""
    assert len(new_email_id()) == len("em_") + 26


def test_tokens_are_all_different() -> None:
    """Two savers never share a token."""
    assert len(set(many(new_token))) == 1000


def test_draws_fill_the_unit_interval() -> None:
    """A draw is at least 0 and less than 1, and no part of that is left out."""
    drawn = [draw() for _ in range(2000)]

    assert all(0.0 <= u < 1.0 for u in drawn)
    assert {int(u * 10) for u in drawn} == set(range(10))
