"""What becomes of messages to suppressed recipients, from their submission to the provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import MINUTE, NOW, World, email, message
from tests.dst.virtual import virtually

from mailcore.addresses import mailbox
from mailcore.breaker import Breaker, State
from mailcore.courier import Carried
from mailcore.errors import KeyReusedError, StoreUnavailableError, SuppressedError
from mailcore.health import Health
from mailcore.intake import new_email
from mailcore.lifecycle import EmailId, Status
from mailcore.message import Message, envelope
from mailcore.outcome import Accepted, Deferred, Outcome
from mailcore.provider import Send
from mailcore.rules import Rules
from mailcore.strategy import priority
from mailcore.suppression import Grounds, Suppression
from mailcore.suppression_list import FRESH_FOR
from mailcore.testing import MemoryStore, ScriptedProvider
from mailcore.validation import checked

RULES = Rules(strategy=priority, strategy_name="priority")
DEFERRED = Deferred(code="503", detail="later")
BOB = Suppression(tenant="default", address="bob@example.com", reason=Grounds.BOUNCED, created_at=NOW)
TWO = message(to=["bob@example.com", "ann@example.com"], cc="BOB@example.com", bcc=["Eve <eve@example.com>"])
TEXTS = st.sampled_from([f"{way(one)}@example.com" for one in ("ann", "bob", "eve") for way in (str.lower, str.upper)])
FIELDS = st.lists(TEXTS, max_size=3)
MESSAGES = st.builds(message, to=FIELDS, cc=FIELDS, bcc=FIELDS).filter(lambda one: one.to or one.cc or one.bcc)
SUPPRESSIONS = st.lists(TEXTS.map(lambda text: replace(BOB, address=text)), max_size=3)


class CountingStore(MemoryStore):
    """A store that counts what it is asked, and whose list can be out of reach alone.

    Attributes:
        calls: How often each method was called.
        list_down: Nobody can read the suppression list.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.list_down = False

    def __getattribute__(self, name: str) -> object:
        if name in {"add", "get", "content", "save", "has_suppressions", "find_suppressions"}:
            self.calls[name] += 1
        return super().__getattribute__(name)

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        """As the port says."""
        if self.list_down:
            raise StoreUnavailableError("the list was told to be down")
        return await super().find_suppressions(tenant, mailboxes)


def world(*providers: ScriptedProvider, **fields: object) -> World:
    """Return a world of some providers, which are asked in their order."""
    return World(providers or (ScriptedProvider("p1"),), **{"rules": RULES, **fields})


def put(made: World, written: Message, email_id: EmailId = "em_1") -> None:
    """Store a message that was accepted, and is due."""
    sound = checked(written, now=NOW, default_from=None)
    made.put(replace(new_email(sound, email_id, "default", "f", RULES, NOW), due_at=NOW), sound)


def handed_over(*providers: ScriptedProvider) -> set[str]:
    """Return the mailboxes that providers were handed."""
    sends = [send for one in providers for send in one.sends]
    return {mailbox(one) for send in sends for one in envelope(send.message).recipients}


# When it is accepted


@given(written=MESSAGES, suppressions=SUPPRESSIONS, keyed=st.booleans())
@virtually
async def test_a_message_is_refused_if_nobody_it_is_written_to_may_get_it(
    written: Message, suppressions: list[Suppression], keyed: bool
) -> None:
    """Nobody of its `to`, or of all its recipients where there is none; then nothing is stored, and nobody woken."""
    made = world()
    await made.mailer.suppressions.add(suppressions)
    suppressed = {one.mailbox for one in suppressions}
    who = envelope(checked(written, now=NOW, default_from=None))
    lost = all(mailbox(one) in suppressed for one in who.to or who.recipients)

    try:
        await made.mailer.submit(written, key="k" if keyed else None)
        refused = False
    except SuppressedError:
        refused = True

    assert refused == lost
    assert (len(made.store.emails), len(made.store.messages), len(made.queue.enqueued)) == (*[0 if lost else 1] * 3,)


