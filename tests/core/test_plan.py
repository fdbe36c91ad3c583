"""What to do next with an e-mail, row by row."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import CLEAR, HOUR, MINUTE, NOW, SECOND, attempt, deferred, doubtful, email, only, shut, view

from mailcore.breaker import BreakerRules
from mailcore.health import HealthRules
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane, OnUnknown
from mailcore.outcome import Verdict
from mailcore.plan import Begin, Conclude, GiveUp, Hold, Plan, Skip, Wait, Withdraw, attempt_of, recovered
from mailcore.plan import plan_attempt as plan_of
from mailcore.provider import Feature, Needs, ProviderView
from mailcore.retry import RetryPolicy
from mailcore.rules import Rules
from mailcore.standing import Obstacle
from mailcore.strategy import priority

RULES = Rules(strategy=priority, strategy_name="priority")
BOTH = (view("p1"), view("p2"))
DAY = 24 * HOUR


def plan(
    one: Email,
    *views: ProviderView,
    now: datetime = NOW,
    rules: Rules = RULES,
    u: float = 0.5,
) -> Plan:
    """Return the plan for an e-mail."""
    return plan_of(recovered(one, now), views or BOTH, rules, now, u)


def began(made: Plan) -> Begin:
    """Return a plan that must be an attempt."""
    assert isinstance(made, Begin), made
    return made


def waits(made: Plan) -> Wait:
    """Return a plan that must be a wait."""
    assert isinstance(made, Wait), made
    return made


# Not now


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED])
def test_what_is_settled_is_left_alone(status: Status) -> None:
    """I27: a wake-up for a settled e-mail does nothing."""
    assert isinstance(plan(email(status)), Skip)


def test_what_is_under_lease_is_left_alone() -> None:
    """I7: while a lease lives, only its worker acts."""
    leased = email(Status.SENDING, attempts=(attempt(),))

    assert isinstance(plan(leased, now=NOW + RULES.lease - SECOND), Skip)
    assert not isinstance(plan(leased, now=NOW + RULES.lease), Skip)


@pytest.mark.parametrize("status", [Status.RETRYING, Status.SCHEDULED])
def test_what_is_not_due_is_left_alone(status: Status) -> None:
    """I17, I27: an early wake-up does nothing; on time it does."""
    one = email(status, due_at=NOW + SECOND)

    assert isinstance(plan(one), Skip)
    assert isinstance(plan(one, now=NOW + SECOND), Begin)


def test_a_queued_email_needs_no_grace_to_pass() -> None:
    """The grace is the sweep's; a wake-up starts a fresh e-mail at once."""
    assert began(plan(email())).provider == "p1"


def test_a_held_email_waits_for_a_person_until_its_hold_ends() -> None:
    """Held is not sent by itself, and becomes a dead letter in the end."""
    held = email(Status.HELD)

    assert isinstance(plan(held, now=NOW + 48 * HOUR), Skip)
    assert plan(held, now=NOW + RULES.hold_for) == GiveUp(Reason.UNRESOLVED)


# The end


def test_an_email_out_of_time_is_given_up_even_while_it_waits() -> None:
    """I20: past the lane's age it fails, whatever it waited for."""
    one = email(Status.RETRYING, due_at=NOW + 48 * HOUR)

    assert plan(one, now=NOW + DAY) == GiveUp(Reason.GAVE_UP)


def test_an_email_past_its_expiry_expires() -> None:
    """I20: an expired e-mail is never sent."""
    assert plan(email(expires_at=NOW + HOUR), now=NOW + HOUR) == GiveUp(Reason.EXPIRED)


def test_an_accepted_attempt_concludes() -> None:
    """A late acceptance beats everything else that may be planned."""
    one = email(
        Status.RETRYING,
        attempts=(attempt(outcome=Verdict.ACCEPTED), deferred(2)),
        cancel_requested=True,
        crashes=3,
    )

    assert isinstance(plan(one), Conclude)


