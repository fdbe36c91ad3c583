"""What a decision leaves in the record: when, why, by whom, and what was answered. People read nothing else later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.core.test_dispatch import BEGIN, DEFERRED, OUTCOMES, REJECTED, THROTTLED, UNKNOWN, sending
from tests.dst.given import HOUR, MINUTE, NOW, RULES, SECOND, attempt, deferred, doubtful, email, view

from mailcore.breaker import Breaker, BreakerRules, Call, Permit, Result, State, ramp_share, recorded, taken
from mailcore.dispatch import Transition, carried_out, put_back, record_outcome, settle_late
from mailcore.health import Health, HealthRules, Mode, Override, Start, admit, standing
from mailcore.lifecycle import KEPT, Email, Entry, Reason, Status, started
from mailcore.message import LIMITS, Address, Limits, OnUnknown
from mailcore.outcome import Accepted, Outcome, Verdict
from mailcore.plan import Conclude, GiveUp, Hold, Plan, Skip, Wait, Withdraw, just_lapsed, plan_attempt, recovered
from mailcore.retry import RetryBudget, RetryPolicy
from mailcore.validation import problems_of

LATER = NOW + SECOND
PLANS: list[tuple[Email, Plan, Entry]] = [
    (email(), BEGIN, Entry(at=LATER, status=Status.SENDING, reason=Reason.ATTEMPT, note="p2")),
    (
        email(),
        GiveUp(Reason.EXPIRED, "too late"),
        Entry(at=LATER, status=Status.FAILED, reason=Reason.EXPIRED, note="too late"),
    ),
    (
        email(),
        Withdraw(),
        Entry(at=LATER, status=Status.CANCELLED, reason=Reason.WITHDRAWN),
    ),
    (
        email(Status.RETRYING, attempts=(attempt(outcome=Verdict.ACCEPTED),)),
        Conclude(),
        Entry(at=LATER, status=Status.SENT, reason=Reason.LATE_ANSWER, note="p1"),
    ),
    (
        email(Status.RETRYING, attempts=(deferred(),)),
        Conclude(),
        Entry(at=LATER, status=Status.SENT, reason=Reason.LATE_ANSWER),
    ),
    (
        sending(),
        Hold(NOW + HOUR),
        Entry(at=LATER, status=Status.HELD, reason=Reason.UNKNOWN_OUTCOME),
    ),
]


@pytest.mark.parametrize(("before", "plan", "entry"), PLANS, ids=lambda one: type(one).__name__)
def test_a_plan_is_entered_with_its_moment_and_its_reason(before: Email, plan: Plan, entry: Entry) -> None:
    """Whatever is carried out is the last line of the history, and the e-mail was changed at that moment."""
    after = carried_out(before, plan, RULES, LATER).email

    assert after.history[-1] == entry
    assert after.updated_at == LATER


def test_an_attempt_is_recorded_from_its_own_moment() -> None:
    """An attempt says when it began, whatever the e-mail was changed at before."""
    after = carried_out(email(), BEGIN, RULES, LATER).email

    assert after.open_attempt
    assert after.open_attempt.started_at == LATER


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: type(one).__name__)
def test_an_outcome_is_recorded_as_it_was_told(outcome: Outcome) -> None:
    """The attempt keeps the provider's word for it, how long it took and when it ended; so does the e-mail."""
    after = record_outcome(sending(), outcome, RULES, LATER, 3 * SECOND).email

    last = after.attempts[0]
    assert (last.code, last.detail) == (getattr(outcome, "code", None), outcome.detail)
    assert (last.latency, last.finished_at, after.updated_at) == (3 * SECOND, LATER, LATER)


def test_what_was_sent_is_entered_with_who_took_it() -> None:
    """The last line says that it was accepted, and by which provider."""
    after = record_outcome(sending(), Accepted(), RULES, LATER, SECOND).email

    assert after.history[-1] == Entry(at=LATER, status=Status.SENT, reason=Reason.ACCEPTED, note="p1")
    assert after.reason is Reason.ACCEPTED


def test_a_rejection_is_entered_in_the_providers_words() -> None:
    """Why it failed is in its history too."""
    after = record_outcome(sending(), REJECTED, RULES, LATER, SECOND).email

    assert after.history[-1] == Entry(at=LATER, status=Status.FAILED, reason=Reason.REJECTED, note="no such user")


