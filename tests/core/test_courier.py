"""Carrying one e-mail to the providers, with everything that can happen on the way."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace
from tests.dst.given import MINUTE, NOW, SECOND, World, attempt, doubtful, email, only
from tests.dst.virtual import virtually

from mailcore.breaker import Breaker, State
from mailcore.courier import Carried
from mailcore.errors import StoreUnavailableError
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import Email, Status
from mailcore.message import Message, OnUnknown
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown
from mailcore.ports import Configured
from mailcore.provider import Feature, Send
from mailcore.rules import Rules
from mailcore.strategy import priority
from mailcore.switches import Switches
from mailcore.testing import MemoryStore, ScriptedProvider

RULES = Rules(strategy=priority, strategy_name="priority")
DEFERRED = Deferred(code="503", detail="later")
UNKNOWN = Unknown(code="timeout", detail="")


def world(*providers: ScriptedProvider, one: Email | None = None, **fields: object) -> World:
    """Return a world that holds an e-mail."""
    made = World(providers or (ScriptedProvider("p1"),), **{"rules": RULES, **fields})
    made.put(one or email())
    return made


def sent_to(made: World) -> list[str]:
    """Return the providers of the attempts, oldest first."""
    return [one.provider for one in made.stored().attempts]


# The way to an acceptance


@virtually
async def test_an_email_is_claimed_sent_and_recorded() -> None:
    """The attempt is in the store before the call, and its outcome after it."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    seen: list[Email] = []
    p1.script(lambda _send: (seen.append(made.stored()), Accepted(provider_id="x"))[1])

    assert await made.courier.attempt("em_1") is Carried.DONE

    assert (seen[0].status, seen[0].open_attempt is not None) == ("sending", True)
    assert (made.stored().status, made.stored().attempts[0].provider_id) == ("sent", "x")
    assert [event.attempt.outcome for event in made.told(Happening.ATTEMPTED) if event.attempt] == ["accepted"]


@virtually
async def test_a_provider_is_handed_the_message_and_its_key() -> None:
    """What a provider gets is the stored message, our id, the key of the series and the deadline."""
    p1 = ScriptedProvider("p1")
    made = world(p1)

    await made.courier.attempt("em_1")

    (send,) = p1.sends
    assert send == Send(
        message=made.store.messages["em_1"], email_id="em_1", key="em_1.0", deadline=RULES.call_deadline
    )


@virtually
async def test_a_clean_failure_fails_over_in_one_save() -> None:
    """Attempt n is closed and n+1 opened by the same save, under a fresh lease."""
    p1, p2 = ScriptedProvider("p1", [DEFERRED]), ScriptedProvider("p2")
    made = world(p1, p2)
    seen: list[Email] = []
    p2.script(lambda _send: (seen.append(made.stored()), Accepted())[1])

    await made.courier.attempt("em_1")

    assert sent_to(made) == ["p1", "p2"]
    assert (seen[0].version, [one.open for one in seen[0].attempts]) == (3, [False, True])
    assert made.stored().status is Status.SENT


@virtually
async def test_when_everybody_failed_the_round_is_over() -> None:
    """Each candidate is tried once, then the e-mail waits."""
    made = world(ScriptedProvider("p1", [DEFERRED]), ScriptedProvider("p2", [DEFERRED]))

    await made.courier.attempt("em_1")

    one = made.stored()
    assert (one.status, one.rounds, len(one.attempts)) == ("retrying", 1, 2)


@virtually
async def test_a_refused_sender_goes_to_the_next_provider() -> None:
    """A From that one provider does not know is carried by the other, and no breaker moves."""
    refusal = Misconfigured(scope=Scope.SENDER, code="403", detail="")
    made = world(ScriptedProvider("p1", [refusal]), ScriptedProvider("p2"))

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().refused_by) == ("sent", ("p1",))
    assert made.health.known["p1"].breaker.state is State.CLOSED


