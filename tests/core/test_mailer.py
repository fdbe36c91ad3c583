"""The front door: submit, ask after, cancel, resolve, redrive, explain."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, World, attempt, email, message, only
from tests.dst.virtual import virtually

from mailcore.appeal import Resolution
from mailcore.errors import (
    ConflictError,
    EmailNotFoundError,
    InvalidMessageError,
    KeyReusedError,
    NoProviderCanCarryError,
    StoreUnavailableError,
)
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import Email, Status
from mailcore.message import Address
from mailcore.ports import Query
from mailcore.provider import Feature
from mailcore.testing import MemoryStore, ScriptedProvider


def world(**fields: object) -> World:
    """Return a process around one provider."""
    return World(**{"providers": (ScriptedProvider("p1"),), **fields})


# Submit


@virtually
async def test_a_submitted_message_is_durable_and_wakes_a_worker() -> None:
    """Stored first, then woken, then told."""
    made = world()

    added = await made.mailer.submit(message())

    assert added.fresh
    assert made.store.emails == {added.email.id: added.email}
    assert made.store.messages[added.email.id].to == (Address("bob@example.com"),)
    assert made.queue.enqueued == [("transactional", added.email.id)]
    assert [event.email_id for event in made.told(Happening.SUBMITTED)] == [added.email.id]


@virtually
async def test_a_scheduled_message_wakes_nobody() -> None:
    """What is for later is the sweep's."""
    made = world()

    added = await made.mailer.submit(message(scheduled_at=NOW + HOUR))

    assert (added.email.status, made.queue.enqueued) == ("scheduled", [])


@virtually
async def test_a_lost_wake_up_is_still_accepted() -> None:
    """I4: the queue may be down; the e-mail is due after its grace."""
    made = world()
    made.queue.down = True

    added = await made.mailer.submit(message())

    assert added.fresh
    assert made.told(Happening.WAKE_UP_LOST)
    assert made.stored(added.email.id).due_at == NOW + made.rules.wakeup_grace


@virtually
async def test_one_key_makes_one_email() -> None:
    """I12: a repeat gets the e-mail that is there, and wakes nobody."""
    made = world()
    first = await made.mailer.submit(message(), key="k")
    made.queue.enqueued.clear()

    again = await made.mailer.submit(message(), key="k")

    assert (again.fresh, again.email.id) == (False, first.email.id)
    assert (len(made.store.emails), made.queue.enqueued) == (1, [])


@virtually
async def test_only_what_can_be_repeated_has_a_fingerprint() -> None:
    """Without a key there is nothing to tell a repeat from, and nothing is spent on it."""
    made = world()

    keyed, unkeyed = [await made.mailer.submit(message(), key=key) for key in ("k", None)]

    assert keyed.email.fingerprint.startswith("1:")
    assert unkeyed.email.fingerprint == ""


@virtually
async def test_fifty_equal_submits_at_once_make_one_email() -> None:
    """I12: all get the same id, one of them fresh."""
    made = world()

    added = await asyncio.gather(*(made.mailer.submit(message(), key="k") for _ in range(50)))

    assert len({one.email.id for one in added}) == 1
    assert sum(one.fresh for one in added) == 1
    assert len(made.store.emails) == 1


@virtually
async def test_a_key_for_another_message_is_refused() -> None:
    """I13: one key and two messages is a mistake, and nothing is stored."""
    made = world()
    await made.mailer.submit(message(), key="k")

    with pytest.raises(KeyReusedError):
        await made.mailer.submit(message(subject="Other"), key="k")

    assert len(made.store.emails) == 1


@virtually
async def test_keys_of_two_tenants_have_nothing_to_do_with_each_other() -> None:
    """I13: the same key of another tenant is another e-mail."""
    made = world()

    one = await made.mailer.submit(message(), key="k", tenant="a")
    other = await made.mailer.submit(message(), key="k", tenant="b")

    assert one.email.id != other.email.id
    assert other.fresh


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\nb", "\ud800"])
def test_a_key_that_is_no_key_is_refused(key: str) -> None:
    """A wrong key is the caller's mistake, named like any other problem."""

    @virtually
    async def scenario() -> None:
        made = world()

        with pytest.raises(InvalidMessageError) as caught:
            await made.mailer.submit(message(), key=key)

        assert [problem.code for problem in caught.value.problems] == ["invalid_key"]
        assert made.store.emails == {}

    scenario()


