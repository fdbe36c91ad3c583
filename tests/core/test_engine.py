"""Many e-mails at once: bounded slots, lanes, refills from the store, and a polite stop."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, World, attempt, email, message
from tests.dst.virtual import run, virtually

from mailcore.assembly import Tuning, assembled, running
from mailcore.courier import Carried
from mailcore.engine import BUFFERED, SOLO, Engine, Pace
from mailcore.errors import StaleEmailError, StoreUnavailableError
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import Email, Status
from mailcore.message import Lane, Message
from mailcore.outcome import Accepted, Deferred, Outcome
from mailcore.ports import Configured, Due, look_away
from mailcore.provider import Send
from mailcore.rules import Rules
from mailcore.stored import SMALL, Fetched
from mailcore.strategy import priority
from mailcore.testing import MemoryQueue, MemoryStore, ScriptedProvider

RULES = Rules(strategy=priority, strategy_name="priority")
LANES = list(Lane)


class CountingStore(MemoryStore):
    """A MemoryStore that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    async def get(self, email_id: str, /) -> Email:
        """As the port says."""
        self.asked["get"] += 1
        return await super().get(email_id)

    async def fetch(self, email_ids: Sequence[str], /) -> Mapping[str, Fetched]:
        """As the port says."""
        self.asked["fetch"] += 1
        self.asked["get"] += len(email_ids)
        return await super().fetch(email_ids)

    async def content(self, email_id: str, /) -> Message:
        """As the port says."""
        self.asked["content"] += 1
        return await super().content(email_id)

    async def save(self, email: Email) -> None:
        """As the port says."""
        self.asked["save"] += 1
        await super().save(email)

    async def take_due(self, now: datetime, due: Due) -> Sequence[str]:
        """As the port says."""
        self.asked["take_due"] += 1
        return await super().take_due(now, due)


