"""The operator's switches: what they mean at one moment, and how a process comes to know and obey them."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, World, email
from tests.dst.virtual import virtually

from mailcore.breaker import Breaker, State
from mailcore.errors import SettingsError, StoreUnavailableError
from mailcore.events import Happening
from mailcore.health import Health, HealthRules, standing
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.outcome import Deferred
from mailcore.ports import Configured
from mailcore.standing import Mode, Obstacle, Override
from mailcore.switchboard import FRESH_FOR, PATIENCE, Switchboard
from mailcore.switches import Switch, Switches, in_force, lane_switch, overridden, paused, provider_switch
from mailcore.testing import ManualClock, MemoryStore, ScriptedProvider

STOP = Switch(mode=Mode.STOPPED, since=NOW)
FORCE = replace(STOP, mode=Mode.FORCED)
AUTO = replace(STOP, mode=Mode.AUTO)
OPEN = Health(breaker=Breaker(state=State.OPEN, opened_at=NOW, reopens_at=NOW + HOUR))


class CountingStore(MemoryStore):
    """A MemoryStore that counts how often its switches are read, and may take its time.

    Attributes:
        takes: How many seconds a reading takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.takes = 0.0

    async def load_switches(self) -> Switches:
        """Count, and take a while."""
        self.reads += 1
        await asyncio.sleep(self.takes)
        return await super().load_switches()


class Bare:
    """A store that keeps e-mails and nothing else."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.add, self.get, self.content, self.save = store.add, store.get, store.content, store.save
        self.take_due, self.list, self.count, self.aclose = store.take_due, store.list, store.count, store.aclose


# What a switch means


@pytest.mark.parametrize(
    ("switch", "at", "expected"),
    [
        (STOP, NOW + 1000 * HOUR, True),
        (FORCE, NOW, True),
        (AUTO, NOW, False),
        (replace(STOP, until=NOW + SECOND), NOW, True),
        (replace(STOP, until=NOW + SECOND), NOW + SECOND, False),
    ],
)
def test_a_switch_is_in_force_until_its_end(switch: Switch, at: datetime, expected: bool) -> None:
    """A word holds until its moment, or for ever; `auto` changes nothing."""
    assert in_force(switch, at) is expected


@given(lane=st.sampled_from(Lane), named=st.sampled_from([*Lane, "all"]), mode=st.sampled_from(Mode))
def test_a_lane_is_paused_by_its_own_switch_or_by_that_of_all(lane: Lane, named: str, mode: Mode) -> None:
    """Another lane's switch says nothing to this one."""
    switches = {lane_switch(named): replace(STOP, mode=mode)}

    assert paused(switches, lane, NOW) is (named in {lane, "all"} and mode is not Mode.AUTO)


def test_a_resumed_lane_stays_paused_as_long_as_all_are() -> None:
    """Resuming one lane takes back the word on that lane, not the one on everything."""
    assert paused({"lane:bulk": AUTO, "lane:all": STOP}, Lane.BULK, NOW)


def test_a_switch_stands_above_the_shared_word() -> None:
    """The operator's word in the store replaces whatever the workers share, `auto` included; without one that stays."""
    shared = Health(override=Override(mode=Mode.STOPPED))

    assert overridden(shared, {}, "p1") is shared
    assert overridden(shared, {provider_switch("p2"): FORCE}, "p1") is shared
    assert standing(overridden(shared, {"provider:p1": AUTO}, "p1"), HealthRules(), NOW).obstacle is None
    assert standing(overridden(Health(), {"provider:p1": STOP}, "p1"), HealthRules(), NOW).obstacle is Obstacle.STOPPED


# How a process knows


@virtually
async def test_switches_are_read_once_in_a_while() -> None:
    """However many ask, the store is asked every two seconds at most."""
    made = World(store=CountingStore())
    board = Switchboard(ports=made.ports)

    for _ in range(5):
        await asyncio.gather(*(board.current() for _ in range(100)))
        await asyncio.sleep(FRESH_FOR.total_seconds())

    assert made.store.reads == 5