def test_a_cancel_asked_for_while_sending_is_honoured() -> None:
    """I21: asked for under way, it happens at the next decision."""
    assert isinstance(plan(email(cancel_requested=True)), Withdraw)


def test_the_third_crash_ends_it() -> None:
    """I10: an e-mail whose worker died three times is a dead letter."""
    one = email(Status.SENDING, attempts=(attempt(),), crashes=2)

    given_up = plan(one, now=NOW + MINUTE)

    assert isinstance(given_up, GiveUp)
    assert (given_up.reason, given_up.note) == (Reason.CRASH_LOOP, "3 workers died while sending it")
    assert isinstance(plan(replace(one, crashes=1), now=NOW + MINUTE), Begin)


def test_a_crash_under_hold_is_held() -> None:
    """Under `hold` whoever finds a dead worker's e-mail stops it."""
    one = email(Status.SENDING, attempts=(attempt(),), on_unknown=OnUnknown.HOLD)

    assert plan(one, now=NOW + MINUTE) == Hold(NOW + MINUTE + RULES.hold_for)


def test_the_fourth_unknown_outcome_is_held() -> None:
    """I10: unknown outcomes are bounded under `retry` too."""
    one = email(Status.SENDING, attempts=(attempt(),), unknowns=3)

    assert isinstance(plan(one, now=NOW + MINUTE), Hold)
    assert isinstance(plan(replace(one, unknowns=2), now=NOW + MINUTE), Begin)


def test_what_a_person_put_back_is_not_held_again() -> None:
    """A held e-mail that is resolved to be retried is retried, with its former crash still on record."""
    one = email(
        Status.RETRYING,
        attempts=(doubtful(code=Reason.WORKER_DIED),),
        on_unknown=OnUnknown.HOLD,
        crashes=1,
    )

    assert began(plan(one)).solo


# Crashes


def test_a_lapsed_lease_closes_its_attempt_as_unknown() -> None:
    """A worker that died leaves an attempt of which nobody knows the outcome."""
    one = recovered(email(Status.SENDING, attempts=(attempt(),)), NOW + MINUTE)

    (lapsed,) = one.attempts
    assert (lapsed.outcome, lapsed.code, lapsed.finished_at) == ("unknown", "worker_died", NOW + MINUTE)
    assert (one.crashes, one.unknowns, one.possibly_sent) == (1, 1, True)


def test_a_lapsed_repeat_that_is_recognised_is_a_crash_and_no_unknown() -> None:
    """I32: repeats that the provider recognises do not count towards the bound of unknowns."""
    one = recovered(email(Status.SENDING, attempts=(doubtful(), attempt(2, deduped=True)), unknowns=1), NOW + MINUTE)

    assert (one.crashes, one.unknowns) == (1, 1)


def test_a_live_lease_is_not_recovered() -> None:
    """Recovery changes nothing before the lease ends, or without an attempt under way."""
    leased, idle = email(Status.SENDING, attempts=(attempt(),)), email()

    assert recovered(leased, NOW + MINUTE - SECOND) is leased
    assert recovered(idle, NOW + DAY) is idle


def test_after_a_crash_it_is_retried_alone_and_free_of_budget() -> None:
    """A poisonous e-mail charges no neighbours, and I31 exempts retries after a crash."""
    begin = began(plan(email(Status.SENDING, attempts=(attempt(),)), view("p1"), now=NOW + MINUTE))

    assert (begin.solo, begin.repeat) == (True, False)


# Choice


def test_an_attempt_says_why() -> None:
    """Every attempt names the strategy, its reason and the providers that were passed over."""
    begin = began(plan(email(), view("p1", standing=shut(Obstacle.OPEN)), view("p2")))

    assert begin.provider == "p2"
    assert begin.why.strategy == "priority"
    assert [(one.provider, one.reason) for one in begin.why.passed_over] == [("p1", "open")]