class Slow:
    """A provider's answer that takes a while, and the most that were under way at once.

    Attributes:
        most: How many were under way at the fullest moment.
        order: The e-mails, as they came.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.now = self.most = 0
        self.order: list[str] = []

    async def __call__(self, send: Send) -> Outcome:
        """As the port says."""
        self.order.append(send.email_id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        return Accepted()


def world(answer: Slow | None = None, slots: int = 4, **fields: object) -> World:
    """Return a process with few slots around one provider."""
    providers = (ScriptedProvider("p1", answer or Slow(0)),)
    pace = Pace(slots=slots, poll=timedelta(milliseconds=500))
    return World(providers, **{"rules": RULES, "pace": pace, "store": CountingStore(), **fields})


def fill(made: World, count: int, lane: Lane = Lane.TRANSACTIONAL, due: datetime = NOW + HOUR) -> list[str]:
    """Store e-mails of a lane, by default due so late that only a wake-up starts them; return their ids."""
    ids = [f"em_{lane}_{n}" for n in range(count)]
    for email_id in ids:
        made.put(replace(email(lane=lane, due_at=due), id=email_id))
    return ids


def statuses(made: World) -> Counter[str]:
    """Return how many e-mails are in each status."""
    return Counter(str(one.status) for one in made.store.emails.values())


@asynccontextmanager
async def at_work(made: World) -> AsyncGenerator[None]:
    """Run the engine, and stop it in the end."""
    async with running(made.engine):
        yield


# Slots and lanes


@virtually
async def test_no_more_is_under_way_than_there_are_slots() -> None:
    """Slots bound what is done at once, and everything is done in the end."""
    slow = Slow()
    made = world(slow)
    made.engine.offer(fill(made, 20), Lane.TRANSACTIONAL)

    async with at_work(made):
        await asyncio.sleep(6)

    assert slow.most == 4
    assert statuses(made) == {"sent": 20}


@virtually
async def test_emails_that_start_together_are_read_together() -> None:
    """One step reads all that has a slot, messages and all; a message that is long is read by itself later."""
    made = world(slots=100)
    ids = fill(made, 70)
    made.store.messages[ids[0]] = replace(made.store.messages[ids[0]], text="a" * SMALL)
    made.engine.offer(ids, Lane.TRANSACTIONAL)

    async with at_work(made):
        await asyncio.sleep(1)

    assert statuses(made) == {"sent": 70}
    assert (made.store.asked["fetch"], made.store.asked["get"], made.store.asked["content"]) == (2, 70, 1)


@virtually
async def test_what_could_not_be_read_together_is_read_by_itself() -> None:
    """A store that fails to read many at once holds up none that it can read alone."""
    made = world()
    ids = fill(made, 3)

    async def broken(_email_ids: Sequence[str], /) -> Mapping[str, Fetched]:
        raise StoreUnavailableError("not now")

    made.store.fetch = broken
    made.engine.offer(ids, Lane.TRANSACTIONAL)
    async with at_work(made):
        await asyncio.sleep(1)

    assert statuses(made) == {"sent": 3}
    assert len(made.told(Happening.STORE_FAILED)) == 1


@virtually
async def test_an_email_that_was_saved_since_it_was_read_is_not_sent() -> None:
    """What was read along is as old as it is: a claim of what somebody else has saved meanwhile is lost."""
    made = world()
    (email_id,) = fill(made, 1)
    old = await made.store.fetch([email_id])
    made.put(replace(made.stored(email_id), version=2, status=Status.CANCELLED, settled_at=NOW))

    await made.courier.attempt(email_id, fetched=old[email_id])

    assert made.stored(email_id).status is Status.CANCELLED
    assert not made.providers[0].sends


@virtually
async def test_bulk_holds_no_more_than_its_share() -> None:
    """However much bulk there is, other mail finds free slots."""
    slow = Slow()
    made = world(slow)
    made.engine.offer(fill(made, 20, Lane.BULK), Lane.BULK)

    async with at_work(made):
        await asyncio.sleep(0.5)
        assert slow.now == 2
        made.engine.offer(fill(made, 2, Lane.URGENT), Lane.URGENT)
        await asyncio.sleep(0.1)
        assert slow.now == 4
        await asyncio.sleep(15)

    assert statuses(made) == {"sent": 22}


@pytest.mark.parametrize(
    ("lane", "free", "bulk", "room"),
    [(Lane.URGENT, 3, 0, 3), (Lane.BULK, 3, 1, 1), (Lane.BULK, 1, 0, 1), (Lane.BULK, 9, 5, -3)],
)
def test_the_room_of_a_lane(lane: Lane, free: int, bulk: int, room: int) -> None:
    """Bulk gets its share less what it holds; the others get what is free."""
    assert Pace(slots=4).room(lane, free, bulk) == room


def test_bulk_always_has_one_slot() -> None:
    """A share that rounds to nothing is still one slot."""
    assert Pace(slots=1).room(Lane.BULK, 1, 0) == 1


@virtually
async def test_the_most_urgent_lane_goes_first() -> None:
    """Among what waits, urgent comes before the rest and bulk last."""
    slow = Slow()
    made = world(slow, slots=1)
    for lane in reversed(LANES):
        made.engine.offer(fill(made, 1, lane), lane)

    async with at_work(made):
        await asyncio.sleep(5)

    assert slow.order == [f"em_{lane}_0" for lane in LANES]


# Wake-ups


@virtually
async def test_a_hundred_thousand_hints_for_one_email_are_cheap() -> None:
    """K3: one claim, and as good as no reads."""
    made = world()
    (email_id,) = fill(made, 1)

    async with at_work(made):
        for _ in range(100_000):
            made.engine.offer([email_id], Lane.TRANSACTIONAL)
        await asyncio.sleep(1)

    assert statuses(made) == {"sent": 1}
    assert made.store.asked["get"] <= 2


@virtually
async def test_admitted_hints_hold_their_queue_back_until_they_have_slots() -> None:
    """A queue is emptied no faster than it is served: what waits stays with it, for other workers."""
    made = world(Slow(1.0), slots=2)
    ids = fill(made, 4)

    async with at_work(made):
        await made.engine.admit(ids[:2], Lane.TRANSACTIONAL)
        began = asyncio.get_running_loop().time()
        await made.engine.admit(ids[2:], Lane.TRANSACTIONAL)
        waited = asyncio.get_running_loop().time() - began
        await asyncio.sleep(2)

    assert waited == pytest.approx(1.0, abs=0.1)
    assert statuses(made) == {"sent": 4}


@virtually
async def test_admitting_what_is_known_waits_for_nothing() -> None:
    """A wake-up that is repeated while its e-mail is under way holds nobody back."""
    slow = Slow(5.0)
    made = world(slow, slots=1)
    ids = fill(made, 1)

    async with at_work(made):
        for hints in (ids, ids, []):
            await made.engine.admit(hints, Lane.BULK)
        waited = made.ports.clock.monotonic()
        await asyncio.sleep(1)

    assert waited < 1
    assert slow.order == ids


@virtually
async def test_who_stops_waiting_for_a_slot_holds_nobody_up() -> None:
    """A call that is cancelled leaves its wake-ups and the turns of others as they were."""
    made = world(Slow(1.0), slots=1)
    ids = fill(made, 4)

    async with at_work(made):
        await made.engine.admit(ids[:1], Lane.URGENT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await made.engine.admit(ids[1:3], Lane.URGENT)
        await made.engine.admit(ids[3:], Lane.URGENT)
        await asyncio.sleep(2)

    assert statuses(made) == {"sent": 4}


@virtually
async def test_hints_beyond_the_buffer_are_dropped_and_found_in_the_store() -> None:
    """The buffer is bounded, and a wake-up that is dropped loses nothing."""
    made = world()
    ids = fill(made, 5, due=NOW + 5 * SECOND)
    made.engine.offer([f"em_none_{n}" for n in range(BUFFERED - 2)], Lane.TRANSACTIONAL)
    made.engine.offer(ids, Lane.TRANSACTIONAL)

    assert made.engine.waiting == {Lane.URGENT: 0, Lane.TRANSACTIONAL: BUFFERED, Lane.BULK: 0}
    async with at_work(made):
        await asyncio.sleep(4)
        assert statuses(made) == {"sent": 2, "queued": 3}
        await asyncio.sleep(4)

    assert statuses(made) == {"sent": 5}


@virtually
async def test_without_any_wake_up_due_emails_are_found() -> None:
    """I4: delivery needs no queue."""
    made = world()
    fill(made, 10, due=NOW + 3 * SECOND)

    async with at_work(made):
        await asyncio.sleep(2.9)
        assert statuses(made) == {"queued": 10}
        await asyncio.sleep(1)

    assert statuses(made) == {"sent": 10}


@virtually
async def test_what_waits_for_a_provider_that_is_gone_is_sent_by_another() -> None:
    """An e-mail parked for a provider that a restart no longer configures goes out through another within a sweep."""
    p1, p2 = ScriptedProvider("p1"), ScriptedProvider("p2")
    before = World((p1,), rules=RULES, store=CountingStore())
    before.health.known["p1"] = Health(not_before=NOW + HOUR)
    before.put(email())
    await before.courier.attempt("em_1")
    assert before.stored().blocked_on == ("p1",)

    after = World((p2,), rules=RULES, store=before.store)
    async with at_work(after):
        await asyncio.sleep(HOUR.total_seconds() + 1)

    assert after.stored().status is Status.SENT
    assert [one.provider for one in after.stored().attempts] == ["p2"]


@virtually
async def test_what_waits_for_a_used_up_pace_gets_its_reservations() -> None:
    """A provider whose pace is used up for now is not closed: what waits for it reserves a start."""
    made = World([Configured(provider=ScriptedProvider("p1"), max_per_second=1.0)], rules=RULES, store=CountingStore())
    made.health.known["p1"] = Health(next_start=NOW + 50 * SECOND)
    for n in range(5):
        made.put(replace(email(Status.RETRYING, blocked_on=("p1",)), id=f"em_{n}"))

    async with at_work(made):
        await asyncio.sleep(1)
        assert [str(one.reason) for one in made.store.emails.values()] == ["reserved"] * 5
        await asyncio.sleep(60)

    assert statuses(made) == {"sent": 5}


@virtually
async def test_a_lane_that_waits_hides_no_other() -> None:
    """Due e-mails of other lanes are found while bulk wake-ups wait for their share of the slots."""
    made = world(Slow(10))
    made.engine.offer(fill(made, 50, Lane.BULK), Lane.BULK)
    fill(made, 2, Lane.URGENT, due=NOW + SECOND)

    async with at_work(made):
        await asyncio.sleep(2)
        assert sum(lane is Lane.URGENT for lane in made.engine._under_way.values()) == 2
        await asyncio.sleep(30)


@virtually
async def test_a_stream_of_wake_ups_hides_no_retry() -> None:
    """Under more new mail than there are slots, what is due in the store still gets its turn."""
    made = world(Slow(1.0))
    due = fill(made, 3, due=NOW + SECOND)

    async def stream() -> None:
        for n in range(100):
            made.put(replace(email(due_at=NOW + HOUR), id=f"em_new_{n}"))
            made.engine.offer([f"em_new_{n}"], Lane.TRANSACTIONAL)
            await asyncio.sleep(0.1)

    async with at_work(made):
        await stream()
        assert all(made.stored(one).status is Status.SENT for one in due)


@virtually
async def test_an_email_that_is_taken_twice_is_carried_once() -> None:
    """What is under way is not started again by the store either."""
    slow = Slow(9)
    made = world(slow)
    (email_id,) = fill(made, 1, due=NOW)
    made.engine.offer([email_id], Lane.TRANSACTIONAL)

    async with at_work(made):
        await asyncio.sleep(1)
        made.store._wake_at[email_id] = NOW
        await asyncio.sleep(7)
        assert slow.order == [email_id]


@virtually
async def test_submitted_emails_are_sent_through_the_engine() -> None:
    """Submit, wake-up, attempt: the whole way in one process."""

    class Connected(MemoryQueue):
        """A queue that hands its wake-ups to an engine."""

        def connect(self, offer: Callable[..., None]) -> None:
            self.offer = offer

        async def enqueue(self, email_ids: Sequence[str], *, lane: Lane) -> None:
            self.offer(email_ids, lane)

    made = world(queue=Connected())

    async with at_work(made):
        added = await made.mailer.submit(message())
        settled = await made.mailer.wait(added.email.id)

    assert settled.status is Status.SENT
    assert settled.settled_at == NOW


# Idling


def _idle_minutes(made: World) -> Counter[str]:
    """Return what a store is asked in ten minutes."""

    async def scenario() -> Counter[str]:
        async with at_work(made):
            await asyncio.sleep(1)
            made.store.asked.clear()
            await asyncio.sleep(600)
            return Counter(made.store.asked)

    return run(scenario())


def test_an_idle_engine_asks_little() -> None:
    """With nothing to do it looks into each lane once per poll, and at nothing else."""
    asked = _idle_minutes(world())

    assert asked["take_due"] <= 3 * 1200 + 3
    assert set(asked) == {"take_due"}


def test_with_all_providers_away_nothing_spins() -> None:
    """I30: a backlog is parked once each, and then only looked past."""
    made = world()
    made.health.known["p1"] = Health(not_before=NOW + 2 * HOUR)
    fill(made, 100, due=NOW)

    asked = _idle_minutes(made)

    assert asked["get"] + asked["save"] == 0
    assert statuses(made) == {"retrying": 100}


def test_with_all_slots_of_a_provider_taken_nothing_spins() -> None:
    """E-mails that find no slot are hidden for a while, not read again and again."""

    class Hanging:
        """A provider that never answers, and one that cannot take the mail."""

        async def __call__(self, _send: Send) -> Outcome:
            await asyncio.sleep(10**6)
            return Accepted()

    p1, p2 = ScriptedProvider("p1", Hanging()), ScriptedProvider("p2", lambda _send: Deferred(code="503", detail=""))
    made = World((p1, p2), rules=RULES, pace=Pace(slots=8), store=CountingStore())
    fill(made, 40, due=NOW)

    async def scenario() -> Counter[str]:
        engine = asyncio.create_task(made.engine.run())
        await asyncio.sleep(60)
        made.store.asked.clear()
        await asyncio.sleep(60)
        asked = Counter(made.store.asked)
        await made.engine.stop(timedelta())
        await engine
        return asked

    asked = run(scenario())

    assert len(p1.sends) == 4
    assert asked["get"] <= 40 * 60 / 5 + 40


def test_a_store_that_is_down_is_asked_once_per_poll() -> None:
    """A failing store is told and asked again later, not in a loop."""
    made = world()

    async def scenario() -> None:
        async with at_work(made):
            made.store.down = True
            await asyncio.sleep(10)
            made.store.down = False
            made.engine.offer(fill(made, 1), Lane.TRANSACTIONAL)
            await asyncio.sleep(1)

    run(scenario())

    assert 20 <= len(made.told(Happening.STORE_FAILED)) <= 66
    assert statuses(made) == {"sent": 1}


@virtually
async def test_an_email_that_cannot_be_carried_frees_its_slot() -> None:
    """An error of the store in mid-attempt is told, and the engine goes on."""
    made = world(slots=1)
    ids = fill(made, 2)
    stale = made.store.save

    async def broken(one: Email) -> None:
        made.store.save = stale
        made.store.emails.pop(one.id)
        made.store._wake_at.pop(one.id)
        await stale(one)

    made.store.save = broken
    made.engine.offer(ids, Lane.TRANSACTIONAL)
    async with at_work(made):
        await asyncio.sleep(1)

    assert made.told(Happening.STORE_FAILED)
    assert statuses(made) == {"sent": 1}
    assert made.engine.free == 1


@virtually
async def test_a_fault_about_one_email_does_not_end_the_delivery_of_the_others() -> None:
    """What nobody foresaw is told once, with the e-mail's id and without the exception's text, and the slot is free."""
    made = world(slots=1)
    ids = fill(made, 3)
    sound = made.store.save

    async def broken(saved: Email) -> None:
        if saved.id == ids[0]:
            raise ZeroDivisionError("bob@example.com")
        await sound(saved)

    made.store.save = broken
    made.engine.offer(ids, Lane.TRANSACTIONAL)
    async with at_work(made):
        await asyncio.sleep(1)

    (told,) = made.told(Happening.UNEXPECTED)
    assert told.email_id == ids[0]
    assert "ZeroDivisionError at" in told.note
    assert "in broken" in told.note
    assert "bob" not in told.note
    assert statuses(made) == {"sent": 2, "queued": 1}
    assert made.engine.free == 1


@virtually
async def test_a_store_with_a_fault_is_asked_again() -> None:
    """An exception that the port does not name is told like one that it names, and the engine looks again later."""
    made = world()
    fill(made, 1, due=NOW)
    sound = made.store.take_due

    async def broken(_now: datetime, _due: Due) -> Sequence[str]:
        raise ZeroDivisionError

    made.store.take_due = broken
    async with at_work(made):
        await asyncio.sleep(10)
        made.store.take_due = sound
        await asyncio.sleep(1)

    assert 20 <= len(made.told(Happening.UNEXPECTED)) <= 66
    assert statuses(made) == {"sent": 1}


@virtually
async def test_an_engine_that_cannot_go_on_says_so_in_the_end() -> None:
    """A watcher that raises leaves nobody to tell: the engine ends, and leaving its context raises."""
    made = world()
    made.store.down = True

    def raising(event: object) -> None:
        raise ZeroDivisionError(event)

    ports = dataclasses.replace(made.ports, watch=raising)
    with pytest.raises(ZeroDivisionError):
        async with running(assembled(ports, Tuning()).engine):
            await asyncio.sleep(1)


@virtually
async def test_without_a_watcher_what_nobody_foresaw_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A program that watches nothing still hears of faults, and of nothing else."""
    made = world()
    made.store.down = True

    async def broken(_now: datetime, _due: Due) -> Sequence[str]:
        raise ZeroDivisionError

    engine = assembled(dataclasses.replace(made.ports, watch=look_away), Tuning()).engine
    async with running(engine):
        await asyncio.sleep(1)
        assert caplog.records == []
        made.store.take_due = broken
        await asyncio.sleep(0.5)

    assert {(one.name, one.levelname) for one in caplog.records} == {("mailcore", "ERROR")}
    assert "ZeroDivisionError at" in caplog.records[0].message