@virtually
async def test_a_word_in_the_store_is_known_within_its_time() -> None:
    """Another process's word is obeyed within five seconds, the store's patience included."""
    made = World(store=CountingStore())
    board = Switchboard(ports=made.ports)
    await board.current()
    made.store.switches["lane:all"] = STOP

    await asyncio.sleep(FRESH_FOR.total_seconds())
    await board.current()

    assert board.paused(Lane.URGENT)
    assert FRESH_FOR + PATIENCE < 5 * SECOND


@virtually
async def test_after_a_rest_all_wait_for_the_word_of_today() -> None:
    """A process that asked for nothing for long, as a function between two events, begins nothing by an old word."""
    made = World(store=CountingStore())
    board = Switchboard(ports=made.ports)
    await board.current()
    made.store.switches["lane:all"], made.store.takes = STOP, 0.5
    await asyncio.sleep(HOUR.total_seconds())

    known = await asyncio.gather(*(board.current() for _ in range(10)))

    assert [paused(switches, Lane.URGENT, NOW) for switches in known] == [True] * 10


def test_loops_one_after_the_other_share_a_board() -> None:
    """A program that runs one loop for each piece of work reads the switches in each."""
    made = World(store=CountingStore(), clock=ManualClock(NOW))
    board = Switchboard(ports=made.ports)

    async def known() -> list[Switches]:
        return await asyncio.gather(*(board.current() for _ in range(3)))

    assert asyncio.run(known()) == [{}] * 3
    made.clock.advance(HOUR)
    made.store.switches["lane:all"] = STOP

    assert asyncio.run(known()) == [{"lane:all": STOP}] * 3


@virtually
async def test_who_stood_still_doubts_what_he_read() -> None:
    """A process whose clock may have stood still with it asks again at once."""
    made = World(store=CountingStore())
    board = Switchboard(ports=made.ports)
    await board.current()
    made.store.switches["lane:all"] = STOP

    board.doubt()

    assert await board.current() == {"lane:all": STOP}


@virtually
async def test_a_silent_store_keeps_the_last_known_word() -> None:
    """A stop does not end because the store blinked; it is told, and asked for again later, not by everybody."""
    made = World(store=CountingStore())
    made.store.switches["lane:all"] = STOP
    board = Switchboard(ports=made.ports)
    await board.current()
    made.store.down = True

    await asyncio.sleep(HOUR.total_seconds())
    await asyncio.gather(*(board.current() for _ in range(10)))

    assert board.paused(Lane.BULK)
    assert made.store.reads == 2
    assert [event.note.partition(":")[0] for event in made.told(Happening.STORE_FAILED)] == ["switches"]


@virtually
async def test_nobody_goes_ahead_before_the_switches_are_read_for_the_first_time() -> None:
    """Of many e-mails that start with the process none begins in a lane that was paused before."""
    made = World(store=CountingStore())
    made.store.switches["lane:all"] = STOP
    made.store.takes = 0.5
    board = Switchboard(ports=made.ports)

    known = await asyncio.gather(*(board.current() for _ in range(10)))

    assert [dict(one) for one in known] == [{"lane:all": STOP}] * 10
    assert made.store.reads == 1


@virtually
async def test_a_slow_store_is_not_waited_for() -> None:
    """Whoever needs the switches waits a second for a frozen store, then goes by what is known."""
    made = World(store=CountingStore())
    board = Switchboard(ports=made.ports)
    made.store.takes = 60.0

    await board.current()

    assert made.clock.monotonic() == PATIENCE.total_seconds()
    assert len(made.told(Happening.STORE_FAILED)) == 1


@virtually
async def test_who_says_a_word_obeys_it_at_once() -> None:
    """In the process where it was said nothing old is gone by."""
    made = World()
    board = Switchboard(ports=made.ports)
    await board.current()

    await board.turn("lane:all", STOP)

    await board.current()
    assert board.paused(Lane.BULK)


@virtually
async def test_with_a_store_that_keeps_no_switches_nothing_is_switched() -> None:
    """Such a store still sends; a word is refused rather than forgotten."""
    made = World(store=Bare())  # type: ignore[arg-type] # less than the fake
    board = Switchboard(ports=made.ports)

    with pytest.raises(SettingsError, match="cannot keep switches"):
        await board.turn("lane:all", STOP)

    assert dict(await board.current()) == {}


