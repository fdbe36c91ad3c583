"""What a person may ask of an e-mail, in every status."""

import pytest
from tests.dst.given import HOUR, MINUTE, NOW, RULES, SECOND, attempt, doubtful, email, view

from mailcore.appeal import Resolution, cancelled, redriven, resolved
from mailcore.dispatch import Bury, WakeUp
from mailcore.errors import ConflictError
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane
from mailcore.plan import Begin, plan_attempt

LATER = NOW + HOUR


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.QUEUED, Status.RETRYING, Status.HELD])
def test_what_waits_is_cancelled_at_once(status: Status) -> None:
    """I21: a waiting e-mail is withdrawn by the very save that says so."""
    done = cancelled(email(status), LATER).email

    assert (done.status, done.reason, done.settled_at) == ("cancelled", "withdrawn", LATER)


def test_what_is_being_sent_is_only_marked() -> None:
    """I21: while sending the wish is noted and the lease stays."""
    one = email(Status.SENDING, attempts=(attempt(),))

    done = cancelled(one, NOW + SECOND).email

    assert (done.status, done.cancel_requested, done.lease_until) == ("sending", True, one.lease_until)


@pytest.mark.parametrize("one", [email(Status.CANCELLED), email(Status.SENDING, cancel_requested=True)])
def test_asking_twice_changes_nothing(one: Email) -> None:
    """A repeated cancel saves nothing, so that it cannot disturb the worker."""
    assert cancelled(one, LATER).email is one


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED])
def test_what_is_over_cannot_be_cancelled(status: Status) -> None:
    """The refusal names the status."""
    with pytest.raises(ConflictError, match=status):
        cancelled(email(status), LATER)


def test_a_cancelled_email_may_have_been_sent() -> None:
    """I21: after an unknown attempt the cancelled e-mail says so."""
    held = email(Status.HELD, attempts=(doubtful(),), possibly_sent=True)

    assert cancelled(held, LATER).email.possibly_sent


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        (Resolution.SENT, "sent", "resolved"),
        (Resolution.RETRY, "retrying", "resolved"),
        (Resolution.FAILED, "failed", "unresolved"),
        (Resolution.CANCELLED, "cancelled", "withdrawn"),
    ],
)
def test_a_held_email_is_settled_by_a_person(how: Resolution, status: str, reason: str) -> None:
    """Each resolution ends the hold in its status, with the person's note."""
    done = resolved(email(Status.HELD), how, "asked them", RULES, LATER).email

    assert (done.status, done.reason, done.hold_until) == (status, reason, None)
    assert done.history[-1].note == "asked them"


@pytest.mark.parametrize("status", set(Status) - {Status.HELD})
def test_only_a_held_email_is_resolved(status: Status) -> None:
    """Whatever is not held is refused with its status."""
    with pytest.raises(ConflictError, match=status):
        resolved(email(status), Resolution.SENT, "", RULES, LATER)


def test_a_resolved_failure_is_buried() -> None:
    """A dead letter by a person's word is one like any other."""
    done = resolved(email(Status.HELD), Resolution.FAILED, "", RULES, LATER)

    assert Bury("em_1", Reason.UNRESOLVED) in done.effects


def test_a_retry_starts_at_once_and_counts_unknowns_anew() -> None:
    """A person who says retry has dealt with the doubt."""
    done = resolved(email(Status.HELD, unknowns=4), Resolution.RETRY, "", RULES, LATER)

    assert (done.email.due_at, done.email.unknowns) == (LATER, 0)
    assert WakeUp("em_1", Lane.TRANSACTIONAL) in done.effects


def test_a_retry_gets_time_to_be_sent() -> None:
    """An e-mail held for longer than its lane's age is still retried when a person says so."""
    late = NOW + 60 * HOUR

    done = resolved(email(Status.HELD), Resolution.RETRY, "", RULES, late).email

    assert isinstance(plan_attempt(done, (view(),), RULES, late, 0.5), Begin)


def test_a_retry_does_not_outlive_its_expiry() -> None:
    """What the author set stays: expired is expired, whoever retries."""
    done = resolved(email(Status.HELD, expires_at=NOW + MINUTE), Resolution.RETRY, "", RULES, LATER).email

    assert done.give_up_at == NOW + MINUTE


@pytest.mark.parametrize("status", set(Status) - {Status.FAILED})
def test_only_a_dead_letter_is_redriven(status: Status) -> None:
    """I24: whatever has not failed is refused with its status."""
    with pytest.raises(ConflictError, match=status):
        redriven(email(status), RULES, LATER)


def test_a_redrive_begins_a_new_series() -> None:
    """I24: a new key, new bounds and a new age; the attempts and the history stay."""
    dead = email(
        Status.FAILED,
        attempts=(doubtful(),),
        rounds=9,
        crashes=3,
        unknowns=4,
        refused_by=("p1",),
        reserved="p1",
        cancel_requested=True,
        possibly_sent=True,
    )

    done = redriven(dead, RULES, LATER)

    one = done.email
    assert (one.status, one.reason, one.key, one.due_at) == ("queued", "redriven", "em_1.1", LATER)
    assert (one.rounds, one.crashes, one.unknowns, one.refused_by, one.reserved) == (0, 0, 0, (), None)
    assert (one.series_at, one.give_up_at) == (LATER, LATER + RULES.lanes.transactional)
    assert (one.attempts, one.possibly_sent, one.cancel_requested) == (dead.attempts, True, False)
    assert WakeUp("em_1", Lane.TRANSACTIONAL) in done.effects


def test_a_redrive_keeps_an_expiry_that_is_still_to_come() -> None:
    """What expires in an hour is not sent tomorrow."""
    done = redriven(email(Status.FAILED, expires_at=LATER + HOUR), RULES, LATER).email

    assert (done.expires_at, done.give_up_at) == (LATER + HOUR, LATER + HOUR)


def test_a_redrive_drops_an_expiry_that_is_over() -> None:
    """Whoever redrives an expired e-mail wants it sent."""
    done = redriven(email(Status.FAILED, expires_at=LATER), RULES, LATER).email

    assert (done.expires_at, done.give_up_at) == (None, LATER + RULES.lanes.transactional)