def test_the_record_of_an_attempt_is_the_plan() -> None:
    """What is recorded before the call is what was planned."""
    standing = replace(CLEAR, generation=7, probe=True, permits=1)
    one = email(rounds=3, attempts=(deferred(),), redrives=1)

    made = attempt_of(one, began(plan(one, view("p1", standing=standing))), NOW)

    assert (made.n, made.provider, made.key, made.round) == (2, "p1", "em_1.1", 3)
    assert (made.generation, made.probe, made.deduped, made.open) == (7, True, False, True)
    assert attempt_of(one, replace(began(plan(pinned(), *DEDUPES)), deduped=True), NOW).deduped


def test_a_clean_failure_fails_over_at_once() -> None:
    """After p1 failed in this round p2 is next, with no wait."""
    begin = began(plan(email(Status.SENDING, attempts=(deferred(),))))

    assert begin.provider == "p2"
    assert [(one.provider, one.reason) for one in begin.why.passed_over] == [("p1", "tried in this round")]
    assert not begin.repeat


def test_a_new_round_tries_everybody_again_as_a_repeat() -> None:
    """In the next round a provider that failed is a candidate, and its budget is asked."""
    begin = began(plan(email(Status.RETRYING, attempts=(deferred(1), deferred(2, "p2")), rounds=1)))

    assert (begin.provider, begin.repeat) == ("p1", True)


def test_a_redrive_tries_everybody_again() -> None:
    """Attempts of a former series do not use up the round of this one."""
    assert began(plan(email(attempts=(deferred(1),), redrives=1))).provider == "p1"


def test_what_was_only_throttled_is_no_repeat() -> None:
    """I31: the retry budget is for load that a provider had to bear; a 429 put none on it."""
    one = email(Status.RETRYING, attempts=(attempt(outcome=Verdict.THROTTLED, repeat_at=NOW - SECOND),), due_at=NOW)

    begin = began(plan(one))

    assert (begin.provider, begin.repeat) == ("p1", False)


def test_what_was_put_back_is_no_repeat() -> None:
    """An attempt that sent nothing costs no budget later, and does not use up its provider."""
    begin = began(plan(email(attempts=(deferred(code=Reason.STOPPED, round=-1),))))

    assert (begin.provider, begin.repeat) == ("p1", False)


def test_a_sender_that_one_provider_refuses_goes_to_the_other() -> None:
    """A sender-scoped refusal takes away one provider for this e-mail alone."""
    refusal = attempt(outcome=Verdict.MISCONFIGURED)

    begin = began(plan(email(Status.SENDING, attempts=(refusal,), refused_by=("p1",))))

    assert begin.provider == "p2"
    assert begin.why.passed_over[0].reason == "does not know the sender shop.example"


def test_a_sender_that_everybody_refuses_is_rejected() -> None:
    """With no provider left that knows the sender it is a dead letter."""
    made = plan(email(Status.SENDING, refused_by=("p1", "p2")))

    assert made == GiveUp(Reason.REJECTED, "no provider that could carry it knows its sender")


def test_a_provider_that_cannot_carry_it_does_not_count() -> None:
    """A refusal by all that could carry it is final, whoever else is configured."""
    weak = view("weak", capabilities=only(features=frozenset()))
    one = email(Status.SENDING, refused_by=("p1",))

    made = plan(
        replace(one, needs=replace(one.needs, features=frozenset({Feature.TAGS}))),
        view("p1"),
        weak,
    )

    assert isinstance(made, GiveUp)


def test_with_no_provider_that_can_carry_it_it_waits() -> None:
    """A configuration that lost its provider may get it back: the e-mail waits for its age."""
    weak = view("weak", capabilities=only(features=frozenset()))
    one = email()

    wait = waits(plan(replace(one, needs=replace(one.needs, features=frozenset({Feature.TAGS}))), weak))

    assert (wait.until, wait.blocked_on, wait.round_over) == (NOW + RULES.look_again, (), False)