@virtually
async def test_a_bad_key_opens_that_provider_and_costs_the_email_nothing() -> None:
    """An account-scoped failure opens the breaker at once, and the other provider takes the e-mail."""
    refusal = Misconfigured(scope=Scope.ACCOUNT, code="401", detail="")
    made = world(ScriptedProvider("p1", [refusal]), ScriptedProvider("p2"))

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().rounds) == ("sent", 0)
    assert made.health.known["p1"].breaker.state is State.OPEN


@virtually
async def test_no_failover_follows_an_unknown_outcome() -> None:
    """I32: nobody else gets it within the lease."""
    p2 = ScriptedProvider("p2")
    made = world(ScriptedProvider("p1", [UNKNOWN]), p2)

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().reason, p2.sends) == ("retrying", "unknown_outcome", [])


@virtually
async def test_a_provider_that_raises_leaves_an_unknown_outcome() -> None:
    """A third party's bug takes no worker down, and nobody knows what it sent."""

    def broken(_send: Send) -> Outcome:
        raise RuntimeError("secret")

    made = world(ScriptedProvider("p1", broken))

    await made.courier.attempt("em_1")

    assert made.stored().attempts[0].code == "provider_raised"
    assert [event.note for event in made.told(Happening.PROVIDER_RAISED)] == ["RuntimeError"]


# Nothing to do


@pytest.mark.parametrize(
    "one",
    [email(Status.SENT), email(Status.SENDING, attempts=(attempt(),)), email(Status.RETRYING, due_at=NOW + MINUTE)],
)
def test_a_wake_up_with_nothing_to_do_costs_one_read(one: Email) -> None:
    """I27: settled, leased and not yet due e-mails are left alone."""

    @virtually
    async def scenario() -> None:
        made = world(one=one)

        assert await made.courier.attempt("em_1") is Carried.NOTHING

        assert made.stored() is one

    scenario()


@virtually
async def test_a_strange_wake_up_is_told_and_dropped() -> None:
    """I26: an id that nobody knows is counted, cut short, and raises nothing."""
    made = world()

    assert await made.courier.attempt("x" * 1000) is Carried.NOTHING

    (event,) = made.told(Happening.STRANGE_WAKE_UP)
    assert event.email_id == "x" * 64


@virtually
async def test_a_store_that_is_down_is_the_callers_to_bear() -> None:
    """The e-mail is found again when it is due."""
    made = world()
    made.store.down = True

    with pytest.raises(StoreUnavailableError):
        await made.courier.attempt("em_1")


@virtually
async def test_a_dead_letter_is_saved_without_an_attempt() -> None:
    """A plan to give up is carried out by whoever finds it."""
    made = world(one=email(give_up_at=NOW))

    assert await made.courier.attempt("em_1") is Carried.DONE

    assert (made.stored().status, made.queue.buried) == ("failed", [("em_1", "gave_up")])


# Races


