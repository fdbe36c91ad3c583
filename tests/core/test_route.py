"""Which providers could take an e-mail now, and why the others could not."""

import pytest
from msgspec.structs import replace
from tests.dst.given import CLEAR, HOUR, MINUTE, NOW, attempt, deferred, email, only, shut, view

from mailcore.lifecycle import Email, Status
from mailcore.message import Lane
from mailcore.outcome import Verdict
from mailcore.provider import BULK_SLOTS
from mailcore.route import Route, find_route, spent
from mailcore.standing import Obstacle

OPEN = shut(Obstacle.OPEN, NOW + MINUTE)


def reasons(route: Route) -> dict[str, str]:
    """Return why each provider was passed over."""
    return {one.provider: one.reason for one in route.passed_over}


def names(views: tuple[object, ...]) -> list[str]:
    """Return the names of providers."""
    return [one.name for one in views]


def test_everybody_is_ready_or_passed_over_with_a_reason() -> None:
    """No provider is left out of the account."""
    views = (
        view("ready"),
        view("weak", capabilities=only(max_recipients=0)),
        view("strict"),
        view("open", standing=OPEN),
        view("paced", standing=shut(Obstacle.PACED, NOW + MINUTE)),
        view("full", slots=1, in_flight=1),
        view("tried"),
    )

    route = find_route(email(refused_by=("strict",), attempts=(deferred(1, "tried"),)), views, NOW)

    assert names(route.ready) == ["ready"]
    assert names(route.paced) == ["paced"]
    assert names(route.full) == ["full"]
    assert names(route.carriers) == ["ready", "open", "paced", "full", "tried"]
    assert names(route.capable) == ["ready", "strict", "open", "paced", "full", "tried"]
    assert reasons(route) == {
        "weak": "takes 0 recipients, the message has 1",
        "strict": "does not know the sender shop.example",
        "open": "open",
        "paced": "paced",
        "full": "slots",
        "tried": "tried in this round",
    }


def test_a_provider_that_is_gone_is_not_mentioned() -> None:
    """A refusal by a provider that is no longer configured concerns nobody."""
    assert find_route(email(refused_by=("gone",)), (view("p1"),), NOW).passed_over == ()


def test_the_first_to_come_back_is_waited_for() -> None:
    """`available_at` is the earliest moment of those that name one."""
    views = (
        view("p1", standing=OPEN),
        view("p2", standing=shut(Obstacle.STOPPED)),
        view("p3", standing=shut("open", NOW + HOUR)),
    )

    assert find_route(email(), views, NOW).available_at == NOW + MINUTE
    assert find_route(email(), views[1:2], NOW).available_at is None


def test_a_rest_and_a_standing_are_waited_for_together() -> None:
    """A provider that rests from this e-mail and is open as well comes back at the later of the two."""
    rested = email(attempts=(attempt(outcome=Verdict.THROTTLED, repeat_at=NOW + HOUR),))

    route = find_route(rested, (view("p1", standing=OPEN),), NOW)

    assert route.available_at == NOW + HOUR
    assert reasons(route) == {"p1": "asked not to be tried again yet"}


def test_the_latest_wish_counts() -> None:
    """Of several wishes of one provider the furthest holds."""
    rested = email(
        attempts=(deferred(1, round=-1, repeat_at=NOW + HOUR), deferred(2, round=-1, repeat_at=NOW + MINUTE))
    )

    assert find_route(rested, (view("p1"),), NOW).available_at == NOW + HOUR


@pytest.mark.parametrize(
    ("fields", "used_up"),
    [
        ({}, True),
        ({"probe": True}, False),
        ({"round": 1}, False),
        ({"key": "em_1.1"}, False),
        ({"outcome": Verdict.THROTTLED}, False),
        ({"outcome": Verdict.MISCONFIGURED}, False),
        ({"outcome": Verdict.UNKNOWN}, False),
    ],
)
def test_only_a_stated_failure_of_this_round_uses_a_provider_up(fields: dict[str, object], used_up: bool) -> None:
    """A round is used up by clean failures of its own, and by no probe, throttle or other series."""
    assert spent(deferred(1, **fields), email()) is used_up


def test_slots_are_looked_at_last() -> None:
    """What stands against a provider for longer is named rather than its slots."""
    full: Email = email(Status.RETRYING)

    route = find_route(full, (view("p1", standing=replace(CLEAR, obstacle=Obstacle.OPEN), slots=1, in_flight=1),), NOW)

    assert reasons(route) == {"p1": "open"}
    assert route.full == ()


@pytest.mark.parametrize(("share", "slots"), [(1.0, 8), (0.5, 4), (0.1, 1)])
def test_bulk_leaves_slots_at_every_provider(share: float, slots: int) -> None:
    """A one-time code finds a slot behind a newsletter even where one provider has to carry it all."""

    def taken(lane: Lane, in_flight: int, bulk: int) -> bool:
        standing = replace(CLEAR, share=share)
        one = view("p1", slots=8, in_flight=in_flight, bulk=bulk, standing=standing)
        return bool(find_route(email(lane=lane), (one,), NOW).ready)

    others = [lane for lane in Lane if lane is not Lane.BULK]
    most = max(1, int(slots * BULK_SLOTS))
    assert [taken(Lane.BULK, n, n) for n in (most - 1, most)] == [True, False]
    assert [taken(Lane.BULK, slots - 1, 0), taken(Lane.BULK, slots, 0)] == [True, False]
    assert all([taken(lane, n, most) for n in (slots - 1, slots)] == [True, False] for lane in others)
