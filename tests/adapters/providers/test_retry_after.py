"""Retry-After: read in every unit that providers use, and never believed beyond a day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.providers.samples import NOW

from mailadapters.providers.retry_after import LONGEST, delay, retry_after

EPOCH = int(NOW.timestamp())

ROWS: dict[str, tuple[str, timedelta | None]] = {
    "V1: 2": ("2", timedelta(seconds=2)),
    "V1: 3600": ("3600", timedelta(hours=1)),
    "V1: HTTP-date": ("Sun, 01 Mar 2026 12:01:30 GMT", timedelta(seconds=90)),
    "V1: garbage": ("soon", None),
    "V1: negative": ("-5", None),
    "zero": ("0", timedelta(0)),
    "float": ("1.5", timedelta(seconds=1.5)),
    "float without a fraction": ("2.", timedelta(seconds=2)),
    "spaces around": (" 7 ", timedelta(seconds=7)),
    "epoch": (str(EPOCH + 30), timedelta(seconds=30)),
    "epoch with a fraction": (f"{EPOCH + 30}.5", timedelta(seconds=30.5)),
    "epoch in the past": (str(EPOCH - 30), timedelta(0)),
    "epoch in milliseconds": (str(EPOCH * 1000), LONGEST),
    "date in the past": ("Sun, 01 Mar 2020 12:00:00 GMT", timedelta(0)),
    "date of RFC 850": ("Sunday, 01-Mar-26 12:01:30 GMT", timedelta(seconds=90)),
    "date of asctime": ("Sun Mar  1 12:01:30 2026", timedelta(seconds=90)),
    "date in no zone": ("Sun, 01 Mar 2026 12:01:30 -0000", timedelta(seconds=90)),
    "date in another zone": ("Sun, 01 Mar 2026 13:01:30 +0100", timedelta(seconds=90)),
    "date that is none": ("Sun, 99 Mar 2026 12:01:30 GMT", None),
    "date beyond the calendar": ("Sun, 01 Mar 99999 12:01:30 GMT", None),
    "date of a year that no clock holds": ("Sun, 01 Mar 99999999999999999999 12:01:30 GMT", None),
    "one day": ("86400", LONGEST),
    "more than a day": ("86401", LONGEST),
    "a date next year": ("Mon, 01 Mar 2027 12:00:00 GMT", LONGEST),
    "the last number of seconds": ("1000000000", LONGEST),
    "more digits than a number has": ("9" * 400, None),
    "not a number": ("nan", None),
    "infinite": ("inf", None),
    "hexadecimal": ("0x10", None),
    "exponent": ("1e3", None),
    "digits that are not ASCII": ("\uff11\uff12", None),
    "empty": ("", None),
    "two values": ("1, 2", None),
}


@pytest.mark.parametrize(("value", "expected"), ROWS.values(), ids=ROWS)
def test_a_wish_is_read_in_its_unit(value: str, expected: timedelta | None) -> None:
    """Seconds, Unix seconds and dates become a wait of at most a day; all else is no wish."""
    assert delay(value, NOW) == expected


@given(st.text(max_size=60) | st.from_regex(r"[-+0-9.eE: ,A-Za-z]{1,40}"))
def test_no_header_is_too_odd(value: str) -> None:
    """Whatever a server writes there, the wait is none or from zero to a day."""
    wait = delay(value, NOW)

    assert wait is None or timedelta(0) <= wait <= LONGEST


HEADERS: dict[str, tuple[dict[str, str], timedelta | None]] = {
    "none": ({}, None),
    "Retry-After": ({"retry-after": "5"}, timedelta(seconds=5)),
    "reset": ({"x-ratelimit-reset": str(EPOCH + 9)}, timedelta(seconds=9)),
    "both: Retry-After goes first": ({"x-ratelimit-reset": "9", "retry-after": "5"}, timedelta(seconds=5)),
    "one unreadable": ({"retry-after": "soon", "x-ratelimit-reset": "9"}, timedelta(seconds=9)),
    "another header": ({"x-ratelimit-limit": "600"}, None),
}


@pytest.mark.parametrize(("headers", "expected"), HEADERS.values(), ids=HEADERS)
def test_the_wish_is_found_among_headers(headers: dict[str, str], expected: timedelta | None) -> None:
    """The standard header goes before a rate limit's reset, and one that cannot be read hides no other."""
    assert retry_after(headers, NOW) == expected
