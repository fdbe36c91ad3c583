"""What a provider's health means at one moment, and what the operator says of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Mode(StrEnum):
    """What the operator says of a provider."""

    AUTO = "auto"
    STOPPED = "stopped"
    FORCED = "forced"


class Override(Struct, frozen=True, kw_only=True):
    """The operator's word on a provider; never undone by an automatic transition."""

    mode: Mode
    until: datetime | None = None
    reason: str = ""
    by: str = ""


class Obstacle(StrEnum):
    """Why a provider does not take an attempt now."""

    STOPPED = "stopped"
    OPEN = "open"
    PROBING = "probing"
    THROTTLED = "throttled"
    PACED = "paced"
    BUDGET = "budget"


class Standing(Struct, frozen=True, kw_only=True):
    """What a Health means at one moment.

    Attributes:
        obstacle: Why it takes no attempt now; None if it does. PACED may still be reserved.
        available_at: The earliest moment at which the obstacle may be gone; None if that is not known.
        generation: The breaker's generation, to be handed back with the report.
        probe: An attempt now would be a half-open probe and needs a permit.
        permits: How many more probes fit now (only when `probe`).
        score: Estimated share of attempts that succeed, 0 to 1.
        share: Share of a process's slots that this provider may hold now (1 but after a reopening: the ramp).
    """

    obstacle: Obstacle | None
    available_at: datetime | None
    generation: int
    probe: bool
    permits: int
    score: float
    share: float
