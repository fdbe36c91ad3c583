"""The providers as one process sees them."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import CLEAR, MINUTE, NOW, RULES, SECOND, World, attempt, email, shut, view
from tests.dst.virtual import virtually

from mailcore.breaker import State
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Scope, Throttled
from mailcore.plan import Begin, plan_attempt
from mailcore.ports import Configured, Due
from mailcore.provider import ProviderView
from mailcore.roster import admitted, token_of
from mailcore.standing import Obstacle
from mailcore.testing import ScriptedProvider


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
    due = Due(lane=Lane.BULK, limit=1000, hide_for=SECOND, closed=frozenset())
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