def test_an_account_scoped_failure_fails_over_and_costs_no_round() -> None:
    """A bad key of ours is not the e-mail's fault: next provider, and no round ends."""
    refusal = attempt(outcome=Verdict.MISCONFIGURED, repeat_at=NOW + 15 * SECOND)
    one = email(Status.SENDING, attempts=(refusal,))

    assert began(plan(one)).provider == "p2"
    wait = waits(plan(one, view("p1")))
    assert (wait.until, wait.reason, wait.round_over) == (NOW + 15 * SECOND, "no_provider", False)


# Waiting


def test_all_unavailable_waits_and_uses_no_round() -> None:
    """I30: it waits for the first that may come back, and remembers for whom."""
    made = plan(
        email(),
        view("p2", standing=shut(Obstacle.OPEN, NOW + MINUTE)),
        view("p1", standing=shut(Obstacle.THROTTLED, NOW + 2 * MINUTE)),
    )

    wait = waits(made)
    assert (wait.until, wait.reason, wait.blocked_on) == (NOW + MINUTE, "no_provider", ("p1", "p2"))
    assert not wait.round_over


def test_a_stopped_provider_is_looked_after_again() -> None:
    """Where nobody says when, the e-mail looks again after a while."""
    assert waits(plan(email(), view("p1", standing=shut(Obstacle.STOPPED)))).until == NOW + RULES.look_again


def test_a_wait_never_ends_where_it_began() -> None:
    """A moment that is just over is no wait without end."""
    assert waits(plan(email(), view("p1", standing=shut(Obstacle.OPEN, NOW)))).until > NOW


def test_no_wait_outlasts_the_email() -> None:
    """A wait for a provider ends when the e-mail is given up."""
    one = email(lane=Lane.URGENT)

    assert waits(plan(one, view("p1", standing=shut(Obstacle.OPEN, NOW + DAY)))).until == one.give_up_at


@given(rounds=st.integers(0, 40), u=st.floats(0, 1, exclude_max=True))
def test_the_backoff_grows_by_rounds_and_is_capped(rounds: int, u: float) -> None:
    """I20: the delay lies within [0, min(cap, base·2ⁿ)], and a round is used up."""
    tried = (deferred(1, round=rounds), deferred(2, "p2", round=rounds))

    wait = waits(plan(email(Status.SENDING, attempts=tried, rounds=rounds), u=u))

    policy = RULES.retry
    assert timedelta() <= wait.until - NOW <= min(policy.cap, policy.base * 2 ** min(rounds, 30))
    assert (wait.reason, wait.round_over) == ("round_failed", True)


def test_a_round_ends_when_the_others_are_unavailable() -> None:
    """One failed and the other is open: the round is over, not the e-mail."""
    one = email(Status.SENDING, attempts=(deferred(1),))

    assert waits(plan(one, view("p1"), view("p2", standing=shut(Obstacle.OPEN, NOW + HOUR)))).round_over


@given(
    rounds=st.integers(0, 40),
    u=st.floats(0, 1, exclude_max=True),
    wish=st.timedeltas(timedelta(), DAY),
    age=st.timedeltas(SECOND, 3 * DAY),
    expires=st.booleans(),
)
def test_a_backoff_is_no_shorter_than_the_wish_and_ends_before_the_email(
    rounds: int, u: float, wish: timedelta, age: timedelta, *, expires: bool
) -> None:
    """W3, W6: it waits for the Retry-After at least; what could only be due at its end or later fails now."""
    end = NOW + age
    tried = (deferred(1, round=rounds, repeat_at=NOW + wish),)
    one = email(Status.SENDING, attempts=tried, rounds=rounds, give_up_at=end)

    made = plan(replace(one, expires_at=end if expires else None), view("p1"), u=u)

    due = NOW + max(wish, RULES.retry.delay(rounds, u))
    if due < end:
        assert waits(made).until == due
    else:
        assert made == GiveUp(Reason.EXPIRED if expires else Reason.GAVE_UP)


