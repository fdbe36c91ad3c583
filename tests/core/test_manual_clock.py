"""The clock that tests move."""

from datetime import timedelta

import pytest

from mailcore.testing import ManualClock

HOUR = timedelta(hours=1)


def test_time_passes_on_both_clocks() -> None:
    """A duration or a number of seconds, as one likes."""
    clock = ManualClock()
    began = clock.now(), clock.monotonic()

    clock.advance(HOUR)
    clock.advance(1.5)

    assert clock.now() - began[0] == HOUR + timedelta(seconds=1.5)
    assert clock.monotonic() - began[1] == 3601.5


def test_time_does_not_run_backwards() -> None:
    """Whoever wants a wall clock that jumps says so."""
    clock = ManualClock()

    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)

    assert clock.monotonic() == ManualClock().monotonic()


def test_the_wall_clock_may_jump_and_the_other_does_not_notice() -> None:
    """What a host's clock does when somebody sets it."""
    clock = ManualClock()
    before, monotonic = clock.now(), clock.monotonic()

    clock.set(before - HOUR)

    assert (clock.now(), clock.monotonic()) == (before - HOUR, monotonic)
