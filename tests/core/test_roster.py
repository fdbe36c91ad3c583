"""The providers as one process sees them."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import CLEAR, MINUTE, NOW, RULES, SECOND, World, attempt, email, shut, view
from tests.dst.virtual import virtually

from mailcore.breaker import Breaker, State
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Scope, Throttled
from mailcore.plan import Begin, plan_attempt
from mailcore.ports import Configured, Due
from mailcore.provider import ProviderView
from mailcore.roster import HealthChange, admitted, token_of
from mailcore.standing import Mode, Obstacle
from mailcore.switches import Switch
from mailcore.testing import MemoryHealth, ScriptedProvider


def paced(rate: float = 1.0) -> World:
    """Return a process around one provider with a pace."""
    return World([Configured(provider=ScriptedProvider("p1"), max_per_second=rate)])


async def planned(made: World) -> Begin:
    """Return the plan of a fresh e-mail's attempt."""
    begin = plan_attempt(email(), await made.courier.roster.views(), RULES, NOW, 0.5)
    assert isinstance(begin, Begin)
    return begin


@virtually
async def test_without_shared_health_an_attempt_goes_by_what_was_known() -> None:
    """Health that cannot be asked is told, and stops nobody."""
    made = paced()
    begin = await planned(made)
    made.health.down = True

    admission = await made.courier.roster.admit(email(), begin)

    assert admission.granted
    assert made.told(Happening.HEALTH_FAILED)


@virtually
async def test_what_was_known_last_is_kept_while_health_is_down() -> None:
    """A throttled provider stays so in the eyes of a process that cannot ask."""
    made = paced()
    made.health.known["p1"] = Health(not_before=NOW + MINUTE)
    await made.courier.roster.views()
    made.health.down = True

    (seen,) = await made.courier.roster.views()

    assert seen.standing.obstacle == "throttled"


@virtually
async def test_a_standing_is_told_anew_when_time_has_passed() -> None:
    """A provider that was left alone for a while takes attempts after it, though nothing was told of it since."""
    made = paced()
    made.health.known["p1"] = Health(not_before=NOW + SECOND)
    (before,) = await made.courier.roster.views()
    await asyncio.sleep(1)

    (after,) = await made.courier.roster.views()

    assert (before.standing.obstacle, after.standing.obstacle) == ("throttled", None)


@virtually
async def test_a_standing_is_told_anew_when_its_provider_is_switched() -> None:
    """The operator's word counts from the moment in which it is known."""
    made = paced()
    (before,) = await made.courier.roster.views()
    await made.courier.roster.board.turn("provider:p1", Switch(mode=Mode.STOPPED, since=NOW))

    (after,) = await made.courier.roster.views()

    assert (before.standing.obstacle, after.standing.obstacle) == (None, "stopped")


async def half_open(made: World) -> None:
    """Have a process know a provider that may be probed, and then no more than that."""
    made.health.known["p1"] = Health(breaker=Breaker(state=State.OPEN, generation=1, reopens_at=NOW))
    await made.courier.roster.views()
    made.health.down = True


@virtually
async def test_without_shared_health_a_process_makes_no_more_probes_than_there_are_permits() -> None:
    """I29: P permits per process while nobody can be asked; a probe that was asked for twice is one."""
    made = World((ScriptedProvider("p1"),))
    await half_open(made)
    begin = await planned(made)
    roster = made.courier.roster

    asked = [await roster.admit(replace(email(), id=f"em_{n // 2}"), begin) for n in range(20)]

    assert [one.granted for one in asked] == [True] * 6 + [False] * 14
    assert (await roster.views())[0].standing.obstacle == "probing"


@virtually
async def test_without_shared_health_a_failed_probe_opens_the_breaker_here() -> None:
    """The same rules hold with what this process sees alone."""
    made = World((ScriptedProvider("p1"),))
    await half_open(made)
    begin = await planned(made)
    roster = made.courier.roster
    await roster.admit(email(), begin)

    probe = attempt(probe=True, generation=begin.generation)
    await roster.report(email(), probe, Deferred(code="503", detail=""), SECOND)

    assert (await roster.views())[0].standing.obstacle == "open"
    assert made.health.known["p1"].breaker.generation == 1


