"""The scheduler: wakes workers up, lets go, leads alone; and two that both lead break nothing (I36)."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, World, email
from tests.dst.virtual import virtually

from mailcore.assembly import running
from mailcore.courier import Courier
from mailcore.engine import HIDE_FOR
from mailcore.events import Happening
from mailcore.leadership import Leadership, Lease
from mailcore.lifecycle import Email, Status
from mailcore.message import Lane
from mailcore.outcome import Accepted, Outcome
from mailcore.provider import Send
from mailcore.retention import Retention, RetentionRules
from mailcore.roster import Roster
from mailcore.scheduler import Scheduler, SweepRules
from mailcore.standing import Mode
from mailcore.switches import Switch
from mailcore.testing import MemoryStore, ScriptedProvider

DAY = timedelta(days=1)


class YesStore(MemoryStore):
    """A store that gives its lease to whoever asks."""

    async def swap_lease(self, before: Lease | None, after: Lease) -> bool:
        """Say yes."""
        await super().swap_lease(before, after)
        return True

    async def load_lease(self, name: str) -> Lease | None:
        """Know of no other holder."""
        await super().load_lease(name)
        return None


def due(**fields: object) -> Email:
    """Return an e-mail that is due from the beginning on."""
    return replace(email(due_at=NOW), **fields)


def scheduler(made: World, holder: str = "me", age: timedelta = DAY, **rules: object) -> Scheduler:
    """Return a scheduler in a world."""
    swept = SweepRules(**{"page": 10, **rules})
    roster = Roster(ports=made.ports, rules=made.rules, slots=swept.page)
    return Scheduler(
        courier=Courier(
            ports=made.ports,
            rules=made.rules,
            roster=roster,
            records=made.courier.records,
            suppressions=made.courier.suppressions,
        ),
        leadership=Leadership(store=made.store, clock=made.clock, holder=holder),
        retention=Retention(store=made.store, records=made.courier.records, rules=RetentionRules(records=age)),
        rules=swept,
    )


@asynccontextmanager
async def at_work(*schedulers: Scheduler) -> AsyncGenerator[None]:
    """Run schedulers, and stop them in the end."""
    tasks = [asyncio.create_task(one.run()) for one in schedulers]
    yield
    for one in schedulers:
        one.stop()
    await asyncio.gather(*tasks)


def world(store: MemoryStore | None = None) -> World:
    """Return a world with one provider."""
    return World((ScriptedProvider("p1"),), store=store or MemoryStore())


@virtually
async def test_workers_are_woken_up_for_what_is_due() -> None:
    """Each lane by its own queue, soon after it has been due for the grace."""
    made = world()
    for lane in Lane:
        made.put(due(lane=lane, id=f"em_{lane}"))

    async with at_work(scheduler(made)):
        await asyncio.sleep(8)

    assert sorted(made.queue.enqueued) == sorted((lane, f"em_{lane}") for lane in Lane)


@virtually
async def test_what_has_just_become_due_is_left_to_workers() -> None:
    """They look into the store themselves: two would be woken up for one e-mail."""
    made = world()
    me = scheduler(made, grace=10 * SECOND)
    made.put(due())
    await me.campaign()

    await asyncio.sleep(9.9)
    await me.sweep()
    early = list(made.queue.enqueued)
    await asyncio.sleep(0.1)
    await me.sweep()

    assert (early, made.queue.enqueued) == ([], [(Lane.TRANSACTIONAL, "em_1")])


@virtually
async def test_what_was_woken_up_is_left_alone_for_a_while() -> None:
    """A second sweep does not wake the same ones; should the wake-up be lost, a later one does."""
    made = world()
    me = scheduler(made)
    made.put(due())
    await asyncio.sleep(2)
    await me.campaign()

    counts = []
    for wait in (0, HIDE_FOR.total_seconds() + 1.9, 0.1):
        await asyncio.sleep(wait)
        await me.sweep()
        counts.append(len(made.queue.enqueued))

    assert counts == [1, 1, 2]


@virtually
async def test_no_more_are_woken_up_than_a_page() -> None:
    """A backlog is woken up page by page, the longest overdue first."""
    made = world()
    for n in range(25):
        made.put(replace(email(due_at=NOW - (25 - n) * SECOND), id=f"em_{n:02d}"))
    me = scheduler(made)
    await me.campaign()

    await me.sweep()

    assert [email_id for _, email_id in made.queue.enqueued] == [f"em_{n:02d}" for n in range(10)]


@pytest.mark.parametrize("name", ["lane:transactional", "lane:all"])
def test_a_paused_lane_is_not_woken_up(name: str) -> None:
    """There is nothing to begin."""

    @virtually
    async def scenario() -> None:
        made = world()
        made.put(due())
        made.store.switches[name] = Switch(mode=Mode.STOPPED, since=NOW)

        async with at_work(scheduler(made)):
            await asyncio.sleep(30)

        assert made.queue.enqueued == []

    scenario()


@virtually
async def test_where_a_queue_reaches_nobody_nobody_is_woken_up() -> None:
    """With a queue of one process its own engine finds what is due; hidden by a sweep it would find it later."""
    made = world()
    made.put(due())

    async with at_work(scheduler(made, wakes=False)):
        await asyncio.sleep(30)

    assert made.queue.enqueued == []
    assert made.store._wake_at["em_1"] == made.stored().wake_at


@virtually
async def test_only_the_leader_acts() -> None:
    """Of two schedulers one wakes up and lets go; when it stops the other one does, at once."""
    made = world()
    made.put(due())
    first, second = scheduler(made, "first"), scheduler(made, "second")
    await first.campaign()

    async with at_work(second):
        await asyncio.sleep(6)
        before = list(made.queue.enqueued)
        async with at_work(first):
            await asyncio.sleep(6)
        woken = len(made.queue.taken())
        await asyncio.sleep(12)

    assert (before, woken) == ([], 1)
    assert made.queue.enqueued
    assert made.store.leases["scheduler"].term == 2


@virtually
async def test_a_leader_that_was_stopped_for_a_minute_does_nothing_before_it_leads_again() -> None:
    """Its trust is over: no sweep and no retention until the store has given it the lease anew (I35, P7)."""
    made = world()
    made.put(replace(email(Status.SENT), id="em_old"))
    me, other = scheduler(made, "me"), scheduler(made, "other")
    await me.campaign()
    await asyncio.sleep(2 * DAY.total_seconds())
    made.put(due())
    await other.campaign()

    await me.sweep()
    await me.retain()

    assert made.queue.enqueued == []
    assert "em_old" in made.store.emails


@virtually
async def test_a_lost_wake_up_is_told_and_found_again() -> None:
    """A queue that does not answer stops neither the sweep nor what else there is to do."""
    made = world()
    made.put(due())
    made.queue.down = True

    async with at_work(scheduler(made)):
        await asyncio.sleep(8)
        made.queue.down = False
        await asyncio.sleep(16)

    assert made.queue.enqueued
    assert [event.note.partition(":")[0] for event in made.told(Happening.WAKE_UP_LOST)] == ["1 wake-ups"]


@virtually
async def test_a_sweep_that_found_something_is_told() -> None:
    """Whoever traces learns how long it took to wake how many up; one that found nothing is no news."""
    made = world()
    made.put(due())

    async with at_work(scheduler(made)):
        await asyncio.sleep(8)

    [swept] = made.told(Happening.SWEPT)
    assert swept.note == f"1 of {due().lane}"
    assert swept.began is not None


@virtually
async def test_a_frozen_queue_holds_nobody_up() -> None:
    """A wake-up has its budget here as well."""
    made = world()
    made.put(due())

    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(DAY.total_seconds())

    made.queue.enqueue = never
    me = scheduler(made)
    await asyncio.sleep(2)
    await me.campaign()

    await me.sweep()

    assert made.clock.monotonic() < 3
    assert made.told(Happening.WAKE_UP_LOST)


@virtually
async def test_a_fault_in_one_duty_ends_no_scheduler() -> None:
    """What nobody foresaw is told, and the next turn goes well."""
    made = world()
    made.put(due())
    sound = made.store.take_due

    async def broken(*_: object) -> None:
        made.store.take_due = sound
        raise ZeroDivisionError

    made.store.take_due = broken
    async with at_work(scheduler(made)):
        await asyncio.sleep(60)

    assert len(made.told(Happening.UNEXPECTED)) == 1
    assert made.queue.enqueued


@virtually
async def test_a_store_that_is_gone_for_a_while_ends_no_scheduler() -> None:
    """It is told, and once the store is back the scheduler leads again."""
    made = world()
    made.put(due())

    async with at_work(scheduler(made)):
        made.store.down = True
        await asyncio.sleep(60)
        told = len(made.told(Happening.STORE_FAILED))
        made.store.down = False
        await asyncio.sleep(20)

    assert told
    assert made.queue.enqueued


@virtually
async def test_what_is_old_is_let_go_by_the_leader() -> None:
    """Within a minute of its age, without anybody asking for it."""
    made = world()
    made.put(email(Status.SENT))
    await asyncio.sleep((DAY - MINUTE).total_seconds())

    async with at_work(scheduler(made)):
        await asyncio.sleep(30)
        before = set(made.store.emails)
        await asyncio.sleep(100)

    assert (before, set(made.store.emails)) == ({"em_1"}, set())


@virtually
async def test_two_that_both_lead_waste_work_and_break_nothing() -> None:
    """With a lease that says yes to everybody each e-mail is sent once, none early, and what is old goes (I36)."""
    made = world(YesStore())
    provider = made.ports.providers[0].provider
    ids = [f"em_{n:02d}" for n in range(40)]
    for n, email_id in enumerate(ids):
        made.put(replace(email(due_at=NOW + n * SECOND), id=email_id))
    sent_at: dict[str, float] = {}

    def answer(send: Send) -> Outcome:
        sent_at[send.email_id] = made.clock.monotonic()
        return Accepted()

    provider.script(answer)  # type: ignore[attr-defined] # a fake

    async def carry_wake_ups() -> None:
        while True:
            for lane, email_id in made.queue.taken():
                made.engine.offer([email_id, email_id], lane)
            await asyncio.sleep(1)

    twins = [scheduler(made, name, age=HOUR / 4, grace=timedelta()) for name in ("me", "you")]
    carrying = asyncio.create_task(carry_wake_ups())
    async with running(made.engine), at_work(*twins):
        await asyncio.sleep(5 * MINUTE.total_seconds())
        led = [one.leading() for one in twins]
        await asyncio.sleep(HOUR.total_seconds() / 2)
    carrying.cancel()

    sends = Counter(send.email_id for send in provider.sends)  # type: ignore[attr-defined] # a fake
    assert led == [True, True]
    assert sends == dict.fromkeys(ids, 1)
    assert all(sent_at[email_id] >= n for n, email_id in enumerate(ids))
    assert made.store.emails == {}
    assert {one.status for one in made.store.tombstones.values()} == {Status.SENT}
