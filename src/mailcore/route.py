"""Which providers could take an e-mail now, and why the others could not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from mailcore.attempt import Attempt, PassedOver
from mailcore.health import Obstacle
from mailcore.lifecycle import Email
from mailcore.outcome import Verdict
from mailcore.provider import ProviderView, lacks


class Route(Struct, frozen=True, kw_only=True):
    """The providers sorted by what they could do for one e-mail now.

    Attributes:
        capable: Those that can express the message, whatever else stands against them.
        carriers: Those of the capable ones at which this From is not refused.
        ready: Those of the carriers that take an attempt now.
        paced: Those that would take one but for their pace, which can be reserved.
        full: Those that would take one but for this process's slots.
        passed_over: Everybody who is not ready, with the reason.
        available_at: The earliest moment at which a carrier that is not ready may be; None if unknown.
    """

    capable: tuple[ProviderView, ...]
    carriers: tuple[ProviderView, ...]
    ready: tuple[ProviderView, ...]
    paced: tuple[ProviderView, ...]
    full: tuple[ProviderView, ...]
    passed_over: tuple[PassedOver, ...]
    available_at: datetime | None


class Obstructed(Struct, frozen=True):
    """Why a carrier takes no attempt of this e-mail now, and until when if that is known."""

    reason: str
    until: datetime | None


FULL = "slots"
TRIED = "tried in this round"


def find_route(email: Email, providers: Sequence[ProviderView], now: datetime) -> Route:
    """Return what each provider could do for an e-mail now."""
    if all(_is_clear(email, view, now) for view in providers):
        return _clear(tuple(providers))
    lacking = {view.name: lack for view in providers if (lack := lacks(view.capabilities, email.needs))}
    capable = tuple(view for view in providers if view.name not in lacking)
    carriers = tuple(view for view in capable if view.name not in email.refused_by)
    obstacles = {view.name: found for view in carriers if (found := _obstacle(email, view, now))}
    reasons = {
        **dict.fromkeys(email.refused_by, f"does not know the sender {email.needs.sender_domain}"),
        **lacking,
        **{name: found.reason for name, found in obstacles.items()},
    }
    return Route(
        capable=capable,
        carriers=carriers,
        ready=tuple(view for view in carriers if view.name not in obstacles),
        paced=_stopped_by(Obstacle.PACED, carriers, obstacles),
        full=_stopped_by(FULL, carriers, obstacles),
        passed_over=tuple(PassedOver(view.name, reasons[view.name]) for view in providers if view.name in reasons),
        available_at=min((found.until for found in obstacles.values() if found.until), default=None),
    )


def _is_clear(email: Email, view: ProviderView, now: datetime) -> bool:
    """Return whether nothing keeps a provider from taking an e-mail now."""
    refused = view.name in email.refused_by
    return not refused and lacks(view.capabilities, email.needs) is None and _obstacle(email, view, now) is None


def _clear(views: tuple[ProviderView, ...]) -> Route:
    """Return the route of an e-mail that everybody could take: nearly all are so, and this is quick."""
    return Route(capable=views, carriers=views, ready=views, paced=(), full=(), passed_over=(), available_at=None)


def _stopped_by(
    reason: str, carriers: Sequence[ProviderView], obstacles: dict[str, Obstructed]
) -> tuple[ProviderView, ...]:
    """Return the carriers that nothing but this stands against."""
    return tuple(view for view in carriers if view.name in obstacles and obstacles[view.name].reason == reason)


def _obstacle(email: Email, view: ProviderView, now: datetime) -> Obstructed | None:
    """Return what keeps a carrier from taking this e-mail now, or None.

    Being tried comes first and slots come last: the former is about this e-mail, and the latter passes soonest.
    """
    if tries := [attempt for attempt in email.attempts if attempt.provider == view.name]:
        rest = max((attempt.repeat_at for attempt in tries if attempt.repeat_at), default=now)
        until = max(rest, view.standing.available_at or now)
        if any(spent(attempt, email) for attempt in tries):
            return Obstructed(TRIED, until)
        if rest > now:
            return Obstructed("asked not to be tried again yet", until)
    if view.standing.obstacle:
        return Obstructed(view.standing.obstacle, view.standing.available_at)
    return None if view.free(email.lane) else Obstructed(FULL, now)


def spent(attempt: Attempt, email: Email) -> bool:
    """Whether an attempt used up its provider for the e-mail's present round.

    Only a failure that the provider stated of itself does. One that throttles or knows us no more is kept away by
    `repeat_at` and its standing instead, and a failed probe costs its e-mail nothing: none of these ends a round.
    """
    return (
        attempt.outcome is Verdict.DEFERRED
        and not attempt.probe
        and attempt.round == email.rounds
        and attempt.key == email.key
    )
