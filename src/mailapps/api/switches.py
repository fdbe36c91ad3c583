"""The routes of stop switches: stop or force a provider, pause lanes, and see what was switched, by whom and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from litestar import get, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from mailapps.api.body import ApiRequest
from mailapps.api.filters import Aware
from mailapps.api.heads import request_id
from mailapps.api.problems import ApiCode, RefusedError
from mailapps.api.reach import mailer_of, patience
from mailapps.api.rights import OPERATE
from mailapps.api.views import Moment, maybe, moment
from mailcore.errors import Problem
from mailcore.message import Lane
from mailcore.problems import ProblemCode, line_problem
from mailcore.standing import Mode
from mailcore.switches import EVERYTHING, Switch, in_force, lane_switch, provider_switch

REASON_LENGTH: Final = 500
BY_LENGTH: Final = 100


class SwitchMode(StrEnum):
    """How a switch stands: a provider is stopped or forced, a lane is paused, and either may be left to itself."""

    AUTO = "auto"
    STOPPED = "stopped"
    FORCED = "forced"
    PAUSED = "paused"


class Word(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of a switch beside its mode.

    Attributes:
        until: When it ends by itself; null if it does not.
        reason: Why, for people. One line, at most 500 characters.
        by: Who says it; the request's id if nobody is named. One line, at most 100 characters.
    """

    until: Aware | None = None
    reason: str = ""
    by: str | None = None

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Yield what nobody could read later, and an end before the beginning."""
        if self.until and not _is_ahead(self.until, now):
            yield Problem("/until", ProblemCode.OUT_OF_RANGE, "must be ahead, and within the calendar")
        texts = (("/reason", self.reason, REASON_LENGTH), ("/by", self.by or "", BY_LENGTH))
        yield from (wrong for pointer, text, most in texts if (wrong := line_problem(text, pointer, most)))


class ProviderWord(Word, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of a provider.

    Attributes:
        mode: `stopped`: it gets no new attempt; `forced`: its breaker is not asked; `auto`: neither.
    """

    mode: Mode


class LaneWord(Word, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of a lane.

    Attributes:
        paused: Whether nothing new is begun in it.
    """

    paused: bool


class SwitchView(Struct, frozen=True, kw_only=True):
    """The latest word on a provider or a lane.

    Attributes:
        kind: What it is about.
        name: The provider's or the lane's; `all` for every lane.
        in_force: Whether it changes anything now.
        since: When it was said, and
        by: who said it: a request's id, or what the caller called itself.
        until: When it ends by itself; null if it does not.
    """

    kind: Literal["provider", "lane"]
    name: str
    mode: SwitchMode
    in_force: bool
    since: Moment
    until: Moment | None
    reason: str
    by: str


class SwitchList(Struct, frozen=True):
    """The latest word on everything that was ever switched, by kind and name."""

    data: tuple[SwitchView, ...]


@get("/switches", opt=OPERATE)
async def list_switches(request: ApiRequest) -> SwitchList:
    """List what was switched by hand, by whom and why; what ended or was taken back is not in force."""
    mailer = mailer_of(request)
    with patience(request):
        switches = await mailer.roster.board.current()
    now = mailer.ports.clock.now()
    return SwitchList(tuple(shown(name, switch, now) for name, switch in sorted(switches.items())))


@put("/providers/{name:str}/mode", opt=OPERATE)
async def set_provider_mode(request: ApiRequest, name: FromPath[str], data: JSONBody[ProviderWord]) -> SwitchView:
    """Stop a provider, force it past its breaker, or leave it to itself; all workers obey within 5 seconds."""
    if name not in {one.provider.name for one in mailer_of(request).ports.providers}:
        raise RefusedError(ApiCode.NOT_FOUND, "no provider of this name is configured; GET /api/providers lists them")
    return await _turned(request, provider_switch(name), data.mode, data)


@put("/lanes/{lane:str}/pause", opt=OPERATE)
async def pause_lane(request: ApiRequest, lane: FromPath[str], data: JSONBody[LaneWord]) -> SwitchView:
    """Pause or resume a lane, or `all`: e-mails stay due, and nothing new is begun; obeyed within 5 seconds."""
    if lane not in {*Lane, EVERYTHING}:
        raise RefusedError(ApiCode.NOT_FOUND, f"the lanes are {', '.join(Lane)}, and {EVERYTHING} for every one")
    return await _turned(request, lane_switch(lane), Mode.STOPPED if data.paused else Mode.AUTO, data)


async def _turned(request: ApiRequest, name: str, mode: Mode, word: Word) -> SwitchView:
    """Keep the operator's word and show it."""
    mailer = mailer_of(request)
    now = mailer.ports.clock.now()
    by = request_id(request.scope) if word.by is None else word.by
    until = word.until and word.until.astimezone(UTC)
    switch = Switch(mode=mode, since=now, until=until, reason=word.reason, by=by)
    with patience(request):
        await mailer.roster.board.turn(name, switch)
    return shown(name, switch, now)


def _is_ahead(until: datetime, now: datetime) -> bool:
    """Whether a moment is after now, and still one in UTC."""
    try:
        return until.astimezone(UTC) > now
    except OverflowError:
        return False


def shown(name: str, switch: Switch, now: datetime) -> SwitchView:
    """Return a switch as the API shows it."""
    kind, _, of = name.partition(":")
    lane = kind == "lane"
    mode = SwitchMode.PAUSED if lane and switch.mode is Mode.STOPPED else SwitchMode(switch.mode)
    return SwitchView(
        kind="lane" if lane else "provider",
        name=of,
        mode=mode,
        in_force=in_force(switch, now),
        since=moment(switch.since),
        until=maybe(switch.until),
        reason=switch.reason,
        by=switch.by,
    )


ROUTES: Final = (list_switches, set_provider_mode, pause_lane)
