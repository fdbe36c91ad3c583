"""What plans and outcomes make of an e-mail."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, RULES, SECOND, attempt, deferred, doubtful, email

from mailcore.attempt import PassedOver, Why
from mailcore.dispatch import (
    REST,
    Bury,
    Notify,
    Transition,
    WakeUp,
    carried_out,
    put_back,
    record_outcome,
    settle_late,
)
from mailcore.lifecycle import TRANSITIONS, Email, Reason, Status
from mailcore.message import Lane, OnUnknown
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown, Verdict
from mailcore.plan import Begin, Conclude, GiveUp, Hold, Plan, Skip, Wait, Withdraw
from mailcore.retry import RetryPolicy
from mailcore.rules import Rules

ACCEPTED = Accepted(provider_id="x", detail="queued")
REJECTED = Rejected(code="550", detail="no such user")
DEFERRED = Deferred(code="503", detail="later")
THROTTLED = Throttled(code="429", detail="slow down")
ACCOUNT = Misconfigured(scope=Scope.ACCOUNT, code="401", detail="bad key")
SENDER = Misconfigured(scope=Scope.SENDER, code="403", detail="unknown sender")
UNKNOWN = Unknown(code="timeout", detail="")
OUTCOMES: list[Outcome] = [ACCEPTED, REJECTED, DEFERRED, THROTTLED, ACCOUNT, SENDER, UNKNOWN]
BEGIN = Begin(
    provider="p2",
    why=Why(strategy="s", because="b", passed_over=(PassedOver("p1", "open"),)),
    generation=3,
    probe=False,
    deduped=False,
    repeat=False,
    reserved=False,
    solo=False,
)


def sending(**fields: object) -> Email:
    """Return an e-mail with its first attempt under way at p1."""
    return email(Status.SENDING, **{"attempts": (attempt(),), **fields})


def after(outcome: Outcome, one: Email | None = None, rules: Rules = RULES) -> Email:
    """Return what an outcome that came a second later makes of an e-mail."""
    return record_outcome(one or sending(), outcome, rules, NOW + SECOND, SECOND).email


# Plans


def test_a_begin_claims_and_records_the_attempt() -> None:
    """The attempt is in the record, open, under a lease, before anything is sent."""
    done = carried_out(email(), BEGIN, RULES, NOW)

    assert (done.email.status, done.email.lease_until) == ("sending", NOW + RULES.lease)
    assert done.email.open_attempt
    assert done.email.open_attempt.why == BEGIN.why
    assert done.effects == (Notify("em_1"),)


def test_a_wait_is_due_later_and_uses_a_round_only_if_it_says_so() -> None:
    """A wait keeps what it waits for, and raises the rounds only when one is over."""
    wait = Wait(until=NOW + MINUTE, reason=Reason.NO_PROVIDER, blocked_on=("p1",), reserved="p1")

    done = carried_out(email(), wait, RULES, NOW).email
    assert (done.status, done.due_at, done.blocked_on, done.reserved, done.rounds) == (
        "retrying",
        NOW + MINUTE,
        ("p1",),
        "p1",
        0,
    )
    assert carried_out(email(), replace(wait, round_over=True), RULES, NOW).email.rounds == 1


def test_a_wait_that_is_over_wakes_a_worker() -> None:
    """What is due at once is not left to the sweep."""
    done = carried_out(email(), Wait(until=NOW, reason=Reason.NO_PROVIDER), RULES, NOW)

    assert WakeUp("em_1", Lane.TRANSACTIONAL) in done.effects


@pytest.mark.parametrize(
    ("before", "plan", "status", "reason"),
    [
        (Status.SENDING, Hold(NOW + HOUR), "held", "unknown_outcome"),
        (Status.QUEUED, GiveUp(Reason.EXPIRED), "failed", "expired"),
        (Status.QUEUED, Withdraw(), "cancelled", "withdrawn"),
        (Status.RETRYING, Conclude(), "sent", "late_answer"),
    ],
)
def test_a_plan_to_stop_is_carried_out(before: Status, plan: Plan, status: str, reason: str) -> None:
    """Each way to stop ends in its status, with its reason."""
    done = carried_out(email(before), plan, RULES, NOW).email

    assert (done.status, done.reason) == (status, reason)


def test_a_hold_wakes_when_it_ends() -> None:
    """A held e-mail has a moment at which it is given up."""
    held = carried_out(email(Status.SENDING), Hold(NOW + HOUR), RULES, NOW).email

    assert held.wake_at == NOW + HOUR


def test_a_dead_letter_is_buried() -> None:
    """I23: a dead letter is told to other systems, with its reason."""
    assert Bury("em_1", Reason.GAVE_UP) in carried_out(email(), GiveUp(Reason.GAVE_UP), RULES, NOW).effects


def test_a_skip_changes_nothing() -> None:
    """A wake-up that has nothing to do leaves the very same e-mail."""
    one = email()

    assert carried_out(one, Skip("why"), RULES, NOW) == Transition(one)


# Outcomes


def test_an_outcome_needs_an_open_attempt() -> None:
    """An outcome without an attempt under way is our own mistake."""
    with pytest.raises(ValueError, match="no open attempt"):
        record_outcome(email(), ACCEPTED, RULES, NOW)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_kept_with_its_attempt(outcome: Outcome) -> None:
    """Each attempt tells when and how it ended, and how long it took."""
    (made,) = after(outcome).attempts

    assert made.outcome == outcome.__struct_config__.tag
    assert (made.finished_at, made.latency) == (NOW + SECOND, SECOND)
    assert made.detail == outcome.detail


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ACCEPTED, "sent"),
        (REJECTED, "failed"),
        (DEFERRED, "sending"),
        (THROTTLED, "sending"),
        (ACCOUNT, "sending"),
        (SENDER, "sending"),
        (UNKNOWN, "retrying"),
    ],
)
def test_each_outcome_leads_on(outcome: Outcome, status: str) -> None:
    """Accepted and rejected settle it, unknown waits, and the others go on to the next provider at once."""
    one = after(outcome)

    assert one.status == status
    assert one.open_attempt is None


def test_an_acceptance_keeps_the_providers_id() -> None:
    """The provider's id of the message is kept, and there is no code of a failure."""
    one = after(ACCEPTED)

    assert (one.attempts[0].provider_id, one.attempts[0].code) == ("x", None)
    assert one.history[-1].note == "p1"