def test_a_retry_after_is_the_floor_of_the_backoff() -> None:
    """I19: the provider that asked for an hour is not tried again before."""
    one = email(Status.SENDING, attempts=(deferred(1, repeat_at=NOW + HOUR),))

    assert waits(plan(one, view("p1"))).until == NOW + HOUR


def test_a_retry_after_holds_up_no_other_provider() -> None:
    """I19: another provider is tried at once."""
    assert began(plan(email(Status.SENDING, attempts=(deferred(1, repeat_at=NOW + HOUR),)))).provider == "p2"


def test_a_resting_provider_is_passed_over_without_a_round() -> None:
    """A provider that throttled us keeps this e-mail away until it may come back, and no round is used."""
    one = email(Status.RETRYING, attempts=(attempt(outcome=Verdict.THROTTLED, repeat_at=NOW + MINUTE),))

    wait = waits(plan(one, view("p1")))

    assert (wait.until, wait.round_over) == (NOW + MINUTE, False)
    assert began(plan(one, view("p1"), now=NOW + MINUTE)).provider == "p1"


def test_max_rounds_ends_it() -> None:
    """The configured number of rounds is the most there is."""
    rules = replace(RULES, retry=RetryPolicy(max_rounds=2))
    tried = (deferred(1, round=1), deferred(2, "p2", round=1))

    made = plan(email(Status.SENDING, attempts=tried, rounds=1), rules=rules)

    assert isinstance(made, GiveUp)
    assert made.reason is Reason.GAVE_UP
    first = tuple(replace(one, round=0) for one in tried)
    assert isinstance(plan(email(Status.SENDING, attempts=first), rules=rules), Wait)


@pytest.mark.parametrize(("expires", "reason"), [(NOW + MINUTE, Reason.EXPIRED), (None, Reason.GAVE_UP)])
def test_what_could_only_be_late_ends_now(expires: datetime | None, reason: Reason) -> None:
    """I20: if the next due time is past its end, it ends without another attempt."""
    one = email(Status.SENDING, attempts=(deferred(1, repeat_at=NOW + 48 * HOUR),), expires_at=expires)

    assert plan(one, view("p1")) == GiveUp(reason)


def test_a_failed_probe_costs_its_email_no_round() -> None:
    """I30: an e-mail whose half-open probe failed waits for the provider and keeps its rounds."""
    one = email(Status.SENDING, attempts=(deferred(1, probe=True, repeat_at=NOW + SECOND),))

    assert not waits(plan(one, view("p1", standing=shut(Obstacle.OPEN, NOW + MINUTE)))).round_over


# Pins


def pinned(**fields: object) -> Email:
    """Return an e-mail whose first attempt, at p1, has an unknown outcome, and which p2 could take too."""
    return email(Status.RETRYING, attempts=(doubtful(),), unknowns=1, possibly_sent=True, **fields)


DEDUPES = (view("p2"), view("p1", dedupe=6 * HOUR))


def test_an_unknown_attempt_is_repeated_where_the_repeat_is_recognised() -> None:
    """I32: within its window the provider that deduplicates gets it again, whatever the strategy prefers."""
    begin = began(plan(pinned(), *DEDUPES))

    assert (begin.provider, begin.deduped) == ("p1", True)


def test_the_pin_holds_while_its_provider_is_unavailable() -> None:
    """I32: it waits for the provider that can tell, rather than risk a duplicate."""
    away = view("p1", dedupe=6 * HOUR, standing=shut(Obstacle.OPEN, NOW + MINUTE))

    assert waits(plan(pinned(), view("p2"), away)).blocked_on == ("p1",)