@virtually
async def test_a_repeat_after_expiry_gets_its_email() -> None:
    """I12: a message that would not be accepted any more is still the one that was."""
    made = world()
    expiring = message(expires_at=NOW + MINUTE)
    first = await made.mailer.submit(expiring, key="k")
    await asyncio.sleep(120)

    again = await made.mailer.submit(expiring, key="k")

    assert (again.fresh, again.email.id) == (False, first.email.id)


@pytest.mark.parametrize("key", [None, "fresh", "k"])
def test_a_wrong_message_is_refused_whatever_its_key(key: str | None) -> None:
    """I15: a failed validation stores nothing, consumes no key, and is no repeat of another message."""

    @virtually
    async def scenario() -> None:
        made = world()
        await made.mailer.submit(message(), key="k")

        with pytest.raises(InvalidMessageError):
            await made.mailer.submit(message(to="nobody"), key=key)

        assert len(made.store.emails) == 1

    scenario()


@virtually
async def test_what_json_gave_is_judged_with_the_engines_own_defaults() -> None:
    """A missing `from` is a problem only where no default stands in for it; shape and content are told together."""
    given = {"to": "nobody", "subject": 5, "text": "Hi"}

    alone = world().mailer.problems_of(given)
    with_default = world(default_from=Address("shop@shop.example")).mailer.problems_of(given)

    assert [one.pointer for one in alone] == ["/from", "/to", "/subject"]
    assert [one.pointer for one in with_default] == ["/to", "/subject"]


@virtually
async def test_what_no_provider_can_carry_is_not_accepted() -> None:
    """The refusal names why, for each provider."""
    made = world(providers=(ScriptedProvider("p1", capabilities=only(features=frozenset({Feature.TEXT_ONLY}))),))

    with pytest.raises(NoProviderCanCarryError) as caught:
        await made.mailer.submit(message(tags=["a"]))

    assert caught.value.reasons == {"p1": "cannot express tags"}
    assert made.store.emails == {}


@virtually
async def test_without_any_provider_nothing_is_accepted() -> None:
    """An engine without providers makes no promise that it cannot keep."""
    with pytest.raises(NoProviderCanCarryError, match="no provider"):
        await world(providers=()).mailer.submit(message())


@virtually
async def test_a_store_that_is_down_is_told_to_the_caller() -> None:
    """I3: whether it was stored is not known; a repeat with the key settles it."""
    made = world()
    made.store.lose_answers = 1

    with pytest.raises(StoreUnavailableError):
        await made.mailer.submit(message(), key="k")
    again = await made.mailer.submit(message(), key="k")

    assert not again.fresh


@virtually
async def test_a_default_from_is_resolved_and_stored() -> None:
    """A failover never changes the author."""
    made = world(default_from=Address("shop@shop.example", "Shop"))

    added = await made.mailer.submit(message(from_=None))

    assert made.store.messages[added.email.id].from_ == Address("shop@shop.example", "Shop")


# Ask after


@virtually
async def test_an_email_and_its_content_can_be_read() -> None:
    """What was accepted can be looked at."""
    made = world()
    added = await made.mailer.submit(message())

    assert await made.mailer.get(added.email.id) == added.email
    assert (await made.mailer.content(added.email.id)).subject == "Hello"


@virtually
async def test_to_another_tenant_an_email_does_not_exist() -> None:
    """Whatever is asked of it, another tenant's e-mail is not found, and not changed."""
    made = world()
    one = made.put(email(Status.HELD))

    for call in (
        made.mailer.get("em_1", tenant="b"),
        made.mailer.content("em_1", tenant="b"),
        made.mailer.cancel("em_1", tenant="b"),
        made.mailer.resolve("em_1", Resolution.SENT, tenant="b"),
        made.mailer.redrive("em_1", tenant="b"),
    ):
        with pytest.raises(EmailNotFoundError):
            await call

    assert made.stored() is one
    assert await made.mailer.get("em_1", tenant="default") is one


@virtually
async def test_emails_are_listed_and_counted() -> None:
    """Lists and counts go by the same query; without one they are of all."""
    made = world()
    for n in range(3):
        await made.mailer.submit(message(subject=str(n)))
    await made.mailer.submit(message(scheduled_at=NOW + HOUR))

    page = await made.mailer.list(limit=3)

    assert (len(page.emails), page.after is not None) == (3, True)
    assert len((await made.mailer.list(after=page.after)).emails) == 1
    assert (await made.mailer.count(), await made.mailer.count(Query(status=Status.SCHEDULED))) == (4, 1)