# Solo


@virtually
async def test_crashed_emails_are_retried_one_at_a_time() -> None:
    """P10: after a crash an e-mail runs alone, and others flow past it."""
    slow = Slow()
    made = world(slow)
    for n in range(3):
        crashed = email(Status.SENDING, attempts=(attempt(),), lease_until=NOW)
        made.put(replace(crashed, id=f"em_c{n}"))

    async with at_work(made):
        await asyncio.sleep(0.6)
        assert slow.now == 1
        made.engine.offer(fill(made, 3), Lane.TRANSACTIONAL)
        await asyncio.sleep(0.1)
        assert slow.now == 4
        await asyncio.sleep(4)

    assert statuses(made) == {"sent": 6}


@virtually
async def test_what_waits_for_its_solo_turn_is_not_started_again() -> None:
    """Hints and sweeps of an e-mail in the solo line cost nothing."""
    made = world(Slow(20))
    for n in range(3):
        crashed = email(Status.SENDING, attempts=(attempt(),), lease_until=NOW)
        made.put(replace(crashed, id=f"em_c{n}"))

    async with at_work(made):
        await asyncio.sleep(1)
        made.store.asked.clear()
        made.engine.offer(["em_c1", "em_c2"] * 10, Lane.TRANSACTIONAL)
        await asyncio.sleep(18)
        assert made.store.asked["get"] == 0
        await asyncio.sleep(45)

    assert statuses(made) == {"sent": 3}