def test_the_pin_ends_with_the_window_of_the_first_attempt() -> None:
    """A provider recognises repeats for so long after it first saw the key."""
    one = replace(pinned(), attempts=(doubtful(), doubtful(2, at=NOW + 5 * HOUR, deduped=True)))

    assert began(plan(one, *DEDUPES, now=NOW + 6 * HOUR - SECOND)).deduped
    freed = began(plan(one, *DEDUPES, now=NOW + 6 * HOUR))
    assert (freed.provider, freed.deduped) == ("p2", False)


def test_the_pin_ends_at_half_the_age() -> None:
    """I32: another provider still gets a chance."""
    views = (view("p2"), view("p1", dedupe=DAY))

    assert began(plan(pinned(), *views, now=NOW + 12 * HOUR - SECOND)).deduped
    assert began(plan(pinned(), *views, now=NOW + 12 * HOUR)).provider == "p2"


def test_without_deduplication_nothing_is_pinned() -> None:
    """At a provider that cannot tell, the repeat may go anywhere and counts as a possible duplicate."""
    begin = began(plan(pinned(), view("p2"), view("p1")))

    assert (begin.provider, begin.deduped) == ("p2", False)


def test_a_redriven_email_is_not_pinned() -> None:
    """A new key is recognised by nobody."""
    assert began(plan(replace(pinned(), redrives=1), *DEDUPES)).provider == "p2"


def test_a_pin_to_a_provider_that_is_gone_ends() -> None:
    """A provider that is no longer configured holds nobody."""
    assert began(plan(pinned(), view("p2"))).provider == "p2"


def test_a_pin_ends_when_its_provider_refuses_the_sender() -> None:
    """A sender that the pinned provider does not know may still go to another."""
    begin = began(plan(replace(pinned(), refused_by=("p1",)), *DEDUPES))

    assert (begin.provider, begin.deduped) == ("p2", False)


# Slots, pace and reservations


def full(name: str = "p1", **fields: object) -> ProviderView:
    """Return a provider whose slots in this process are all taken."""
    return view(name, slots=4, in_flight=4, **fields)


def test_a_provider_whose_slots_are_taken_is_passed_over() -> None:
    """A provider that hangs holds no more than its slots."""
    begin = began(plan(email(), full(), view("p2")))

    assert begin.provider == "p2"
    assert begin.why.passed_over[0].reason == "slots"


def test_with_all_slots_taken_nothing_is_changed() -> None:
    """A fresh e-mail that finds no slot stays as it is, for whoever has one."""
    assert isinstance(plan(email(), full()), Skip)


def test_between_two_attempts_a_lack_of_slots_is_a_short_wait() -> None:
    """An e-mail under way must not stay under a lease without an attempt; nor is its round over."""
    wait = waits(plan(email(Status.SENDING, attempts=(deferred(),)), view("p1"), full("p2")))

    assert (wait.until, wait.round_over) == (NOW, False)


@pytest.mark.parametrize(("in_flight", "fits"), [(0, True), (1, False)])
def test_a_ramp_always_leaves_one_slot(in_flight: int, fits: bool) -> None:
    """After a reopening the share of slots is small and never none."""
    ramping = view("p1", standing=replace(CLEAR, share=0.1), slots=4, in_flight=in_flight)

    assert isinstance(plan(email(), ramping), Begin) is fits


def paced(until: datetime, name: str = "p1") -> ProviderView:
    """Return a provider whose next start is that far ahead."""
    return view(name, standing=shut(Obstacle.PACED, until), max_per_second=1.0)


def test_a_paced_provider_is_asked_for_a_reservation() -> None:
    """With everybody else unavailable the next start may be reserved."""
    begin = began(plan(email(), paced(NOW + SECOND), view("p2", standing=shut(Obstacle.OPEN))))

    assert (begin.provider, begin.reserved) == ("p1", False)


