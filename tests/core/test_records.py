"""Saving what was decided, whatever the store and the queue do."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import MINUTE, NOW, RULES, World, attempt, email
from tests.dst.virtual import virtually

from mailcore.dispatch import Transition, carried_out, put_back, told
from mailcore.errors import ConflictError, EmailNotFoundError, StaleEmailError, StoreUnavailableError
from mailcore.events import Happening
from mailcore.lifecycle import Email, Reason, Status
from mailcore.plan import GiveUp, Wait
from mailcore.testing import MemoryStore

DEAD = GiveUp(Reason.GAVE_UP)


class FlakyStore(MemoryStore):
    """A MemoryStore that does something else before a call: raise, or let somebody else save first."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Callable[[], Awaitable[None]]] = []
        self.calls: list[str] = []

    async def save(self, email: Email) -> None:
        """As the port says."""
        await self._meet("save")
        await super().save(email)

    async def get(self, email_id: str, /) -> Email:
        """As the port says."""
        await self._meet("get")
        return await super().get(email_id)

    async def _meet(self, call: str) -> None:
        """Note the call and meet what waits for it."""
        self.calls.append(call)
        if self.before:
            await self.before.pop(0)()


async def fine() -> None:
    """Let a call through."""


async def down() -> None:
    """Let a call fail."""
    raise StoreUnavailableError("down")


def world(one: Email) -> tuple[World, FlakyStore]:
    """Return a world that holds an e-mail, and its store."""
    store = FlakyStore()
    made = World([], store=store)
    made.put(one)
    return made, store


def saved_by_others(store: MemoryStore, change: Callable[[Email], Email] = lambda one: one) -> None:
    """Save an e-mail as somebody else."""
    one = store.emails["em_1"]
    store._put(replace(change(one), version=one.version + 1, saved_by="other"))


def ended(one: Email) -> Transition:
    """Return an e-mail given up."""
    return carried_out(one, DEAD, RULES, NOW)


def dropped(_fresh: Email) -> Transition | None:
    """Decide nothing."""
    return None


@virtually
async def test_a_save_is_the_next_version_and_then_has_its_effects() -> None:
    """What is saved bears a token of its own, and only then others are told."""
    made, _ = world(email())

    saved = await made.parts.mailer.records.save(made.stored(), ended(made.stored()))

    assert (saved.version, saved.saved_by, made.stored()) == (2, "w1", saved)
    assert made.queue.buried == [("em_1", "gave_up")]
    assert [event.email for event in made.told(Happening.CHANGED)] == [saved]


@virtually
async def test_a_stale_save_has_no_effects() -> None:
    """Whoever comes second changes nothing and tells nothing."""
    made, store = world(email())
    one = made.stored()
    saved_by_others(store)

    with pytest.raises(StaleEmailError):
        await made.mailer.records.save(one, ended(one))

    assert made.queue.buried == []


@pytest.mark.parametrize("hang", [True, False])
def test_a_lost_wake_up_is_told_and_lived_with(hang: bool) -> None:
    """The sweep makes up for a queue that is down, or that takes longer than its budget."""

    class Hanging:
        """A queue that never answers."""

        async def enqueue(self, *_args: object, **_named: object) -> None:
            await World().ports.sleep(3600)

        async def bury(self, *_args: object, **_named: object) -> None:
            await World().ports.sleep(3600)

    @virtually
    async def scenario() -> None:
        made, _ = world(email(Status.SENDING, attempts=(attempt(),)))
        made.queue.down = True
        if hang:
            object.__setattr__(made.ports, "queue", Hanging())

        back = await made.mailer.records.save(made.stored(), put_back(made.stored(), NOW))
        await made.mailer.records.save(back, ended(back))

        assert made.ports.clock.monotonic() == (0.5 if hang else 0)
        assert made.told(Happening.WAKE_UP_LOST)
        assert made.told(Happening.BURIAL_LOST)
        assert made.stored().status is Status.FAILED

    scenario()


# Settle


@virtually
async def test_a_settlement_decides_anew_while_others_are_first() -> None:
    """Each time somebody else saves first, the decision is made on what they saved."""
    made, store = world(email())
    seen: list[int] = []

    async def meddle() -> None:
        saved_by_others(store)

    def decide(one: Email) -> Transition:
        seen.append(one.version)
        return ended(one)

    store.before = [fine, meddle, fine, meddle]
    saved = await made.mailer.records.settle("em_1", decide)

    assert (seen, saved.version) == ([1, 2, 3], 4)
    assert len(made.told(Happening.STALE_SAVE)) == 2