@virtually
async def test_whether_a_store_keeps_switches_is_asked_once() -> None:
    """An e-mail does not pay for the question: it costs more than all the rest that is asked for it."""
    asked: list[str] = []

    class Nosy(Bare):
        """A store that notes what of it is looked at."""

        def __getattr__(self, name: str) -> object:
            asked.append(name)
            raise AttributeError(name)

    board = Switchboard(ports=World(store=Nosy()).ports)  # type: ignore[arg-type] # less than the fake
    asked.clear()

    for _ in range(10):
        await board.current()

    assert asked == []


@virtually
async def test_a_word_that_may_not_have_been_kept_is_told_so() -> None:
    """The operator must know that nothing may have stopped."""
    made = World()
    made.store.down = True

    with pytest.raises(StoreUnavailableError):
        await Switchboard(ports=made.ports).turn("lane:all", STOP)


# How it is obeyed


@virtually
async def test_a_stopped_provider_is_passed_over() -> None:
    """The other one takes all; the e-mail says why."""
    made = World((ScriptedProvider("p1"), ScriptedProvider("p2")))
    made.store.switches["provider:p1"] = STOP
    made.put(email())

    await made.courier.attempt("em_1")

    (attempt,) = made.stored().attempts
    assert attempt.provider == "p2"
    assert [(one.provider, one.reason) for one in attempt.why.passed_over] == [("p1", "stopped")]


@virtually
async def test_a_forced_provider_is_tried_though_its_breaker_is_open() -> None:
    """The operator knows better; repeats and pace, which ask the shared health, go by the same word."""
    made = World([Configured(provider=ScriptedProvider("p1"), max_per_second=10)])
    made.store.switches["provider:p1"] = FORCE
    made.health.known["p1"] = OPEN
    made.put(email())

    await made.courier.attempt("em_1")

    assert made.stored().status is Status.SENT
    assert made.health.known["p1"].override is None
    assert made.health.known["p1"].breaker.state is State.OPEN


@pytest.mark.parametrize("lane", Lane)
def test_a_paused_lane_begins_nothing(lane: Lane) -> None:
    """Neither a wake-up nor the store's due ones begin an attempt, urgent or not, and the e-mail is as it was."""

    @virtually
    async def scenario() -> None:
        made = World((ScriptedProvider("p1"),))
        made.store.switches[lane_switch(lane)] = STOP
        before = made.put(email(lane=lane))

        await made.courier.attempt("em_1")
        due = await made.courier.due(lane, 10, MINUTE)

        assert (made.stored(), list(due)) == (before, [])

    scenario()


@virtually
async def test_a_resumed_lane_goes_on() -> None:
    """What was left alone is due and is sent."""
    made = World((ScriptedProvider("p1"),))
    made.store.switches["lane:all"] = replace(STOP, until=NOW + 10 * SECOND)
    made.put(email())
    await made.courier.attempt("em_1")

    await asyncio.sleep(10)
    due = await made.courier.due(Lane.TRANSACTIONAL, 10, MINUTE)
    await made.courier.attempt(*due)

    assert made.stored().status is Status.SENT


@virtually
async def test_a_pause_stops_the_failover_too() -> None:
    """After a clean failure in a lane that was paused meanwhile the e-mail is put back, due, with nothing used up."""
    made = World((ScriptedProvider("p1"), ScriptedProvider("p2")))

    def fail(_: object) -> Deferred:
        made.courier.roster.board.known = {"lane:all": STOP}
        made.store.switches["lane:all"] = STOP
        return Deferred(code="503", detail="busy")

    for one in made.ports.providers:
        one.provider.script(fail)  # type: ignore[attr-defined] # a fake
    made.put(email())

    await made.courier.attempt("em_1")

    stored = made.stored()
    assert (stored.status, stored.due_at, stored.rounds, len(stored.attempts)) == (Status.RETRYING, NOW, 0, 1)


@virtually
async def test_a_pause_lets_nothing_live_beyond_its_age() -> None:
    """An e-mail whose time has run out while its lane was paused is given up, and not sent."""
    made = World((ScriptedProvider("p1"),))
    made.store.switches["lane:all"] = STOP
    made.put(email())
    await asyncio.sleep(timedelta(days=2).total_seconds())

    await made.courier.attempt("em_1")

    assert (made.stored().status, made.stored().reason) == (Status.FAILED, "gave_up")
