"""What every Clock must hold to."""

from __future__ import annotations

from datetime import timedelta

from mailcore.ports import Clock


class ClockContract:
    """The times are fit to be compared and stored. The fixture `clock` gives one."""

    def test_now_is_utc(self, clock: Clock) -> None:
        """The time is aware, and its offset is none."""
        assert clock.now().utcoffset() == timedelta()

    def test_now_has_whole_milliseconds(self, clock: Clock) -> None:
        """Stores keep no more than milliseconds, so a moment equals what comes back."""
        assert {clock.now().microsecond % 1000 for _ in range(100)} == {0}

    def test_now_does_not_run_backwards_by_itself(self, clock: Clock) -> None:
        """Of two looks at a clock the second is no earlier."""
        looks = [clock.now() for _ in range(100)]

        assert looks == sorted(looks)

    def test_monotonic_does_not_run_backwards(self, clock: Clock) -> None:
        """Deadlines are measured by it."""
        looks = [clock.monotonic() for _ in range(100)]

        assert looks == sorted(looks)