@virtually
async def test_a_settlement_gives_up_when_others_are_always_first() -> None:
    """Ten times in a row is a conflict, not a loop without end."""
    made, store = world(email())

    async def meddle() -> None:
        saved_by_others(store)

    store.before = [fine, meddle] * 10

    with pytest.raises(ConflictError, match="too often"):
        await made.mailer.records.settle("em_1", ended)


@pytest.mark.parametrize("decide", [dropped, Transition])
def test_a_settlement_with_nothing_to_change_saves_nothing(decide: Callable[[Email], Transition | None]) -> None:
    """No version is used up for nothing."""

    @virtually
    async def scenario() -> None:
        made, store = world(email())

        assert await made.mailer.records.settle("em_1", decide) is made.stored()
        assert store.calls == ["get"]

    scenario()


# Insist


@virtually
async def test_an_outcome_is_saved_when_the_store_comes_back() -> None:
    """A store that fails is asked again until it answers."""
    made, store = world(email())
    store.before = [down, down, down]

    saved = await made.mailer.records.insist(made.stored(), ended(made.stored()), dropped)

    assert saved == made.stored()
    assert saved.status is Status.FAILED
    assert made.ports.clock.monotonic() == 1.5
    assert len(made.told(Happening.STORE_FAILED)) == 3
    assert made.queue.buried == [("em_1", "gave_up")]


@virtually
async def test_an_outcome_that_was_saved_but_not_answered_is_recognised() -> None:
    """`saved_by` tells that it was me, and the effects happen once."""
    made, store = world(email())
    store.lose_answers = 1

    saved = await made.mailer.records.insist(made.stored(), ended(made.stored()), dropped)

    assert saved == made.stored()
    assert made.stored().version == 2
    assert made.queue.buried == [("em_1", "gave_up")]
    assert not made.told(Happening.STALE_SAVE)


@virtually
async def test_an_outcome_is_decided_anew_on_what_others_saved() -> None:
    """I8: a stale outcome is read again and decided again; somebody else carries the e-mail on."""
    made, store = world(email())
    mine = made.stored()
    saved_by_others(store, lambda one: replace(one, cancel_requested=True))

    saved = await made.mailer.records.insist(mine, ended(mine), ended)

    assert saved is None
    assert (made.stored().version, made.stored().status, made.stored().cancel_requested) == (3, "failed", True)
    assert made.told(Happening.STALE_SAVE)


@pytest.mark.parametrize("blips", [1, 2, 3])
def test_an_outcome_outlasts_a_store_that_fails_while_it_is_decided_anew(blips: int) -> None:
    """Whatever it takes: a store that fails between the stale save and the next is asked again too."""

    @virtually
    async def scenario() -> None:
        made, store = world(email())
        mine = made.stored()
        saved_by_others(store)
        store.before = [fine] * blips + [down]

        await made.mailer.records.insist(mine, ended(mine), ended)

        assert made.stored().status is Status.FAILED
        assert made.told(Happening.STORE_FAILED)

    scenario()


@virtually
async def test_an_outcome_is_given_up_when_patience_ends() -> None:
    """A store that stays away for two minutes is told, and the lease tells the rest."""
    made, store = world(email())
    store.down = True

    with pytest.raises(StoreUnavailableError):
        await made.mailer.records.insist(made.stored(), ended(made.stored()), dropped)

    assert timedelta(seconds=made.ports.clock.monotonic()) - made.mailer.records.patience < timedelta(seconds=2)


@virtually
async def test_patience_can_be_shorter() -> None:
    """A claim is not worth waiting for longer than it could be used."""
    made, store = world(email())
    store.down = True

    with pytest.raises(StoreUnavailableError):
        await made.mailer.records.insist(made.stored(), ended(made.stored()), dropped, patience=timedelta(seconds=3))

    assert made.ports.clock.monotonic() < 5


@virtually
async def test_an_email_that_is_gone_is_not_insisted_on() -> None:
    """Retention may remove an e-mail meanwhile; there is nothing left to record."""
    made, store = world(email())
    one = made.stored()
    del store.emails["em_1"]

    with pytest.raises(EmailNotFoundError):
        await made.mailer.records.insist(one, ended(one), dropped)


@virtually
async def test_a_wait_that_is_due_now_wakes_a_worker() -> None:
    """A WakeUp goes to the queue, in the e-mail's lane."""
    made, _ = world(email())
    wait = carried_out(made.stored(), Wait(until=NOW, reason=Reason.NO_PROVIDER), RULES, NOW)

    await made.mailer.records.save(made.stored(), wait)

    assert made.queue.taken() == [("transactional", "em_1")]


def test_what_waits_for_later_wakes_nobody() -> None:
    """An e-mail that is due in a minute is the sweep's."""
    wait = Wait(until=NOW + MINUTE, reason=Reason.NO_PROVIDER)

    assert len(told(carried_out(email(), wait, RULES, NOW).email).effects) == 1
