"""What the settings say of decisions and pace, for what a process is there for."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final, cast

from mailapps.settings import Settings
from mailcore.assembly import SPARE, Tuning
from mailcore.breaker import BreakerRules
from mailcore.discovery import found
from mailcore.engine import Pace
from mailcore.health import HealthRules
from mailcore.ports import Watch
from mailcore.retry import LaneRules, RetryPolicy
from mailcore.rules import Rules
from mailcore.strategy import Strategy

SCHEDULER_SLOTS: Final = 8
"""What a scheduler sends at once: it is there to find, not to send."""


class Role(StrEnum):
    """What a process is for."""

    UP = "up"
    API = "api"
    WORKER = "worker"
    SCHEDULER = "scheduler"


def tuning_of(settings: Settings, role: Role, watch: Watch) -> Tuning:
    """Return what the settings say of decisions and pace."""
    return Tuning(rules=rules_of(settings, role), pace=pace_of(settings, role), watch=watch)


def rules_of(settings: Settings, role: Role) -> Rules:
    """Return the numbers that decisions go by.

    An API without an engine reaches nobody by a wake-up that stays in its process, so that what it accepts is due at
    once for the workers, which look into the store.

    Raises:
        SettingsError: Nobody offers the strategy.
    """
    lanes = settings.lanes
    return Rules(
        retry=RetryPolicy(base=settings.retry.base, cap=settings.retry.cap, max_rounds=settings.retry.max_rounds),
        lanes=LaneRules(
            urgent=lanes.urgent.give_up_after,
            transactional=lanes.transactional.give_up_after,
            bulk=lanes.bulk.give_up_after,
        ),
        health=HealthRules(breaker=BreakerRules(permit_lease=settings.call_deadline + SPARE)),
        strategy=cast("Strategy", found("mailcore.strategies", settings.strategy)),
        strategy_name=settings.strategy,
        lease=settings.lease,
        call_deadline=settings.call_deadline,
        max_crashes=settings.max_crashes,
        max_unknowns=settings.max_unknowns,
        unknown_grace=settings.unknown_grace,
        hold_for=settings.hold_for,
        wakeup_grace=timedelta(0) if role is Role.API and stays_here(settings) else settings.wakeup_grace,
    )


def stays_here(settings: Settings) -> bool:
    """Whether wake-ups reach nobody but the process that they are made in."""
    return settings.queue.startswith("memory:")


def pace_of(settings: Settings, role: Role) -> Pace:
    """Return how much a process does at once."""
    if role is Role.SCHEDULER:
        return Pace(slots=SCHEDULER_SLOTS, bulk_share=settings.bulk_share, poll=settings.sweep)
    return Pace(slots=settings.in_flight, bulk_share=settings.bulk_share, poll=settings.poll)
