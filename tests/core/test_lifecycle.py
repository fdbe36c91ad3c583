"""The life of an e-mail: its table of transitions, and a record that stays small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, attempt, deferred, doubtful, email

from mailcore.attempt import Attempt
from mailcore.lifecycle import KEPT, SETTLED, TRANSITIONS, WAITING, Email, Reason, Status, closed, moved, started
from mailcore.outcome import Verdict

LEASE = MINUTE


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_only_the_listed_transitions_are_possible(before: Status, after: Status) -> None:
    """`moved` follows the table and refuses whatever is not in it."""
    one = email(before)

    if after in TRANSITIONS[before]:
        assert moved(one, after, Reason.ATTEMPT, NOW).status is after
    else:
        with pytest.raises(ValueError, match=f"no way from {before} to {after}"):
            moved(one, after, Reason.ATTEMPT, NOW)


def test_every_status_settles_or_waits_or_is_under_way() -> None:
    """Statuses are settled, waiting or sending, and nothing else."""
    assert SETTLED | WAITING | {Status.SENDING} == set(Status)
    assert not SETTLED & WAITING


@pytest.mark.parametrize("status", [Status.SENT, Status.CANCELLED])
def test_what_is_sent_or_cancelled_stays_so(status: Status) -> None:
    """Sent and cancelled are for good."""
    assert not TRANSITIONS[status]


def test_a_move_ends_every_wait_and_writes_history() -> None:
    """No wait of the former status outlives it, and the move can be read later."""
    one = email(due_at=NOW, lease_until=NOW, hold_until=NOW, blocked_on=("p1",))

    after = moved(one, Status.FAILED, Reason.REJECTED, NOW + SECOND, "no")

    assert (after.due_at, after.lease_until, after.hold_until, after.blocked_on) == (None, None, None, ())
    assert (after.settled_at, after.updated_at) == (NOW + SECOND, NOW + SECOND)
    assert (after.history[-1].status, after.history[-1].reason, after.history[-1].note) == ("failed", "rejected", "no")


def test_a_redriven_email_is_no_longer_settled() -> None:
    """`settled_at` is set exactly while an e-mail is settled."""
    assert moved(email(Status.FAILED), Status.QUEUED, Reason.REDRIVEN, NOW).settled_at is None


@pytest.mark.parametrize(
    ("status", "wakes"),
    [
        (Status.SCHEDULED, "due_at"),
        (Status.QUEUED, "due_at"),
        (Status.RETRYING, "due_at"),
        (Status.SENDING, "lease_until"),
        (Status.HELD, "hold_until"),
        (Status.SENT, None),
        (Status.FAILED, None),
        (Status.CANCELLED, None),
    ],
)
def test_what_is_not_settled_wakes_by_the_clock_of_its_status(status: Status, wakes: str | None) -> None:
    """I5: the one index finds leases, holds and waits alike, and never what is settled."""
    at = {"due_at": NOW + SECOND, "lease_until": NOW + MINUTE, "hold_until": NOW + HOUR}

    one = replace(email(status), **at)

    assert one.wake_at == (at[wakes] if wakes else None)
    assert one.settled is (wakes is None)


def test_an_attempt_starts_under_a_lease_and_drops_the_reservation() -> None:
    """An attempt is recorded as open when it starts, under a fresh lease."""
    after = started(email(reserved="p1"), attempt(1), NOW + LEASE, NOW)

    assert (after.status, after.reason, after.lease_until) == ("sending", "attempt", NOW + LEASE)
    assert (after.open_attempt, after.reserved) == (attempt(1), None)


def test_an_attempt_right_after_another_is_a_failover() -> None:
    """The history tells a failover from a first attempt."""
    assert started(email(Status.SENDING), attempt(2), NOW + LEASE, NOW).reason is Reason.FAILOVER


@pytest.mark.parametrize(("deduped", "doubled"), [(True, False), (False, True)])
def test_an_attempt_after_an_unknown_one_may_be_a_duplicate(deduped: bool, doubled: bool) -> None:
    """A possible duplicate is recorded unless the provider recognises the repeat."""
    one = email(Status.RETRYING, attempts=(doubtful(),), possibly_sent=True)

    assert started(one, attempt(2, deduped=deduped), NOW + LEASE, NOW).possible_duplicate is doubled


def test_an_attempt_after_clean_failures_is_no_duplicate() -> None:
    """Only an unknown outcome makes a duplicate possible."""
    one = email(Status.RETRYING, attempts=(deferred(),))

    assert not started(one, attempt(2), NOW + LEASE, NOW).possible_duplicate


def grown(attempts: list[Attempt]) -> Email:
    """Return an e-mail that made these attempts one after the other."""
    one = email()
    for made in attempts:
        one = closed(started(one, attempt(made.n), NOW + LEASE, NOW), made)
    return one


@st.composite
def _attempts(draw: st.DrawFn) -> list[Attempt]:
    """Return up to 200 finished attempts; unknown ones that no provider recognises are few, as their bound says."""
    kinds = draw(st.lists(st.sampled_from(["clean", "deduped"]), max_size=200))
    doubts = draw(st.sets(st.integers(0, 199), max_size=4))
    return [
        doubtful(n + 1, deduped=kind == "deduped" and n not in doubts)
        if kind == "deduped" or n in doubts
        else deferred(n + 1)
        for n, kind in enumerate(kinds)
    ]


@given(_attempts())
def test_of_many_attempts_the_latest_and_the_doubtful_are_kept(made: list[Attempt]) -> None:
    """The record is bounded, and what explains a duplicate or is under way is never folded away."""
    one = grown(made)

    assert len(one.attempts) <= KEPT
    assert len(one.attempts) + one.folded == len(made)
    assert one.next_n == len(made) + 1
    unexplained = {a.n for a in made if a.outcome is Verdict.UNKNOWN and not a.deduped}
    assert unexplained <= {a.n for a in one.attempts}


def test_a_new_attempt_is_never_folded_away() -> None:
    """An attempt under way stays in the record even if every other is unknown."""
    one = replace(email(Status.RETRYING), attempts=tuple(doubtful(n) for n in range(1, KEPT + 1)))

    after = started(one, attempt(KEPT + 1), NOW + LEASE, NOW)

    assert after.open_attempt == attempt(KEPT + 1)
    assert len(after.attempts) == KEPT


def test_history_is_bounded() -> None:
    """The history keeps its latest 64 lines."""
    one = email(Status.RETRYING)

    for second in range(100):
        one = moved(one, Status.RETRYING, Reason.NO_PROVIDER, NOW + second * SECOND)

    assert len(one.history) == KEPT
    assert one.history[-1].at == NOW + 99 * SECOND


def test_the_key_changes_with_a_redrive_only() -> None:
    """A provider may deduplicate all attempts of a series, and none of another."""
    one = grown([deferred(1), deferred(2)])

    assert one.key == "em_1.0"
    assert replace(one, redrives=2).key == "em_1.2"