@virtually
async def test_the_solo_line_is_bounded() -> None:
    """Beyond its bound an e-mail is left to be found again by its lease."""
    made = world()
    for n in range(SOLO + 5):
        made.engine._queue_solo(f"em_{n}")

    assert len(made.engine._solo) == SOLO
    await made.engine.stop(SECOND)


@pytest.mark.parametrize(
    ("error", "told"),
    [(StaleEmailError("broken"), Happening.STORE_FAILED), (ZeroDivisionError(), Happening.UNEXPECTED)],
)
@virtually
async def test_a_solo_retry_that_fails_ends_no_line(error: Exception, told: Happening) -> None:
    """One that cannot be carried is told, and the next has its turn."""
    made = world()
    for n in range(2):
        crashed = email(Status.SENDING, attempts=(attempt(),), lease_until=NOW)
        made.put(replace(crashed, id=f"em_c{n}"))
    real = made.courier.attempt

    async def failing(email_id: str, *, solo: bool = False, fetched: Fetched | None = None) -> Carried:
        if solo and email_id == "em_c0":
            raise error
        return await real(email_id, solo=solo, fetched=fetched)

    made.courier.attempt = failing
    async with at_work(made):
        await asyncio.sleep(1)

    assert made.stored("em_c1").status is Status.SENT
    assert len(made.told(told)) == 1


