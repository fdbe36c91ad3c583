"""The routes of providers: how they stand, and which one would take a message."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import JSONBody
from msgspec import Struct

from mailapps.api.access import caller_of
from mailapps.api.body import ApiRequest
from mailapps.api.reach import mailer_of, patience
from mailapps.api.rights import OPERATE, SEND
from mailapps.api.switches import SwitchView, shown
from mailapps.api.views import Moment, maybe
from mailcore.health import Obstacle
from mailcore.mailer import Explanation
from mailcore.message import Message
from mailcore.provider import Feature, ProviderView
from mailcore.switches import provider_switch


class StandingView(Struct, frozen=True, kw_only=True):
    """How a configured provider stands now.

    Attributes:
        obstacle: Why it takes no attempt now; null if it does.
        available_at: The earliest moment at which the obstacle may be gone; null if that is not known.
        probing: Its breaker is half-open: a few attempts try it out.
        score: Estimated share of attempts that succeed, 0 to 1.
        share: Share of its slots that it may use now; below 1 only after an outage.
        in_flight: Attempts that the answering process has under way there.
        override: The operator's latest word on it; null if there is none.
        dedupe_window_s: For so many seconds it is sure to recognise a repeat; null if never.
    """

    name: str
    obstacle: Obstacle | None
    available_at: Moment | None
    probing: bool
    override: SwitchView | None
    score: float
    share: float
    weight: float
    max_per_second: float | None
    in_flight: int
    slots: int
    features: tuple[Feature, ...]
    max_bytes: int
    max_recipients: int
    dedupe_window_s: float | None


class ProviderList(Struct, frozen=True):
    """Every configured provider, in configured order."""

    data: tuple[StandingView, ...]


@get("/providers", opt=OPERATE)
async def list_providers(request: ApiRequest) -> ProviderList:
    """List the configured providers and how they stand, as the answering process sees them."""
    with patience(request):
        found = await mailer_of(request).providers()
    return ProviderList(tuple(_standing(one, _override(request, one.name)) for one in found))


@post("/route/explain", status_code=200, opt=SEND)
async def explain_route(request: ApiRequest, data: JSONBody[Message]) -> Explanation:
    """Say which provider would take a message now, and why not the others; nothing is stored or sent."""
    with patience(request):
        return await mailer_of(request).explain(data, tenant=caller_of(request.scope).submits_as)


def _override(request: ApiRequest, provider: str) -> SwitchView | None:
    """Return the operator's latest word on a provider."""
    mailer, name = mailer_of(request), provider_switch(provider)
    switch = mailer.roster.board.known.get(name)
    return None if switch is None else shown(name, switch, mailer.ports.clock.now())


def _standing(provider: ProviderView, override: SwitchView | None) -> StandingView:
    """Return how a provider stands."""
    now, can = provider.standing, provider.capabilities
    return StandingView(
        name=provider.name,
        obstacle=now.obstacle,
        available_at=maybe(now.available_at),
        probing=now.probe,
        override=override,
        score=round(now.score, 4),
        share=round(now.share, 4),
        weight=provider.weight,
        max_per_second=provider.max_per_second,
        in_flight=provider.in_flight,
        slots=provider.slots,
        features=tuple(sorted(can.features)),
        max_bytes=can.max_bytes,
        max_recipients=can.max_recipients,
        dedupe_window_s=can.dedupe_window.total_seconds() if can.dedupe_window else None,
    )


ROUTES: Final = (list_providers, explain_route)