UNSURE = [
    (sending(cancel_requested=True), Entry(at=LATER, status=Status.CANCELLED, reason=Reason.WITHDRAWN)),
    (sending(on_unknown=OnUnknown.HOLD), Entry(at=LATER, status=Status.HELD, reason=Reason.UNKNOWN_OUTCOME)),
    (
        sending(give_up_at=LATER + RULES.unknown_grace),
        Entry(at=LATER, status=Status.FAILED, reason=Reason.GAVE_UP, note="its last outcome is unknown"),
    ),
    (
        sending(give_up_at=LATER),
        Entry(at=LATER, status=Status.FAILED, reason=Reason.GAVE_UP, note="its last outcome is unknown"),
    ),
]


@pytest.mark.parametrize(("before", "entry"), UNSURE, ids=["cancelled", "held", "too old by then", "too old"])
def test_what_a_doubt_leads_to_is_entered(before: Email, entry: Entry) -> None:
    """An unknown outcome ends in its status at its moment, with a reason."""
    after = record_outcome(before, UNKNOWN, RULES, LATER, SECOND).email

    assert after.history[-1] == entry
    assert after.updated_at == LATER


def settled(before: Email, outcome: Outcome) -> Transition:
    """Return what an answer makes of an e-mail whose first attempt was in doubt."""
    done = settle_late(before, 1, outcome, RULES, LATER, 5 * SECOND)
    assert done is not None
    return done


def test_a_late_answer_is_entered_with_its_provider() -> None:
    """Who took it after all, and when that was heard."""
    sent = settled(email(Status.RETRYING, attempts=(doubtful(),)), Accepted(provider_id="x")).email
    freed = settled(email(Status.HELD, attempts=(doubtful(),), possibly_sent=True), DEFERRED).email

    assert sent.history[-1] == Entry(at=LATER, status=Status.SENT, reason=Reason.LATE_ANSWER, note="p1")
    assert freed.history[-1] == Entry(at=LATER, status=Status.RETRYING, reason=Reason.LATE_ANSWER, note="p1")
    assert (sent.attempts[0].finished_at, sent.attempts[0].latency) == (LATER, 5 * SECOND)


def test_a_late_answer_that_changes_no_status_has_no_effects() -> None:
    """It is only noted."""
    done = settled(email(Status.RETRYING, attempts=(doubtful(), doubtful(2))), THROTTLED)

    assert done.effects == ()
    assert done.email.attempts[0].code == "429"


def test_what_is_put_back_says_so() -> None:
    """An attempt that never left ends there, and its e-mail waits for the next."""
    after = put_back(sending(), LATER).email

    assert after.history[-1] == Entry(at=LATER, status=Status.QUEUED, reason=Reason.STOPPED)
    assert (after.attempts[0].finished_at, after.attempts[0].code) == (LATER, "stopped")
    assert after.attempts[0].detail == "given back before anything was sent"


def test_beyond_what_is_kept_the_oldest_clean_attempt_is_only_counted() -> None:
    """What could explain a duplicate stays, and the count tells how many went."""
    past = (doubtful(1), deferred(2), deferred(3), *(doubtful(n) for n in range(4, KEPT + 1)))
    one = replace(email(Status.RETRYING), attempts=past, folded=3)

    after = started(one, attempt(KEPT + 1), NOW + MINUTE, NOW)

    assert [made.n for made in after.attempts] == [1, *range(3, KEPT + 2)]
    assert after.folded == 4


def test_of_doubtful_attempts_only_a_recognised_repeat_goes_then_the_oldest() -> None:
    """The first of the repeats, which was none itself, is kept."""
    past = tuple(doubtful(n, deduped=n > 2) for n in range(1, KEPT + 1))
    plain = tuple(doubtful(n) for n in range(1, KEPT + 1))

    after = [
        started(replace(email(Status.RETRYING), attempts=some), attempt(KEPT + 1), NOW + MINUTE, NOW)
        for some in (past, plain)
    ]

    assert [made.n for made in after[0].attempts][:3] == [1, 2, 4]
    assert [made.n for made in after[1].attempts][:2] == [2, 3]


def call(email_id: str, result: Result = Result.FAILURE) -> Call:
    """Return a call that ended."""
    latency = timedelta(seconds=0.1)
    return Call(token="t", email_id=email_id, generation=0, result=result, latency=latency, beaten_by=None, u=0.5)


def test_a_success_ends_the_streak_and_forgets_who_was_in_it() -> None:
    """One poison e-mail after a success makes no streak of two e-mails, however often it fails."""
    rules, breaker, now = BreakerRules(), Breaker(), NOW
    for one in [call("a"), call("b"), call("c", Result.SUCCESS), *[call("poison")] * 9]:
        now += 5 * SECOND
        breaker = recorded(breaker, one, rules, now)

    assert breaker.streak_ids == ("poison",)
    assert breaker.state is State.CLOSED