@virtually
async def test_a_refusal_costs_no_cap_and_points_to_what_was_written() -> None:
    """Caps count what is accepted; a repeat of an address moves no pointer."""
    made = world()
    admitted: list[Message] = []

    async def admit(sound: Message) -> None:
        admitted.append(sound)

    await made.mailer.suppressions.add([BOB])
    with pytest.raises(SuppressedError) as caught:
        await made.mailer.submit(message(to=["bob@example.com", "Bob <BOB@example.com>"]), admit=admit)
    added = await made.mailer.submit(TWO, admit=admit)

    assert [one.pointer for one in caught.value.problems] == ["/to/0"]
    assert admitted == [made.store.messages[added.email.id]]


@virtually
async def test_a_repeat_is_answered_with_its_email_whoever_is_suppressed_by_now() -> None:
    """One key is one e-mail: what was accepted before the suppression is not refused after it."""
    made = world()
    first = await made.mailer.submit(message(), key="k")
    await made.mailer.suppressions.add([BOB])

    again = await made.mailer.submit(message(), key="k")

    assert (again.fresh, again.email.id) == (False, first.email.id)
    with pytest.raises(SuppressedError):
        await made.mailer.submit(message(), key="another")
    with pytest.raises(SuppressedError):
        await made.mailer.submit(message(subject="Other"), key="k")
    with pytest.raises(KeyReusedError):
        await made.mailer.submit(message(to="ann@example.com"), key="k")


@pytest.mark.parametrize(
    ("suppression", "refused"),
    [
        (BOB, True),
        (replace(BOB, tenant="bank"), False),
        (replace(BOB, expires_at=NOW + timedelta(milliseconds=1)), True),
        (replace(BOB, expires_at=NOW), False),
    ],
)
def test_a_suppression_holds_for_its_tenant_and_until_its_end(suppression: Suppression, refused: bool) -> None:
    """What another has learned of an address refuses nobody's mail, and at its end a suppression refuses no more."""

    @virtually
    async def scenario() -> None:
        made = world()
        await made.mailer.suppressions.add([suppression])

        try:
            await made.mailer.submit(message())
        except SuppressedError:
            assert refused
        else:
            assert not refused

    scenario()


@virtually
async def test_a_list_that_cannot_be_read_accepts_nothing() -> None:
    """Whether somebody may be written to is not guessed: the caller repeats it with the same key."""
    store = CountingStore()
    made = world(store=store)
    await made.mailer.suppressions.add([BOB])
    store.list_down = True

    with pytest.raises(StoreUnavailableError):
        await made.mailer.submit(message(to="ann@example.com"), key="k")

    assert store.emails == {}


# Before every call


@settings(max_examples=60)
@given(written=MESSAGES, early=SUPPRESSIONS, late=SUPPRESSIONS)
@virtually
async def test_nobody_suppressed_is_ever_handed_to_a_provider(
    written: Message, early: list[Suppression], late: list[Suppression]
) -> None:
    """Whatever case an address has, and though the suppression came after the acceptance, or between two attempts."""
    p1, p2 = ScriptedProvider("p1"), ScriptedProvider("p2")
    made = world(p1, p2)
    put(made, written)
    await made.courier.suppressions.add(early)

    async def answer(_send: Send) -> Outcome:
        await made.courier.suppressions.add(late)
        return DEFERRED

    p1.script(answer)
    await made.courier.attempt("em_1")

    everybody = {mailbox(one) for one in envelope(made.store.messages["em_1"]).recipients}
    first, second = ({one.mailbox for one in some} for some in (early, [*early, *late]))
    assert handed_over(p1) in {frozenset(everybody - first), frozenset()}
    assert handed_over(p2) in {frozenset(everybody - second), frozenset()}
    assert (made.stored().status is Status.SENT) == bool(p2.sends)
    assert bool(p2.sends) or made.stored().reason == "suppressed"