def test_a_long_detail_is_cut() -> None:
    """Details are bounded, whatever a provider's module hands over."""
    assert len(after(Rejected(code="1", detail="x" * 9000)).attempts[0].detail) == 500


def test_a_rejection_is_a_dead_letter() -> None:
    """A rejected message is failed with the provider's reason and buried."""
    done = record_outcome(sending(), REJECTED, RULES, NOW)

    assert (done.email.reason, done.email.history[-1].note) == ("rejected", "no such user")
    assert Bury("em_1", Reason.REJECTED) in done.effects


def test_a_refused_sender_is_remembered_once() -> None:
    """A provider that does not know the sender is noted, once."""
    assert after(SENDER).refused_by == ("p1",)
    assert after(SENDER, sending(refused_by=("p1",))).refused_by == ("p1",)
    assert after(ACCOUNT).refused_by == ()


@pytest.mark.parametrize(
    ("outcome", "probe", "rest"),
    [
        (THROTTLED, False, REST),
        (replace(THROTTLED, retry_after=timedelta()), False, REST),
        (replace(THROTTLED, retry_after=MINUTE), False, MINUTE),
        (replace(THROTTLED, retry_after=timedelta.max), False, 24 * HOUR),
        (replace(THROTTLED, retry_after=timedelta(milliseconds=1)), False, SECOND),
        (DEFERRED, False, None),
        (replace(DEFERRED, retry_after=MINUTE), False, MINUTE),
        (replace(DEFERRED, retry_after=timedelta.max), False, 24 * HOUR),
        (DEFERRED, True, REST),
        (replace(DEFERRED, retry_after=SECOND), True, REST),
        (replace(DEFERRED, retry_after=HOUR), True, HOUR),
        (ACCOUNT, False, REST),
        (SENDER, False, REST),
        (ACCEPTED, False, None),
        (UNKNOWN, False, None),
    ],
)
def test_a_provider_rests_from_this_email(outcome: Outcome, probe: bool, rest: timedelta | None) -> None:
    """I19: a wish is granted up to 24 h; what uses up no round rests, or the same e-mail would spin."""
    (made,) = after(outcome, sending(attempts=(attempt(probe=probe),))).attempts

    assert made.repeat_at == (NOW + SECOND + rest if rest else None)


# Unknown


@pytest.mark.parametrize(("unknowns", "grace"), [(0, 30), (1, 180), (2, 1080)])
def test_an_unknown_outcome_is_left_to_settle(unknowns: int, grace: int) -> None:
    """I32: 30 s, six times longer with each one more."""
    one = after(UNKNOWN, sending(unknowns=unknowns))

    assert (one.status, one.reason, one.due_at) == ("retrying", "unknown_outcome", NOW + SECOND + grace * SECOND)
    assert (one.unknowns, one.possibly_sent, one.rounds) == (unknowns + 1, True, 1)