@pytest.mark.parametrize("theirs", [State.CLOSED, State.OPEN])
def test_when_shared_health_is_back_the_worse_state_wins(theirs: State) -> None:
    """What a process saw alone is told to all, once, and neither forgets what the other knows."""

    @virtually
    async def scenario() -> None:
        made = World((ScriptedProvider("p1"),))
        roster = made.courier.roster
        await roster.views()
        made.health.down = True
        await roster.report(email(), attempt(), Throttled(code="429", detail="", retry_after=MINUTE), SECOND)
        breaker = Breaker(state=theirs, generation=3, reopens_at=NOW + 2 * MINUTE)
        made.health.known["p1"] = Health(breaker=breaker)
        made.health.down = False

        await roster.views()

        merged = made.health.known["p1"]
        assert (merged.not_before, merged.breaker.state, merged.breaker.generation) == (NOW + MINUTE, theirs, 3)
        made.health.known["p1"] = Health()
        assert (await roster.views())[0].standing.obstacle is None

    scenario()


@virtually
async def test_what_is_learnt_while_the_others_are_told_is_told_next() -> None:
    """A report that meets the return of shared health, and a health that is gone again, is not forgotten."""

    class Flickering(MemoryHealth):
        """A health that is gone again for a moment after its first change."""

        told = 0

        async def update(self, provider: str, change: HealthChange, *, at_once: bool = True) -> Health:
            """As the port says."""
            known = await super().update(provider, change, at_once=at_once)
            self.told += 1
            if self.told == 1:
                self.down = True
                await throttled(2 * MINUTE)
                self.down = False
            return known

    made = World((ScriptedProvider("p1"),), health=Flickering())
    roster = made.courier.roster

    async def throttled(wish: timedelta) -> None:
        await roster.report(email(), attempt(), Throttled(code="429", detail="", retry_after=wish), SECOND)

    made.health.down = True
    await throttled(MINUTE)
    made.health.down = False

    (seen,) = await roster.views()
    await roster.views()

    assert seen.standing.available_at == NOW + 2 * MINUTE
    assert made.health.known["p1"].not_before == NOW + 2 * MINUTE
    assert made.health.told == 2


@virtually
async def test_a_seat_is_taken_with_the_choice_and_left_with_the_refusal() -> None:
    """I7 of slots: who is admitted holds one, who is refused holds none."""
    made = paced()
    begin = await planned(made)
    roster = made.courier.roster

    first = await roster.admit(email(), begin)
    assert (first.granted, roster.seated["p1"]) == (True, 1)

    other = replace(email(), id="em_2")
    second = await roster.admit(other, begin)
    assert (second.granted, second.reserved_at, roster.seated["p1"]) == (False, NOW + SECOND, 1)

    roster.leave("em_1")
    roster.leave("em_1")
    assert roster.seated["p1"] == 0


@pytest.mark.parametrize(
    ("outcome", "state", "shut_for"),
    [
        (Accepted(), State.CLOSED, None),
        (Misconfigured(scope=Scope.SENDER, code="403", detail=""), State.CLOSED, None),
        (Misconfigured(scope=Scope.ACCOUNT, code="401", detail=""), State.OPEN, None),
        (Deferred(code="503", detail="", retry_after=MINUTE), State.CLOSED, None),
        (Throttled(code="429", detail="", retry_after=MINUTE), State.CLOSED, MINUTE),
    ],
)
def test_an_outcome_is_told_to_everybody(outcome: Outcome, state: State, shut_for: timedelta | None) -> None:
    """What an attempt says of its provider is shared with all processes."""

    @virtually
    async def scenario() -> None:
        made = paced()
        one = email(Status.SENDING, attempts=(attempt(),))

        await made.courier.roster.report(one, attempt(), outcome, SECOND)

        health = made.health.known["p1"]
        assert health.breaker.state is state
        assert health.not_before == (NOW + shut_for if shut_for else None)

    scenario()