@virtually
async def test_a_suppression_that_came_after_the_acceptance_is_honoured() -> None:
    """The e-mail is a dead letter with its reason, no provider is bothered, and a redrive after lifting it sends it."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    added = await made.mailer.submit(message(to=["bob@example.com"], cc=["ann@example.com"]))
    await made.mailer.suppressions.add([BOB])

    assert await made.courier.attempt(added.email.id) is Carried.DONE

    one = made.stored(added.email.id)
    assert (one.status, one.reason, p1.sends) == ("failed", "suppressed", [])
    assert made.queue.buried == [(added.email.id, "suppressed")]
    assert one.attempts[0].code == "suppressed"
    assert one.attempts[0].detail == "left out, as suppressed: /to/0; nobody else is written to"
    assert one.history[-1].note == one.attempts[0].detail
    await made.mailer.suppressions.lift("default", "Bob@example.com")
    await made.mailer.redrive(added.email.id)
    await made.courier.attempt(added.email.id)
    assert made.stored(added.email.id).status is Status.SENT
    assert handed_over(p1) == {"bob@example.com", "ann@example.com"}


@virtually
async def test_the_others_get_it_and_the_attempt_says_who_did_not() -> None:
    """What one recipient does not want the others are not denied; what the provider said stands behind it."""
    p1 = ScriptedProvider("p1", [Accepted(detail="one was queued")])
    made = world(p1)
    put(made, TWO)
    await made.courier.suppressions.add([replace(BOB, address="Bob@example.com"), replace(BOB, address="x@y.example")])

    await made.courier.attempt("em_1")

    assert made.stored().status is Status.SENT
    assert handed_over(p1) == {"ann@example.com", "eve@example.com"}
    assert made.stored().attempts[0].detail == "left out, as suppressed: /to/0; one was queued"
    assert mailbox(envelope(made.store.messages["em_1"]).to[0]) == "bob@example.com"


@virtually
async def test_a_message_without_suppressed_recipients_is_handed_over_as_it_is() -> None:
    """Others being suppressed changes neither the message nor what is noted of its attempt."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    put(made, message(to="ann@example.com"))
    await made.courier.suppressions.add([BOB])

    await made.courier.attempt("em_1")

    assert p1.sends[0].message == made.store.messages["em_1"]
    assert made.stored().attempts[0].detail == ""


@virtually
async def test_an_email_that_forgot_whom_it_is_for_still_spares_them() -> None:
    """What counts is the message that would be handed over, and not what the record says of it."""
    p1 = ScriptedProvider("p1")
    made = world(p1)
    made.put(replace(email(), recipients=()))
    await made.courier.suppressions.add([BOB])

    await made.courier.attempt("em_1")

    assert (made.stored().reason, p1.sends) == ("suppressed", [])


@virtually
async def test_a_list_that_cannot_be_read_sends_nothing() -> None:
    """The e-mail is given back to rest for a moment, and is sent once the list can be read."""
    store, p1 = CountingStore(), ScriptedProvider("p1")
    made = world(p1, store=store)
    put(made, TWO)
    await made.courier.suppressions.add([BOB])

    store.list_down = True
    await made.courier.attempt("em_1")
    resting = made.stored()
    store.list_down = False
    await made.ports.sleep(MINUTE.total_seconds())
    await made.courier.attempt("em_1")

    assert (resting.status, resting.reason, resting.due_at) == ("queued", "stopped", NOW + RULES.wakeup_grace)
    assert made.stored().status is Status.SENT
    assert handed_over(p1) == {"ann@example.com", "eve@example.com"}


@pytest.mark.parametrize("why", ["suppressed", "content_gone"])
def test_a_probe_that_was_not_made_says_nothing_of_the_provider(why: str) -> None:
    """Its permit comes back; neither breaker, score nor the count of failures moves."""

    @virtually
    async def scenario() -> None:
        p1 = ScriptedProvider("p1")
        made = world(p1)
        before = made.health.known["p1"] = Health(breaker=Breaker(state=State.HALF_OPEN, generation=4))
        put(made, message())
        if why == "suppressed":
            await made.courier.suppressions.add([BOB])
        else:
            del made.store.messages["em_1"]

        await made.courier.attempt("em_1")

        assert (made.stored().attempts[0].probe, made.stored().attempts[0].code) == (True, why)
        assert made.health.known["p1"] == before
        assert p1.sends == []

    scenario()


# What it costs


@virtually
async def test_whoever_keeps_no_list_pays_a_question_every_two_seconds() -> None:
    """From its submission to its end an e-mail costs an add, a get, its content and two saves, and nothing else."""
    store = CountingStore()
    made = world(store=store)
    until: datetime = made.clock.now() + 5 * FRESH_FOR
    emails = 0

    while made.clock.now() < until:
        added = await made.mailer.submit(message())
        await made.courier.attempt(added.email.id)
        await made.ports.sleep(0.25)
        emails += 1

    assert emails == 40
    assert store.calls == {"add": 40, "get": 40, "content": 40, "save": 80, "has_suppressions": 5}
