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
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Scope, Throttled
from mailcore.plan import Begin, plan_attempt
from mailcore.ports import Configured
from mailcore.provider import ProviderView
from mailcore.roster import room_for, token_of
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


@pytest.mark.parametrize(
    ("views", "room"),
    [
        ((), 0),
        ((view(slots=4, in_flight=1),), 3),
        ((view(slots=4, in_flight=9),), 0),
        ((view(slots=4), view("p2", slots=4, in_flight=4)), 4),
        ((view(standing=shut("open")), view("p2", slots=2)), 2),
        ((view(slots=100, standing=replace(CLEAR, share=0.1)),), 10),
        ((view(slots=1, standing=replace(CLEAR, share=0.1)),), 1),
        ((view(standing=replace(CLEAR, probe=True, permits=3)),), 3),
    ],
)
def test_room_is_what_open_providers_take(views: tuple[ProviderView, ...], room: int) -> None:
    """I30: probes by permit, the others by the slots that are left to them."""
    assert room_for(views) == room