# Stopping


@virtually
async def test_a_polite_stop_lets_end_what_is_under_way() -> None:
    """I37: what was begun is finished, what was not is untouched, and nothing is unknown."""
    made = world(Slow())
    made.engine.offer(fill(made, 20), Lane.TRANSACTIONAL)
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(0.5)

    assert await made.engine.stop(25 * SECOND)
    await engine

    assert statuses(made) == {"sent": 4, "queued": 16}
    assert made.ports.clock.monotonic() <= 1.5


@virtually
async def test_what_does_not_end_in_time_is_cancelled_and_its_lease_tells() -> None:
    """An attempt that outlasts the stop stays open in the record, for its lease to lapse."""
    made = world(Slow(3600))
    made.engine.offer(fill(made, 2), Lane.TRANSACTIONAL)
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert not await made.engine.stop(5 * SECOND)
    await engine

    assert statuses(made) == {"sending": 2}
    assert made.engine.free == 4
    assert not made.engine._tasks


@virtually
async def test_a_stop_in_mid_save_loses_nothing() -> None:
    """A task that is cancelled while its claim is saved leaves an e-mail that is found again."""

    class Stalling(CountingStore):
        """A store that takes its time to save."""

        async def save(self, email: Email) -> None:
            await asyncio.sleep(60)
            await super().save(email)

    made = world(store=Stalling())
    made.engine.offer(fill(made, 2), Lane.TRANSACTIONAL)
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert not await made.engine.stop(SECOND)
    await engine

    assert all(one.wake_at for one in made.store.emails.values())
    assert not made.engine._tasks