@virtually
async def test_of_two_workers_one_claims() -> None:
    """I7: many wake-ups at once make one attempt."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    other = World((p1,), store=made.store, health=made.health, rules=RULES, name="o")

    await asyncio.gather(*(one.courier.attempt("em_1") for one in (made, other) for _ in range(5)))

    assert len(p1.sends) == 1
    assert made.stored().status is Status.SENT
    assert made.told(Happening.STALE_SAVE) or other.told(Happening.STALE_SAVE)


@pytest.mark.parametrize("first", [True, False])
def test_cancel_against_claim(first: bool) -> None:
    """I21: whichever save wins, a cancel that says yes is followed by no send."""

    @virtually
    async def scenario() -> None:
        p1 = ScriptedProvider("p1")
        made = world(p1)
        orders = [made.courier.attempt("em_1"), made.mailer.cancel("em_1")]

        results = await asyncio.gather(*(orders[::-1] if first else orders))

        cancelled = next(one for one in results if isinstance(one, Email))
        assert (cancelled.status is Status.CANCELLED) == (p1.sends == [])
        assert cancelled.status is Status.CANCELLED or cancelled.cancel_requested

    scenario()


@virtually
async def test_a_cancel_while_sending_is_honoured_after_a_clean_failure() -> None:
    """The finish is stale, decided anew on the fresh e-mail, and withdraws it."""
    p1, p2 = ScriptedProvider("p1"), ScriptedProvider("p2")
    made = world(p1, p2)

    async def answer(_send: Send) -> Outcome:
        await made.mailer.cancel("em_1")
        return DEFERRED

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert (made.stored().status, p2.sends) == ("cancelled", [])


@virtually
async def test_a_stale_clean_failure_goes_on_by_a_wake_up() -> None:
    """An e-mail that somebody else saved meanwhile does not fail over here, but is due at once."""
    p1 = ScriptedProvider("p1")
    made = world(p1, ScriptedProvider("p2"))

    def answer(_send: Send) -> Outcome:
        one = made.stored()
        made.store._put(replace(one, version=one.version + 1, saved_by="other"))
        return DEFERRED

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().due_at) == ("retrying", NOW)
    assert made.queue.taken() == [("transactional", "em_1")]
    await made.courier.attempt("em_1")
    assert (sent_to(made), made.stored().status) == (["p1", "p2"], "sent")


@virtually
async def test_a_stale_acceptance_is_recorded() -> None:
    """An acceptance is recorded whoever saved first."""
    p1 = ScriptedProvider("p1")
    made = world(p1)

    async def answer(_send: Send) -> Outcome:
        await made.mailer.cancel("em_1")
        return Accepted()

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert made.stored().status is Status.SENT


@virtually
async def test_an_answer_after_the_lease_settles_late() -> None:
    """I8: when another worker took over, the late answer is recorded in its attempt, and told."""
    p1 = ScriptedProvider("p1")
    made = world(p1, one=email(on_unknown=OnUnknown.HOLD))
    other = World((p1,), store=made.store, health=made.health, rules=RULES, name="o")

    async def answer(_send: Send) -> Outcome:
        await asyncio.sleep(61)
        await other.courier.attempt("em_1")
        assert made.stored().status is Status.HELD
        return Accepted()

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().reason) == ("sent", "late_answer")
    assert made.told(Happening.SETTLED_LATE)


@virtually
async def test_a_second_late_answer_changes_nothing() -> None:
    """An attempt whose outcome is known by now is left as it is."""
    p1 = ScriptedProvider("p1")
    made = world(p1)

    def answer(_send: Send) -> Outcome:
        made.store._put(replace(made.stored(), status=Status.SENT, version=9, attempts=()))
        return Accepted()

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert (made.stored().version, made.told(Happening.SETTLED_LATE)) == (9, [])


# Never late, never in vain


class SlowContent(MemoryStore):
    """A store whose content takes a while, or fails."""

    def __init__(self, seconds: float = 0, *, fails: bool = False) -> None:
        super().__init__()
        self.seconds = seconds
        self.fails = fails

    async def content(self, email_id: str, /) -> Message:
        """As the port says."""
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise StoreUnavailableError("no content now")
        return await super().content(email_id)


@pytest.mark.parametrize(("seconds", "sends"), [(40, 1), (40.001, 0)])
def test_a_call_never_begins_later_than_the_lease_allows(seconds: float, sends: int) -> None:
    """I9: whatever took long between claim and call, a late call is not made and the e-mail is put back."""

    @virtually
    async def scenario() -> None:
        p1 = ScriptedProvider("p1")
        made = world(p1, store=SlowContent(seconds))

        await made.courier.attempt("em_1")

        assert len(p1.sends) == sends
        one = made.stored()
        assert one.status is (Status.SENT if sends else Status.QUEUED)
        assert (one.possibly_sent, one.unknowns, one.crashes) == (False, 0, 0)

    scenario()


@virtually
async def test_content_that_cannot_be_read_now_puts_the_email_back_to_rest() -> None:
    """Nothing was sent, so nothing is doubtful; and it does not spin."""
    made = world(store=SlowContent(fails=True))

    await made.courier.attempt("em_1")

    one = made.stored()
    assert (one.status, one.due_at, one.possibly_sent) == ("queued", NOW + RULES.wakeup_grace, False)
    assert made.queue.enqueued == []


@virtually
async def test_content_that_is_gone_is_a_dead_letter() -> None:
    """Without content there is nothing to send, and no provider is bothered."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    del made.store.messages["em_1"]

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().attempts[0].code) == ("failed", "content_gone")
    assert p1.sends == []


