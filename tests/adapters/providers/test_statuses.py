"""The table of statuses: what an answer means when nobody knows better."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.providers.samples import answer

from mailadapters.providers.statuses import by_status, succeeded, text_of
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown

ROWS: dict[type[Outcome], tuple[int, ...]] = {
    Rejected: (400, 406, 409, 413, 414, 415, 422, 451),
    Misconfigured: (300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 407, 410, 412),
    Throttled: (420, 429),
    Deferred: (408, 418, 421, 423, 425, 431, 499, 500, 501, 503, 505, 507, 521, 530),
    Unknown: (502, 504, 520, 524, 598, 599, 100, 200, 202, 204, 299, 600, 999),
}


@pytest.mark.parametrize(
    ("status", "expected"), [(status, kind) for kind, statuses in ROWS.items() for status in statuses]
)
def test_a_status_has_one_meaning(status: int, expected: type[Outcome]) -> None:
    """Each status of providers.md 0.1 and 0.3 falls on its side; a gateway's word is no word of the provider."""
    outcome = by_status(answer(status), "why")

    assert isinstance(outcome, expected)
    assert outcome.code == str(status)
    assert outcome.detail == "why"


@given(st.integers(100, 999))
def test_no_status_alone_is_an_acceptance(status: int) -> None:
    """Only a provider's own parser can tell that it took a message."""
    assert not isinstance(by_status(answer(status), ""), Accepted)


def test_a_misconfiguration_by_status_is_about_the_account() -> None:
    """A status alone cannot tell that only one sender is refused."""
    outcome = by_status(answer(401), "")

    assert isinstance(outcome, Misconfigured)
    assert outcome.scope is Scope.ACCOUNT


@pytest.mark.parametrize("status", [429, 503])
def test_a_wish_to_wait_is_kept(status: int) -> None:
    """I19: Retry-After counts with a throttling and with a stated outage."""
    outcome = by_status(answer(status, retry_after="7"), "")

    assert isinstance(outcome, Throttled | Deferred)
    assert outcome.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(("status", "expected"), [(199, False), (200, True), (299, True), (300, False)])
def test_success_is_a_class_of_statuses(status: int, expected: bool) -> None:
    """Two hundred and what follows it is success."""
    assert succeeded(answer(status)) is expected


@given(st.binary())
def test_any_bytes_are_text_for_people(body: bytes) -> None:
    """An answer in no encoding can be shown all the same."""
    assert isinstance(text_of(answer(500, body)), str)
