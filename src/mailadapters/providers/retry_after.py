"""How long a provider wants to be left alone, read from its answer's headers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(hours=24)
"""A wish beyond this is cut: reliability.md I19 honours Retry-After up to 24 h."""

# Retry-After is RFC 9110 section 10.2.3; the other is what SendGrid and Mailgun send with a 429.
_HEADERS = ("retry-after", "x-ratelimit-reset")

# A "reset" above this is a moment in Unix seconds, below it a number of seconds (providers.md 0.2).
_FIRST_EPOCH = 1_000_000_000

_NUMBER = re.compile(r"\d{1,20}(?:\.\d{0,20})?", re.ASCII)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long the provider wants to be left alone, or None if it did not say so readably.

    Args:
        headers: By lower-case name.
        now: When the answer came.
    """
    waits = (delay(headers[name], now) for name in _HEADERS if name in headers)
    return next((wait for wait in waits if wait is not None), None)


def delay(value: str, now: datetime) -> timedelta | None:
    """Return the wait that one header's value asks for, from 0 to 24 h, or None if it is no such value.

    Takes seconds (whole or not), Unix seconds and HTTP dates; a moment in the past asks for no wait.
    """
    text = value.strip()
    seconds = _seconds(float(text), now) if _NUMBER.fullmatch(text) else _until(text, now)
    if seconds is None or not math.isfinite(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST.total_seconds()))


def _seconds(number: float, now: datetime) -> float:
    """Return seconds from now, of a number that is either that or a moment in Unix seconds."""
    return number - now.timestamp() if number > _FIRST_EPOCH else number


def _until(text: str, now: datetime) -> float | None:
    """Return the seconds from now to an HTTP date, or None if it is not one."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year of twenty digits
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # "-0000", which RFC 9110 does not know
    return (aware - now).total_seconds()