@virtually
async def test_nothing_is_started_by_a_look_into_the_store_that_a_stop_overtook() -> None:
    """A refill that was under way when the engine stopped leaves no task behind."""

    class SlowToTake(CountingStore):
        """A store that takes its time to say what is due."""

        async def take_due(self, now: datetime, due: Due) -> Sequence[str]:
            found = await super().take_due(now, due)
            await asyncio.sleep(2)
            return found

    made = world(store=SlowToTake())
    fill(made, 3, due=NOW)
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert await made.engine.stop(SECOND)
    await engine

    assert (statuses(made), made.engine._tasks) == ({"queued": 3}, set())


@virtually
async def test_a_stop_waits_for_what_is_being_read() -> None:
    """E-mails whose reading a stop overtook are not sent, and none is left behind as a task."""

    class SlowToRead(CountingStore):
        """A store that takes its time to read."""

        async def fetch(self, email_ids: Sequence[str], /) -> Mapping[str, Fetched]:
            await asyncio.sleep(2)
            return await super().fetch(email_ids)

    made = world(store=SlowToRead())
    made.engine.offer(fill(made, 3), Lane.TRANSACTIONAL)
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert await made.engine.stop(25 * SECOND)
    await engine

    assert (statuses(made), made.engine._tasks, made.engine.free) == ({"queued": 3}, set(), 4)


@virtually
async def test_a_stop_ends_the_solo_line() -> None:
    """Crashed e-mails that wait for their turn are left to others."""
    made = world(Slow(5))
    for n in range(3):
        crashed = email(Status.SENDING, attempts=(attempt(),), lease_until=NOW)
        made.put(replace(crashed, id=f"em_c{n}"))
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert await made.engine.stop(25 * SECOND)
    made.engine._queue_solo("em_late")
    await engine

    assert statuses(made) == {"sent": 1, "sending": 2}
    assert not made.engine._tasks


@virtually
async def test_an_engine_with_nothing_to_do_stops_at_once() -> None:
    """A stop does not wait for the poll."""
    made = world(pace=Pace(slots=1, poll=MINUTE))
    engine = asyncio.create_task(made.engine.run())
    await asyncio.sleep(1)

    assert await made.engine.stop(SECOND)
    await engine

    assert made.ports.clock.monotonic() == 1


def test_an_engine_is_free_at_first() -> None:
    """A new engine has all its slots."""
    assert isinstance(world().engine, Engine)
    assert world().engine.free == 4