def test_an_attempt_that_asks_twice_has_its_permit() -> None:
    """One token gets one permit, and is not refused for having it."""
    rules, half = BreakerRules(), Breaker(state=State.HALF_OPEN, generation=2)
    once = taken(half, "t", rules, NOW)
    assert once is not None

    assert taken(once, "t", rules, NOW) == once
    assert once.permits == (Permit("t", NOW + rules.permit_lease, 2),)


def test_a_ramp_ends_at_everything() -> None:
    """However steep it is, nobody gets more than all slots."""
    rules = BreakerRules(ramp_start=0.9)
    breaker = Breaker(closed_at=NOW)

    assert ramp_share(breaker, rules, NOW + rules.ramp_doubling) == 1.0


def test_an_opening_remembers_the_last_success() -> None:
    """When it last took anything is still known."""
    breaker = recorded(Breaker(last_success=NOW), call("a", Result.FATAL), BreakerRules(), LATER)

    assert (breaker.state, breaker.last_success) == (State.OPEN, NOW)


def test_a_first_attempt_costs_no_retry_budget() -> None:
    """Only an attempt that repeats one is paid for, also where starts are paced."""
    rules = HealthRules()
    health = Health(budget=RetryBudget(balance=5.0, at=NOW))

    paced, _ = admit(health, Start(token="t", max_per_second=5), rules, NOW)
    repeated, _ = admit(health, Start(token="t", repeat=True, max_per_second=5), rules, NOW)

    assert paced.budget == health.budget
    assert repeated.budget != health.budget


def test_a_forced_provider_whose_time_is_over_is_probed_again() -> None:
    """An override holds until its moment and no longer."""
    half = Breaker(state=State.HALF_OPEN, generation=2)
    forced = Override(mode=Mode.FORCED, until=NOW + MINUTE, reason="r")

    during, after = (standing(Health(breaker=half, override=forced), HealthRules(), at) for at in (NOW, NOW + HOUR))

    assert (during.probe, during.permits) == (False, 0)
    assert after.probe
    assert after.permits == HealthRules().breaker.probes


def test_after_a_failed_round_the_backoff_is_waited_for() -> None:
    """Not earlier than the policy's delay, for those who could carry it; and a given-up e-mail says after how many."""
    tried = replace(email(Status.SENDING), attempts=(deferred(1, round=2), deferred(2, "p2", round=2)), rounds=2)
    views = (view("p1"), view("p2"))

    wait = plan_attempt(tried, views, RULES, NOW, 0.5)
    ended = plan_attempt(tried, views, replace(RULES, retry=RetryPolicy(max_rounds=3)), NOW, 0.5)

    assert wait == Wait(
        until=NOW + RULES.retry.delay(2, 0.5), reason=Reason.ROUND_FAILED, blocked_on=("p1", "p2"), round_over=True
    )
    assert ended == GiveUp(Reason.GAVE_UP, "3 rounds failed")


def test_a_lapsed_lease_is_told_until_somebody_saves_it() -> None:
    """The attempt that a dead worker left was closed just now, and not before."""
    stored = sending(lease_until=NOW)

    lapsed = recovered(stored, LATER)

    assert lapsed.attempts[-1].detail == "no answer was recorded before the lease ended"
    assert just_lapsed(lapsed)
    assert not just_lapsed(replace(lapsed, updated_at=LATER))
    assert not just_lapsed(stored)


@pytest.mark.parametrize(
    ("one", "note"),
    [
        (email(Status.SENT), "settled as sent"),
        (email(Status.SENDING, attempts=(attempt(),)), "another worker has it under lease"),
        (email(Status.RETRYING, due_at=NOW + HOUR), "not due yet"),
    ],
    ids=["settled", "leased", "early"],
)
def test_what_is_skipped_says_why(one: Email, note: str) -> None:
    """A log that says only that nothing was done helps nobody."""
    assert plan_attempt(one, (view(),), RULES, NOW, 0.5) == Skip(note)


def test_too_many_recipients_are_told_of_the_field_that_crosses_the_limit() -> None:
    """A field that ends exactly at the limit is none of those to mend."""
    many = [f"p{n}@b.test" for n in range(LIMITS.recipients)]
    body = {"from": "a@b.test", "to": many, "bcc": "x@b.test", "subject": "s", "text": "t"}

    assert [one.pointer for one in problems_of(body, now=NOW)] == ["/bcc"]


def test_what_is_read_of_a_misshapen_message_knows_the_default_from_and_the_limits() -> None:
    """The second look at a message that is wrong in its shape is the same as the first."""
    body = {"to": "a@b.test", "subject": "long", "text": "t", "tags": [1]}
    shop = Address("shop@b.test")

    found = problems_of(body, now=NOW, default_from=shop, limits=Limits(subject_length=3))

    assert {one.pointer for one in found} == {"/tags/0", "/subject"}