def test_the_fourth_unknown_is_held() -> None:
    """I10, I32: at the bound it stops."""
    one = after(UNKNOWN, sending(unknowns=3))

    assert (one.status, one.hold_until) == ("held", NOW + SECOND + RULES.hold_for)


def test_under_hold_the_first_unknown_is_held() -> None:
    """With `on_unknown: hold` nothing is sent again by itself."""
    assert after(UNKNOWN, sending(on_unknown=OnUnknown.HOLD)).status is Status.HELD


def test_an_unknown_repeat_that_is_recognised_does_not_count() -> None:
    """I32: repeats that the provider recognises do not count towards the bound."""
    one = after(UNKNOWN, sending(attempts=(doubtful(), attempt(2, deduped=True)), unknowns=1))

    assert (one.unknowns, one.due_at) == (1, NOW + SECOND + 30 * SECOND)


def test_an_unknown_outcome_that_could_only_be_repeated_late_fails() -> None:
    """I20: with its next due time past the end it fails now, and says what it does not know."""
    one = after(UNKNOWN, sending(expires_at=NOW + 10 * SECOND))

    assert (one.status, one.reason, one.possibly_sent) == ("failed", "expired", True)
    assert after(UNKNOWN, sending(give_up_at=NOW + 10 * SECOND)).reason is Reason.GAVE_UP


def test_an_unknown_outcome_in_the_last_round_fails() -> None:
    """I10: `max_rounds` bounds unknown outcomes too."""
    rules = replace(RULES, retry=RetryPolicy(max_rounds=1))

    assert after(UNKNOWN, rules=rules).reason is Reason.GAVE_UP


def test_an_unknown_probe_costs_no_round() -> None:
    """I30: a failed half-open probe costs its e-mail no round, however it failed."""
    rules = replace(RULES, retry=RetryPolicy(max_rounds=1))

    one = after(UNKNOWN, sending(attempts=(attempt(probe=True),)), rules)

    assert (one.status, one.rounds, one.unknowns) == ("retrying", 0, 1)


@given(bound=st.integers(1, 10**6), unknowns=st.integers(0, 10**6))
def test_no_bound_of_unknowns_is_too_large(bound: int, unknowns: int) -> None:
    """A grace that would outlast time itself gives up or holds."""
    one = after(UNKNOWN, sending(unknowns=unknowns), replace(RULES, max_unknowns=bound))

    assert one.status in {Status.HELD, Status.FAILED, Status.RETRYING}


@pytest.mark.parametrize(("outcome", "status"), [(UNKNOWN, "cancelled"), (ACCEPTED, "sent"), (REJECTED, "failed")])
def test_a_cancel_asked_for_while_sending(outcome: Outcome, status: str) -> None:
    """I21: honoured after the answer, unless that settles the e-mail."""
    one = after(outcome, sending(cancel_requested=True))

    assert (one.status, one.possibly_sent) == (status, outcome is UNKNOWN)


# Late answers


def test_an_earlier_acceptance_settles_whatever_comes_after_it() -> None:
    """An attempt that turned out to be accepted while another was under way makes the e-mail sent."""
    one = sending(attempts=(attempt(outcome=Verdict.ACCEPTED), attempt(2, "p2")))

    done = after(DEFERRED, one)

    assert (done.status, done.history[-1].note) == ("sent", "p1")


def late(status: Status, outcome: Outcome, **fields: object) -> Email | None:
    """Return what an answer to the first attempt makes of an e-mail that had closed it as unknown."""
    one = email(status, **{"attempts": (doubtful(),), "unknowns": 1, "possibly_sent": True, **fields})
    transition = settle_late(one, 1, outcome, RULES, NOW + SECOND, SECOND)
    return transition.email if transition else None


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RETRYING, Status.HELD, Status.FAILED])
def test_a_late_acceptance_makes_it_sent(status: Status) -> None:
    """A provider that took it after all settles the e-mail wherever it waits, a dead letter too."""
    one = late(status, ACCEPTED)

    assert one
    assert (one.status, one.reason, one.possibly_sent, one.unknowns) == ("sent", "late_answer", False, 0)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.SENT])
def test_a_late_acceptance_changes_what_is_settled_in_its_attempt_alone(status: Status) -> None:
    """Sent and cancelled stay; the attempt tells what came of it."""
    one = late(status, ACCEPTED)

    assert one
    assert (one.status, one.attempts[0].outcome) == (status, "accepted")


