"""How an e-mail begins."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dst.given import HOUR, MINUTE, NOW, RULES, message

from mailcore.intake import new_email
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane, Message, OnUnknown
from mailcore.testing.strategies import messages
from mailcore.validation import checked


def new(written: Message) -> Email:
    """Return the record of a message that was accepted now."""
    return new_email(checked(written, now=NOW, default_from=None), "em_1", "acme", "print", RULES, NOW)


def test_a_new_email_is_queued_within_the_grace_of_its_wake_up() -> None:
    """The sweep leaves it alone until its wake-up must have come."""
    one = new(message())

    assert (one.status, one.due_at, one.version) == ("queued", NOW + RULES.wakeup_grace, 1)
    assert (one.id, one.tenant, one.fingerprint) == ("em_1", "acme", "print")
    assert [(line.status, line.reason) for line in one.history] == [(Status.QUEUED, Reason.ACCEPTED)]


def test_a_scheduled_email_is_due_on_time() -> None:
    """I17: it waits for its moment, and its age is counted from then."""
    at = NOW + HOUR

    one = new(message(scheduled_at=at))

    assert (one.status, one.due_at, one.series_at) == ("scheduled", at, at)
    assert one.give_up_at == at + RULES.lanes.transactional


def test_a_schedule_that_is_over_means_now() -> None:
    """A moment in the past is no reason to wait."""
    one = new(message(scheduled_at=NOW - HOUR))

    assert (one.status, one.series_at) == ("queued", NOW)


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("expires", [None, NOW + MINUTE, NOW + 99 * HOUR])
def test_it_is_given_up_by_its_lane_or_its_expiry(lane: Lane, expires: datetime | None) -> None:
    """I20: whichever comes first."""
    aged = NOW + RULES.lanes.give_up_after(lane)

    assert new(message(lane=lane, expires_at=expires)).give_up_at == min(aged, expires or aged)


def test_what_lists_and_choices_go_by_is_kept() -> None:
    """Recipients, tags, metadata, needs and policy stand in the record, so that its content is not read for them."""
    one = new(
        message(
            to="Bob <bob@EXAMPLE.com>",
            bcc=["eve@example.com"],
            tags=["a"],
            metadata={"k": "v"},
            on_unknown=OnUnknown.HOLD,
        )
    )

    assert one.recipients == ("bob@example.com", "eve@example.com")
    assert (one.tags, one.metadata, one.on_unknown) == (("a",), {"k": "v"}, "hold")
    assert (one.needs.recipients, one.needs.sender_domain) == (2, "shop.example")


@given(st.data())
def test_every_sound_message_gets_a_record_that_wakes(data: st.DataObject) -> None:
    """I5: whatever is accepted is found by the sweep before it is given up."""
    one = new(data.draw(messages(NOW)))

    assert one.wake_at
    assert one.wake_at > NOW
    assert one.series_at < one.give_up_at
