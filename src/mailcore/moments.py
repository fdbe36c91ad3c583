"""Comparing moments that the clocks of several processes gave, one of which may have been set back.

Shared state outlives the clock that wrote it. A moment further ahead than anybody can have meant is the trace
of a clock that ran ahead, and is not waited for; a clock that goes back a little is another process's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

NOTHING: Final = timedelta(0)
SKEW: Final = timedelta(seconds=60)
"""How far apart the clocks of two processes may be without one of them having been set."""


def is_ahead(moment: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Return whether a moment is still to come, given how far ahead it can have been set.

    Twice `longest` is believed, so that a clock that went back by less does not end a wait early.
    """
    return moment is not None and NOTHING < moment - now <= 2 * longest


def seconds_since(mark: datetime | None, now: datetime) -> float:
    """Return the seconds that went by since a mark; 0 without one, or before it."""
    return (now - mark).total_seconds() if mark is not None and mark < now else 0.0


def advanced(mark: datetime | None, now: datetime) -> datetime:
    """Return the mark to go on from: never back by a mere skew, so that no second is counted twice."""
    return mark if mark is not None and NOTHING < mark - now <= SKEW else now