@virtually
async def test_waiting_ends_when_the_email_settles() -> None:
    """`wait` returns the settled e-mail as soon as it sees it."""
    made = world()
    made.put(email())

    async def settle() -> None:
        await asyncio.sleep(2)
        await made.courier.attempt("em_1")

    task = asyncio.create_task(settle())
    settled = await made.mailer.wait("em_1")
    await task

    assert settled.status is Status.SENT
    assert made.ports.clock.monotonic() < 2.1


@pytest.mark.parametrize(("status", "waited"), [(Status.QUEUED, 3.0), (Status.HELD, 0.0)])
def test_waiting_ends_with_its_time_or_with_a_hold(status: Status, waited: float) -> None:
    """`wait` returns what is there when its time is over, and does not wait for a person."""

    @virtually
    async def scenario() -> None:
        made = world()
        made.put(email(status))

        one = await made.mailer.wait("em_1", timeout=3)

        assert one.status is status
        assert made.ports.clock.monotonic() == pytest.approx(waited, abs=0.1)

    scenario()


# Appeals


@virtually
async def test_an_appeal_is_saved_and_has_its_effects() -> None:
    """Cancel, resolve and redrive change what is stored, and wake whom they must."""
    made = world()
    made.put(email(Status.HELD))

    resolved = await made.mailer.resolve("em_1", Resolution.FAILED, note="bounced")
    redriven = await made.mailer.redrive("em_1")
    cancelled = await made.mailer.cancel("em_1")

    assert (resolved.status, redriven.status, cancelled.status) == ("failed", "queued", "cancelled")
    assert [one.version for one in (resolved, redriven, cancelled)] == [2, 3, 4]
    assert made.queue.buried == [("em_1", "unresolved")]
    assert made.queue.enqueued == [("transactional", "em_1")]


@virtually
async def test_an_appeal_that_the_status_forbids_changes_nothing() -> None:
    """A conflict is told, and the e-mail stays."""
    made = world()
    one = made.put(email(Status.SENT))

    for call in (
        made.mailer.cancel("em_1"),
        made.mailer.redrive("em_1"),
        made.mailer.resolve("em_1", Resolution.RETRY),
    ):
        with pytest.raises(ConflictError):
            await call

    assert made.stored() is one


@virtually
async def test_an_appeal_races_with_a_worker_and_is_decided_anew() -> None:
    """I21: a cancel that meets a claim is asked again, and answers by what the worker made of it."""

    class Racing(MemoryStore):
        """A store in which a worker claims between a read and a save."""

        raced = False

        async def save(self, one: Email) -> None:
            if not self.raced:
                self.raced = True
                stored = self.emails[one.id]
                self._put(replace(email(Status.SENDING, attempts=(attempt(),)), version=stored.version + 1))
            await super().save(one)

    made = world(store=Racing())
    made.put(email())

    answer = await made.mailer.cancel("em_1")

    assert (answer.status, answer.cancel_requested) == ("sending", True)


# Providers


@virtually
async def test_an_explanation_names_the_provider_and_the_reasons() -> None:
    """What would be done is told, and nothing is stored."""
    made = World((ScriptedProvider("p1"), ScriptedProvider("p2")))
    made.health.known["p1"] = Health(not_before=NOW + MINUTE)

    told = await made.mailer.explain(message())

    assert (told.provider, [one.reason for one in told.passed_over]) == ("p2", ["throttled"])
    assert "score" in told.because
    assert made.store.emails == {}


@virtually
async def test_an_explanation_of_a_wait_names_everybody() -> None:
    """With nobody available the reason of each provider is told."""
    made = world()
    made.health.known["p1"] = Health(not_before=NOW + MINUTE)

    told = await made.mailer.explain(message())

    assert (told.provider, told.because) == (None, "no provider takes it now")
    assert [(one.provider, one.reason) for one in told.passed_over] == [("p1", "throttled")]


@virtually
async def test_a_scheduled_message_is_explained_as_if_it_were_due() -> None:
    """An explanation is about providers, not about the schedule."""
    told = await world().mailer.explain(message(scheduled_at=NOW + HOUR, expires_at=NOW + 2 * HOUR))

    assert told.provider == "p1"


@virtually
async def test_the_providers_are_shown_as_they_stand() -> None:
    """Every configured provider is listed, with its standing."""
    made = World((ScriptedProvider("p1"), ScriptedProvider("p2")))
    made.health.known["p2"] = Health(not_before=NOW + 10 * SECOND)

    views = await made.mailer.providers()

    assert [(one.name, one.standing.obstacle) for one in views] == [("p1", None), ("p2", "throttled")]
    assert views[1].standing.available_at == NOW + timedelta(seconds=10)
