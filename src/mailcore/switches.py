"""What the operator has switched by hand: providers stopped or forced, lanes paused. Pure.

A switch is kept by its name, `provider:sendgrid-eu`, `lane:bulk` or `lane:all`; the latest word on each is kept, so
that one can also see who took a switch back. None is undone by anything but its own end or another word.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.health import Health
from mailcore.message import Lane
from mailcore.standing import Mode, Override

EVERYTHING: Final = "all"
"""Stands for every lane."""


class Switch(Struct, frozen=True, kw_only=True):
    """The operator's latest word on a provider or a lane.

    Attributes:
        mode: A lane is stopped (paused) or `auto`; a provider may also be forced.
        since: When it was said.
        until: When it ends by itself; None if it does not.
        reason: Why, for people.
        by: Who said it: a request's id, or what the caller called itself.
    """

    mode: Mode
    since: datetime
    until: datetime | None = None
    reason: str = ""
    by: str = ""


Switches = Mapping[str, Switch]
"""The latest word on everything that was ever switched, by name."""


def provider_switch(provider: str) -> str:
    """Return the name of a provider's switch."""
    return f"provider:{provider}"


def lane_switch(lane: str) -> str:
    """Return the name of the switch of a lane, or of all of them."""
    return f"lane:{lane}"


def in_force(switch: Switch, now: datetime) -> bool:
    """Whether a switch changes anything now."""
    return switch.mode is not Mode.AUTO and (switch.until is None or switch.until > now)


def paused(switches: Switches, lane: Lane, now: datetime) -> bool:
    """Whether nothing new may begin in a lane."""
    names = (lane_switch(lane), lane_switch(EVERYTHING))
    return any(name in switches and in_force(switches[name], now) for name in names)


def overridden(health: Health, switches: Switches, provider: str) -> Health:
    """Return a provider's health with the operator's word on it, if there is one: it stands above the shared one."""
    switch = switches.get(provider_switch(provider)) if switches else None
    if switch is None:
        return health
    override = Override(mode=switch.mode, until=switch.until, reason=switch.reason, by=switch.by)
    return replace(health, override=override)