def test_a_late_acceptance_waits_for_the_attempt_under_way() -> None:
    """While another worker sends, its lease is not touched; its answer concludes."""
    one = late(Status.SENDING, ACCEPTED, attempts=(doubtful(), attempt(2, "p2")))

    assert one
    assert (one.status, one.open_attempt) == ("sending", attempt(2, "p2"))
    assert after(DEFERRED, one).status is Status.SENT


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RETRYING, Status.FAILED, Status.CANCELLED, Status.SENT])
def test_a_late_failure_changes_its_attempt_alone(status: Status) -> None:
    """A clean failure that comes late takes away the doubt and nothing else."""
    one = late(status, DEFERRED)

    assert one
    assert (one.status, one.possibly_sent, one.unknowns, one.attempts[0].outcome) == (status, False, 0, "deferred")


def test_a_late_failure_frees_what_was_held_for_it() -> None:
    """An e-mail is held for a doubt; without any it goes on by itself."""
    one = late(Status.HELD, DEFERRED, on_unknown=OnUnknown.HOLD)

    assert one
    assert (one.status, one.reason, one.due_at, one.hold_until) == ("retrying", "late_answer", NOW + SECOND, None)


def test_a_late_failure_leaves_held_what_is_still_doubtful() -> None:
    """With another attempt unknown the e-mail stays held."""
    one = late(Status.HELD, DEFERRED, attempts=(doubtful(), doubtful(2)), unknowns=2)

    assert one
    assert (one.status, one.unknowns, one.possibly_sent) == ("held", 1, True)


def test_a_late_answer_of_a_former_series_frees_no_unknown_of_this_one() -> None:
    """I10: unknown outcomes are bounded in each series."""
    one = late(Status.RETRYING, DEFERRED, attempts=(doubtful(), doubtful(2, key="em_1.1")), redrives=1)

    assert one
    assert one.unknowns == 1


def test_a_late_answer_to_a_recognised_repeat_frees_no_unknown() -> None:
    """What did not count when it was unknown does not count when it is known."""
    one = late(Status.RETRYING, DEFERRED, attempts=(doubtful(deduped=True), doubtful(2)))

    assert one
    assert one.unknowns == 1


@pytest.mark.parametrize("attempts", [(), (deferred(),), (attempt(),)])
def test_an_answer_with_nothing_to_settle_is_dropped(attempts: tuple[object, ...]) -> None:
    """An attempt that was folded away, is known by now or still open is not settled late."""
    assert late(Status.RETRYING, ACCEPTED, attempts=attempts) is None


def test_a_late_unknown_says_nothing_new() -> None:
    """Not knowing twice is not knowing."""
    assert late(Status.RETRYING, UNKNOWN) is None


# Putting back


def test_what_sent_nothing_is_put_back() -> None:
    """I37: an attempt that is given back is closed as deferred, counts for nothing and is due at once."""
    done = put_back(sending(), NOW)

    (stopped,) = done.email.attempts
    assert (stopped.outcome, stopped.code, stopped.round) == ("deferred", "stopped", -1)
    assert (done.email.status, done.email.due_at, done.email.possibly_sent) == ("queued", NOW, False)
    assert WakeUp("em_1", Lane.TRANSACTIONAL) in done.effects


def test_what_is_put_back_to_rest_wakes_nobody() -> None:
    """An e-mail that cannot be sent for now is left to the sweep, or it would spin."""
    done = put_back(sending(), NOW, MINUTE)

    assert done.email.due_at == NOW + MINUTE
    assert done.effects == (Notify("em_1"),)


def test_only_an_attempt_under_way_is_put_back() -> None:
    """Putting back without an attempt is our own mistake."""
    with pytest.raises(ValueError, match="no open attempt"):
        put_back(email(), NOW)


@given(outcome=st.sampled_from(OUTCOMES), cancel=st.booleans(), unknowns=st.integers(0, 4), hold=st.booleans())
def test_outcomes_keep_to_the_table(outcome: Outcome, cancel: bool, unknowns: int, hold: bool) -> None:
    """Every outcome leads where the table allows, and never leaves the lease of an ended attempt alone."""
    policy = OnUnknown.HOLD if hold else OnUnknown.RETRY
    one = after(outcome, sending(cancel_requested=cancel, unknowns=unknowns, on_unknown=policy))

    assert one.status in TRANSITIONS[Status.SENDING]
    assert one.settled or one.wake_at
    assert one.unknowns - unknowns == (outcome is UNKNOWN)