@virtually
async def test_a_crashed_email_whose_content_is_gone_is_a_dead_letter() -> None:
    """A lapsed lease without content ends, and says that it may have been sent."""
    made = world(one=email(Status.SENDING, attempts=(attempt(),), lease_until=NOW))
    del made.store.messages["em_1"]

    await made.courier.attempt("em_1", solo=True)

    assert (made.stored().status, made.stored().possibly_sent) == ("failed", True)


@virtually
async def test_a_claim_whose_answer_was_lost_is_gone_on_with() -> None:
    """A store that saved and did not answer costs the e-mail no crash."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    made.store.lose_answers = 1

    await made.courier.attempt("em_1")

    assert (made.stored().status, len(p1.sends)) == ("sent", 1)


@virtually
async def test_a_claim_that_took_long_is_put_back_unsent() -> None:
    """A claim is insisted on only for as long as it could be used."""
    p1 = ScriptedProvider("p1")
    made = world(p1)

    def fail(point: str) -> None:
        made.store.down = made.store.down or point == "before_claim"

    made.at_point = fail
    with pytest.raises(StoreUnavailableError):
        await made.courier.attempt("em_1")

    assert made.ports.clock.monotonic() <= 41
    assert (made.stored().status, p1.sends) == ("queued", [])


# Solo


@virtually
async def test_after_a_crash_it_is_retried_alone() -> None:
    """The first worker to find it asks for a solo slot and changes nothing, nor takes any pace."""
    crashed = email(Status.SENDING, attempts=(attempt(),), lease_until=NOW)
    p1 = ScriptedProvider("p1")
    made = World([Configured(provider=p1, max_per_second=1.0)], rules=RULES)
    made.put(crashed)

    assert await made.courier.attempt("em_1") is Carried.NEEDS_SOLO
    assert (made.stored(), made.health.known) == (crashed, {})

    assert await made.courier.attempt("em_1", solo=True) is Carried.DONE
    assert (made.stored().status, made.stored().crashes) == ("sent", 1)


# Stopping


@virtually
async def test_a_stopping_worker_begins_nothing() -> None:
    """I37: no new attempt, no permit taken, nothing changed."""
    p1 = ScriptedProvider("p1")
    made = World([Configured(provider=p1, max_per_second=1.0)], rules=RULES)
    one = made.put(email())
    made.courier.stopping = True

    assert await made.courier.attempt("em_1") is Carried.NOTHING

    assert (made.stored(), p1.sends, made.health.known) == (one, [], {})


@virtually
async def test_a_worker_that_stops_after_its_claim_puts_the_email_back() -> None:
    """I37: an untouched e-mail goes back, its attempt closed as deferred."""
    p1 = ScriptedProvider("p1")
    made = world(p1)

    def stop(point: str) -> None:
        made.courier.stopping = made.courier.stopping or point == "after_claim"

    made.at_point = stop
    await made.courier.attempt("em_1")

    one = made.stored()
    assert (one.status, one.attempts[0].code, one.possibly_sent, p1.sends) == ("queued", "stopped", False, [])


@virtually
async def test_a_put_back_honours_what_came_meanwhile() -> None:
    """Putting back on an e-mail that was changed meanwhile keeps the change."""
    made = world()

    def stop(point: str) -> None:
        if point == "after_claim":
            made.courier.stopping = True
            one = made.stored()
            made.store._put(replace(one, version=one.version + 1, cancel_requested=True))

    made.at_point = stop
    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().cancel_requested) == ("queued", True)


@virtually
async def test_a_put_back_leaves_alone_what_others_took_over() -> None:
    """An attempt that is not mine any more is not put back."""
    made = world()
    taken: list[Email] = []

    def stop(point: str) -> None:
        if point == "after_claim":
            made.courier.stopping = True
            one = made.stored()
            made.store._put(replace(one, version=one.version + 1, attempts=(doubtful(), attempt(2)), saved_by="other"))
            taken.append(made.stored())

    made.at_point = stop
    await made.courier.attempt("em_1")

    assert made.stored() is taken[0]


@virtually
async def test_a_worker_that_stops_in_mid_call_does_not_fail_over() -> None:
    """I37: the outcome is recorded, and the rest is left to others, at once."""
    p1, p2 = ScriptedProvider("p1"), ScriptedProvider("p2")
    made = world(p1, p2)

    def answer(_send: Send) -> Outcome:
        made.courier.stopping = True
        return DEFERRED

    p1.script(answer)
    await made.courier.attempt("em_1")

    one = made.stored()
    assert (one.status, one.reason, one.due_at, one.rounds, p2.sends) == ("retrying", "stopped", NOW, 0, [])


# Admission


HALF_OPEN = Health(breaker=Breaker(state=State.HALF_OPEN, generation=4))


@virtually
async def test_probes_are_limited_over_all_workers() -> None:
    """I29: of many e-mails at once three probe, and the others wait without losing a round."""
    gate = asyncio.Event()

    async def answer(_send: Send) -> Outcome:
        await gate.wait()
        return Accepted()

    p1 = ScriptedProvider("p1", answer)
    made = World((p1,), rules=RULES)
    made.health.known["p1"] = HALF_OPEN
    for n in range(9):
        made.put(replace(email(), id=f"em_{n}"))

    tasks = [asyncio.create_task(made.courier.attempt(f"em_{n}")) for n in range(9)]
    await asyncio.sleep(1)
    assert len(p1.sends) == 3
    gate.set()
    await asyncio.gather(*tasks)

    waiting = [one for one in made.store.emails.values() if one.status is Status.RETRYING]
    assert [(one.rounds, one.blocked_on) for one in waiting] == [(0, ("p1",))] * 6
    assert made.health.known["p1"].breaker.state is State.CLOSED


@virtually
async def test_a_probe_that_is_not_made_gives_its_permit_back() -> None:
    """B12: a claim lost to another worker costs no permit."""
    made = world()
    made.health.known["p1"] = HALF_OPEN

    def meddle(point: str) -> None:
        if point == "before_claim":
            one = made.stored()
            made.store._put(replace(one, version=one.version + 1, saved_by="other"))

    made.at_point = meddle
    await made.courier.attempt("em_1")

    assert made.health.known["p1"].breaker.permits == ()


@virtually
async def test_a_probe_that_was_to_follow_gives_its_permit_back() -> None:
    """B12: a failover that somebody else overtook costs no permit either."""
    p1 = ScriptedProvider("p1")
    made = world(p1, ScriptedProvider("p2"))
    made.health.known["p2"] = HALF_OPEN

    def answer(_send: Send) -> Outcome:
        one = made.stored()
        made.store._put(replace(one, version=one.version + 1, saved_by="other"))
        return DEFERRED

    p1.script(answer)
    await made.courier.attempt("em_1")

    assert made.health.known["p2"].breaker.permits == ()


@virtually
async def test_a_repeat_without_budget_waits_for_a_token_and_then_passes() -> None:
    """I31: a repeat is postponed by reservation, not dropped, and asks no second time."""
    p1 = ScriptedProvider("p1")
    made = world(p1, one=email(Status.RETRYING, attempts=(attempt(outcome="deferred"),), rounds=1))
    spent = Health()
    made.health.known["p1"] = replace(spent, budget=replace(spent.budget, balance=0.0, at=NOW))

    await made.courier.attempt("em_1")
    one = made.stored()
    assert (one.status, one.reason, one.reserved, one.rounds) == ("retrying", "reserved", "p1", 1)
    assert one.due_at
    assert one.due_at > NOW

    await asyncio.sleep((one.due_at - NOW) / SECOND)
    await made.courier.attempt("em_1")
    assert made.stored().status is Status.SENT


@virtually
async def test_a_pace_is_kept_over_all_emails() -> None:
    """`max_per_second` spaces the starts, whoever makes them."""
    starts: list[float] = []

    def answer(_send: Send) -> Outcome:
        starts.append(asyncio.get_running_loop().time())
        return Accepted()

    made = World([Configured(provider=ScriptedProvider("p1", answer), max_per_second=2.0)], rules=RULES)
    for n in range(6):
        made.put(replace(email(), id=f"em_{n}"))

    for _ in range(40):
        await asyncio.gather(*(made.courier.attempt(f"em_{n}") for n in range(6)))
        await asyncio.sleep(0.1)

    assert len(starts) == 6
    assert all(b - a >= 0.49 for a, b in pairwise(starts))


@virtually
async def test_beyond_the_reach_of_reservations_it_waits_for_its_turn() -> None:
    """A pace that is booked for more than a minute parks an e-mail once, with two questions to its health."""
    made = World([Configured(provider=ScriptedProvider("p1"), max_per_second=1.0)], rules=RULES)
    made.put(email())
    made.health.known["p1"] = Health(next_start=NOW + 90 * SECOND)

    await made.courier.attempt("em_1")

    assert (made.stored().due_at, made.stored().reserved) == (NOW + 90 * SECOND, None)


@virtually
async def test_two_who_refuse_in_turn_make_a_wait() -> None:
    """However often admission refuses what the plan chose, the e-mail waits in the end."""
    made = world()
    made.health.known["p1"] = HALF_OPEN

    async def refusing(provider: str, change: Callable[[Health], Health]) -> Health:
        change(replace(HALF_OPEN, not_before=NOW + MINUTE))
        return HALF_OPEN

    made.health.update = refusing
    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().due_at) == ("retrying", NOW + MINUTE)


@virtually
async def test_a_throttled_provider_is_left_alone_by_everybody() -> None:
    """I19: the wish of a 429 holds for all e-mails."""
    throttled = Throttled(code="429", detail="", retry_after=MINUTE)
    p1 = ScriptedProvider("p1", [throttled])
    made = world(p1)
    made.put(replace(email(), id="em_2"))

    await made.courier.attempt("em_1")
    await made.courier.attempt("em_2")

    assert len(p1.sends) == 1
    assert made.stored("em_2").due_at == NOW + MINUTE
    assert made.stored("em_2").rounds == 0


# Slots


class SlowSwitches(MemoryStore):
    """A store that takes its time to say what is switched."""

    async def load_switches(self) -> Switches:
        """As the port says."""
        await asyncio.sleep(0.1)
        return await super().load_switches()


@pytest.mark.parametrize("store", [MemoryStore, SlowSwitches])
@virtually
async def test_a_provider_that_hangs_holds_half_of_the_slots(store: type[MemoryStore]) -> None:
    """However many start at once, one of several providers gets half, and the others flow past it."""
    hang: asyncio.Event = asyncio.Event()

    async def answer(_send: Send) -> Outcome:
        await hang.wait()
        return Accepted()

    p1, p2 = ScriptedProvider("p1", answer), ScriptedProvider("p2")
    made = World((p1, p2), rules=RULES, store=store())
    made.courier.roster.slots = 10
    for n in range(20):
        made.put(replace(email(), id=f"em_{n}"))

    tasks = [asyncio.create_task(made.courier.attempt(f"em_{n}")) for n in range(20)]
    await asyncio.sleep(1)
    assert len(p1.sends) == 5
    assert sum(one.status is Status.SENT for one in made.store.emails.values()) >= 5
    hang.set()
    await asyncio.gather(*tasks)

    views = await made.mailer.providers()
    assert [one.in_flight for one in views] == [0, 0]


@pytest.mark.parametrize("at", ["claim", "call", "finish"])
def test_a_cancelled_attempt_frees_its_slot(at: str) -> None:
    """Wherever a task is cancelled, its slot is free again; after the answer it is free anyway."""

    class Stalling(MemoryStore):
        """A store that stalls at the second or third save."""

        saves = 0

        async def save(self, email: Email) -> None:
            self.saves += 1
            if self.saves == {"claim": 1, "finish": 2}.get(at):
                await asyncio.sleep(3600)
            await super().save(email)

    async def answer(_send: Send) -> Outcome:
        await asyncio.sleep(3600 if at == "call" else 0)
        return Accepted()

    @virtually
    async def scenario() -> None:
        made = world(ScriptedProvider("p1", answer), store=Stalling())
        task = asyncio.create_task(made.courier.attempt("em_1"))
        await asyncio.sleep(1)
        assert (await made.mailer.providers())[0].in_flight == (at != "finish")

        task.cancel()
        await asyncio.wait([task])

        assert (await made.mailer.providers())[0].in_flight == 0

    scenario()


# What is due


async def due(made: World, room: int = 10) -> list[str]:
    """Return what a worker takes from the store."""
    return list(await made.courier.due(email().lane, room, SECOND))


@virtually
async def test_no_more_is_taken_than_providers_admit() -> None:
    """I30: a half-open provider with three permits takes three of a backlog."""
    made = World((ScriptedProvider("p1"),), rules=RULES)
    made.health.known["p1"] = HALF_OPEN
    for n in range(9):
        made.put(replace(email(due_at=NOW), id=f"em_{n}"))

    assert len(await due(made)) == 3


@virtually
async def test_without_an_open_provider_what_waits_for_one_is_left_alone() -> None:
    """I30: a parked backlog is not woken; a fresh e-mail is, to be parked once."""
    made = World((ScriptedProvider("p1"),), rules=RULES)
    made.health.known["p1"] = Health(not_before=NOW + MINUTE)
    made.put(replace(email(Status.RETRYING, blocked_on=("p1",)), id="em_parked"))
    made.put(replace(email(due_at=NOW), id="em_fresh"))

    assert await due(made) == ["em_fresh"]


@virtually
async def test_without_room_the_store_is_not_asked() -> None:
    """A full worker takes nothing."""
    made = World((ScriptedProvider("p1"),), rules=RULES)
    made.store.down = True

    assert await due(made, room=0) == []


@virtually
async def test_what_no_provider_can_carry_waits() -> None:
    """A configuration that lost a capability keeps its e-mails."""
    weak = ScriptedProvider("p1", capabilities=only(features=frozenset()))
    one = email()
    made = world(weak, one=replace(one, needs=replace(one.needs, features=frozenset({Feature.TAGS}))))

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().due_at) == ("retrying", NOW + RULES.look_again)


@pytest.mark.parametrize("outcome", [Rejected(code="550", detail="no"), DEFERRED, UNKNOWN, Accepted()])
def test_health_that_is_down_stops_no_email(outcome: Outcome) -> None:
    """Without shared health attempts go by what was known."""

    @virtually
    async def scenario() -> None:
        made = world(ScriptedProvider("p1", [outcome]))
        made.health.down = True

        await made.courier.attempt("em_1")

        assert len(made.stored().attempts) == 1
        assert made.told(Happening.HEALTH_FAILED)

    scenario()