def test_an_attempt_has_a_name_of_its_own() -> None:
    """Permits are told apart by e-mail and number."""
    assert token_of(email(), 3) == "em_1.3"


PACED_OUT = shut(Obstacle.PACED, NOW + 50 * SECOND)
"""A pace that is used up for so long; reservations reach a minute ahead."""


def asked(views: tuple[ProviderView, ...]) -> Due:
    """Return what is taken from the store by a worker with a thousand free slots."""
    due = Due(lane=Lane.TRANSACTIONAL, limit=1000, hide_for=SECOND, closed=frozenset())
    return admitted(due, views, RULES.health, NOW)


@pytest.mark.parametrize(
    ("views", "room"),
    [
        ((view(slots=4, in_flight=1),), 3),
        ((view(slots=4, in_flight=9),), 0),
        ((view(slots=4), view("p2", slots=4, in_flight=4)), 4),
        ((view(standing=shut("open")), view("p2", slots=2)), 2),
        ((view(slots=100, standing=replace(CLEAR, share=0.1)),), 10),
        ((view(slots=1, standing=replace(CLEAR, share=0.1)),), 1),
        ((view(standing=replace(CLEAR, probe=True, permits=3)),), 3),
        ((view(standing=PACED_OUT, max_per_second=8.0, slots=2, in_flight=2),), 80),
        ((view(standing=PACED_OUT, max_per_second=0.25), view("p2", slots=1)), 3),
        ((view(standing=replace(PACED_OUT, probe=True, permits=2), max_per_second=8.0),), 2),
        ((view(standing=replace(PACED_OUT, probe=True, permits=2), max_per_second=0.15),), 1),
        ((view(standing=PACED_OUT, slots=5),), 5),
    ],
)
def test_no_more_is_taken_than_open_providers_take(views: tuple[ProviderView, ...], room: int) -> None:
    """I30: probes by permit, a used-up pace by what may still be reserved, the others by the slots left to them."""
    assert asked(views).limit == room


def test_of_bulk_no_more_is_taken_than_leaves_slots_to_others() -> None:
    """A worker that fills up with a newsletter has slots left for what is urgent."""
    due = Due(lane=Lane.BULK, limit=1000, hide_for=SECOND, closed=frozenset())

    rooms = [admitted(due, (view(slots=8, in_flight=n, bulk=n),), RULES.health, NOW).limit for n in (0, 5, 6, 8)]

    assert rooms == [6, 1, 0, 0]


@virtually
async def test_the_slots_of_bulk_are_counted_apart() -> None:
    """An attempt takes a slot of its lane, and holds none once it has left."""
    made = paced()
    begin, roster = await planned(made), made.courier.roster
    await roster.admit(replace(email(), lane=Lane.BULK), begin)
    (seated,) = await roster.views()
    (known,) = roster.corrected((replace(seated, bulk=9),), "p1", CLEAR)
    roster.leave("em_1")
    (left,) = await roster.views()

    assert [(one.in_flight, one.bulk) for one in (seated, known, left)] == [(1, 1), (1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("views", "closed"),
    [
        ((), set[str]()),
        ((view(), view("p2", slots=1, in_flight=1)), set[str]()),
        ((view(standing=shut("open")), view("p2")), {"p1"}),
        ((view(standing=shut(Obstacle.THROTTLED)), view("p2", standing=shut(Obstacle.STOPPED))), {"p1", "p2"}),
        ((view(standing=PACED_OUT, max_per_second=1.0),), set[str]()),
        ((view(standing=PACED_OUT, max_per_second=0.01),), {"p1"}),
    ],
)
def test_closed_is_who_is_shut_or_reserved_up(views: tuple[ProviderView, ...], closed: set[str]) -> None:
    """Who has no slot free, or nothing but his pace used up, is still worth a look."""
    assert asked(views).closed == closed


def test_while_all_are_closed_the_others_are_taken_to_be_parked() -> None:
    """An e-mail that waits for nobody yet is planned once, so that it does."""
    assert asked((view(standing=shut("open")),)).limit == 1000