def test_a_provider_that_is_ready_comes_before_a_paced_one() -> None:
    """Nobody waits for pace while another provider is free."""
    assert began(plan(email(), paced(NOW + SECOND), view("p2"))).provider == "p2"


def test_a_reserved_start_is_used_at_the_provider_that_it_was_reserved_at() -> None:
    """I31: what was reserved passes without a second check, even if that provider is paced for others."""
    one = email(Status.RETRYING, reserved="p1")

    begin = began(plan(one, paced(NOW + SECOND), view("p2")))

    assert (begin.provider, begin.reserved) == ("p1", True)


def test_a_reservation_at_a_provider_that_went_away_binds_nobody() -> None:
    """A reserved provider that opened meanwhile is passed over like any other."""
    one = email(Status.RETRYING, reserved="p1")

    begin = began(plan(one, view("p1", standing=shut(Obstacle.OPEN)), view("p2")))

    assert (begin.provider, begin.reserved) == ("p2", False)


def test_a_start_too_far_ahead_to_be_reserved_is_waited_for() -> None:
    """I31: beyond the reach of reservations the e-mail waits for its turn instead of asking again and again."""
    far = NOW + RULES.health.reserve_ahead + SECOND

    assert waits(plan(email(), paced(far))).until == far


# Always


@given(
    status=st.sampled_from([Status.QUEUED, Status.RETRYING, Status.SENDING]),
    obstacles=st.lists(st.sampled_from([None, *Obstacle]), min_size=1, max_size=3),
    rounds=st.integers(0, 2),
    outcomes=st.lists(st.sampled_from([Verdict.DEFERRED, Verdict.UNKNOWN, Verdict.THROTTLED]), max_size=4),
    hours=st.integers(0, 30),
    u=st.floats(0, 1, exclude_max=True),
)
def test_every_plan_can_be_carried_out(
    status: Status, obstacles: list[Obstacle | None], rounds: int, outcomes: list[Verdict], hours: int, u: float
) -> None:
    """Whatever happened before: an attempt goes to an open provider, and no wait lies in the past or beyond the end."""
    now = NOW + hours * HOUR
    views = tuple(
        view(f"p{i}", standing=shut(obstacle, NOW + 40 * HOUR) if obstacle else CLEAR)
        for i, obstacle in enumerate(obstacles)
    )
    tried = tuple(attempt(n + 1, f"p{n % 3}", outcome=outcome, round=n // 3) for n, outcome in enumerate(outcomes))
    one = email(status, attempts=tried, rounds=rounds)

    made = plan(one, *views, now=now, u=u)

    if isinstance(made, Begin):
        chosen = next(one for one in views if one.name == made.provider)
        assert chosen.standing.obstacle in {None, Obstacle.PACED}
        assert now < one.give_up_at
    elif isinstance(made, Wait):
        assert now <= made.until <= one.give_up_at
        assert made.until > now or made.round_over
    else:
        assert isinstance(made, GiveUp)


def test_needs_of_the_sample_are_met_by_its_providers() -> None:
    """The e-mail of these tests can be carried: what they refuse is refused for the reason under test."""
    assert isinstance(email().needs, Needs)
    assert isinstance(plan(email()), Begin)


@pytest.mark.parametrize("lease", [39, 0])
def test_a_lease_must_hold_two_calls(lease: int) -> None:
    """A lease too short for a call and its margin would put every e-mail back for ever."""
    with pytest.raises(ValueError, match="lease"):
        Rules(lease=lease * SECOND)


def test_a_permit_must_hold_a_call() -> None:
    """A permit that lapses while its probe is under way would let more probes out than there may be."""
    health = HealthRules(breaker=BreakerRules(permit_lease=19 * SECOND))

    with pytest.raises(ValueError, match=r"permit_lease of 0:00:19 .* call deadline of 0:00:20"):
        Rules(health=health)
    Rules(health=health, call_deadline=19 * SECOND)
