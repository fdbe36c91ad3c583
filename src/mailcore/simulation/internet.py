"""A made-up internet: providers that answer as a scenario says, in virtual time and by a seeded draw."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct

from mailcore.outcome import Accepted, Deferred, Outcome, Rejected, Throttled, Unknown

BEGINNING: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""When every simulation starts."""

_SECOND: Final = timedelta(seconds=1)
_ACCEPTED: Final = Accepted()
_DEFERRED: Final = Deferred(code="503", detail="made up")
_UNKNOWN: Final = Unknown(code="timeout", detail="made up")
_REJECTED: Final = Rejected(code="550", detail="made up")


class Failing(StrEnum):
    """How a provider fails: it says so, it asks to be left alone, or it never answers."""

    DEFERRED = "deferred"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"


class Spell(Struct, frozen=True, kw_only=True):
    """A time in which a provider is in trouble.

    Attributes:
        begins: Since the beginning of the simulation; `ends` likewise.
        share: The share of attempts that fail meanwhile.
        latency: How long an answer takes meanwhile, on average.
        retry_after: What a throttling provider asks for.
    """

    begins: timedelta
    ends: timedelta
    share: float = 1.0
    how: Failing = Failing.DEFERRED
    latency: timedelta = timedelta(milliseconds=200)
    retry_after: timedelta | None = None


class MadeUp(Struct, frozen=True, kw_only=True):
    """A made-up provider.

    Attributes:
        weight: The operator's preference.
        max_per_second: The pace that the operator configured; None for no limit.
        errors: The share of attempts that fail while it is healthy.
        latency: How long an answer takes, on average: each one between half and one and a half of it.
        spells: Its troubles, none overlapping another.
        takes_per_second: What it takes in any second; more is throttled for a second. None for anything.
        joins: When it is configured, since the beginning.
    """

    name: str
    weight: float = 1.0
    max_per_second: float | None = None
    errors: float = 0.005
    latency: timedelta = timedelta(milliseconds=200)
    spells: tuple[Spell, ...] = ()
    takes_per_second: int | None = None
    joins: timedelta = timedelta()

    def spell(self, now: datetime) -> Spell | None:
        """Return the trouble that it is in."""
        since = now - BEGINNING
        return next((one for one in self.spells if one.begins <= since < one.ends), None)

    def failing(self, now: datetime) -> float:
        """Return the share of attempts that fail now."""
        spell = self.spell(now)
        return spell.share if spell else self.errors


class Answer(Struct, frozen=True):
    """What a provider makes of one attempt, and after what time."""

    outcome: Outcome
    latency: timedelta


@dataclass
class Internet:
    """The providers of one simulation.

    Attributes:
        providers: In configured order.
    """

    providers: Sequence[MadeUp]
    _starts: dict[str, deque[datetime]] = field(default_factory=dict[str, deque[datetime]])

    def answer(self, name: str, now: datetime, draws: tuple[float, float], *, poison: bool) -> Answer:
        """Return how a provider answers an attempt that starts now.

        Args:
            name: The provider.
            now: Virtual time.
            draws: Two uniform draws from [0, 1): whether it fails, and how long it takes.
            poison: The message is one that no provider will ever take, and each says so whatever its trouble.
        """
        provider = next(one for one in self.providers if one.name == name)
        spell = provider.spell(now)
        latency = (spell or provider).latency * (0.5 + draws[1])
        if self._is_over(provider, now):
            return Answer(_throttled(_SECOND), latency)
        if poison:
            return Answer(_REJECTED, latency)
        if draws[0] < (spell.share if spell else provider.errors):
            return Answer(_failure(spell), latency)
        return Answer(_ACCEPTED, latency)

    def _is_over(self, provider: MadeUp, now: datetime) -> bool:
        """Return whether this start is one more than the provider takes in any second; if not, note it."""
        if provider.takes_per_second is None:
            return False
        starts = self._starts.setdefault(provider.name, deque())
        while starts and starts[0] <= now - _SECOND:
            starts.popleft()
        if len(starts) >= provider.takes_per_second:
            return True
        starts.append(now)
        return False


def _failure(spell: Spell | None) -> Outcome:
    """Return how an attempt fails."""
    how = spell.how if spell else Failing.DEFERRED
    match how:
        case Failing.DEFERRED:
            return _DEFERRED
        case Failing.UNKNOWN:
            return _UNKNOWN
        case Failing.THROTTLED:
            return _throttled(spell.retry_after if spell else None)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(how)


def _throttled(retry_after: timedelta | None) -> Outcome:
    """Return a 429."""
    return Throttled(code="429", detail="made up", retry_after=retry_after)
