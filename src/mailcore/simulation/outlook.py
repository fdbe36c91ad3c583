"""The providers as one simulated process sees them: what roster.py does, without waiting for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from mailcore.attempt import Attempt
from mailcore.health import Admission, Health, Report, Start, admit, reported, standing
from mailcore.lifecycle import Email
from mailcore.outcome import Deferred, Throttled, verdict
from mailcore.plan import Begin
from mailcore.provider import Capabilities, Feature, ProviderView
from mailcore.roster import token_of
from mailcore.simulation.internet import BEGINNING, Answer, MadeUp
from mailcore.simulation.world import World
from mailcore.standing import Standing

_EVERYTHING = Capabilities(max_bytes=40 * 1024 * 1024, max_recipients=1000, features=frozenset(Feature))


@dataclass
class Outlook:
    """What one process knows of the providers, and how many attempts it has under way at each.

    Attributes:
        seats: By provider.
        latest: What `views` returned last.
    """

    world: World
    seats: Counter[str] = field(default_factory=Counter[str])
    latest: tuple[ProviderView, ...] = ()
    _copy: dict[str, Health] = field(default_factory=dict[str, Health])
    _stale_from: datetime = BEGINNING

    def __post_init__(self) -> None:
        slots, providers = self.world.scenario.pace.slots, self.world.scenario.providers
        self._slots = slots if len(providers) == 1 else max(1, slots // 2)

    def views(self, now: datetime) -> tuple[ProviderView, ...]:
        """Return every provider as a decision sees it now."""
        self._refresh(now)
        since = now - BEGINNING
        self.latest = tuple(self._view(one, now) for one in self.world.scenario.providers if one.joins <= since)
        return self.latest

    def _refresh(self, now: datetime) -> None:
        """Copy what all know of the providers, unless the copy is recent enough."""
        if now >= self._stale_from:
            self._copy = dict(self.world.health)
            self._stale_from = now + self.world.scenario.copy_age

    def _view(self, one: MadeUp, now: datetime) -> ProviderView:
        """Return one provider."""
        return ProviderView(
            name=one.name,
            capabilities=_EVERYTHING,
            standing=standing(self._copy.get(one.name) or Health(), self.world.rules.health, now),
            weight=one.weight,
            max_per_second=one.max_per_second,
            in_flight=self.seats[one.name],
            slots=self._slots,
        )

    def corrected(self, views: Sequence[ProviderView], name: str, known: Standing) -> tuple[ProviderView, ...]:
        """Return the views with what the admission to one provider has told of it."""
        return tuple(
            replace(one, in_flight=self.seats[one.name], standing=known if one.name == name else one.standing)
            for one in views
        )

    def admit(self, email: Email, begin: Begin, now: datetime) -> Admission:
        """Ask a provider's health for an attempt, if there is something to count, and take a seat."""
        view = next(one for one in self.latest if one.name == begin.provider)
        admission = Admission(granted=True, reserved_at=None, standing=view.standing)
        if begin.probe or begin.repeat or view.max_per_second:
            admission = self._asked(email, begin, view, now)
        self.seats[begin.provider] += admission.granted
        return admission

    def _asked(self, email: Email, begin: Begin, view: ProviderView, now: datetime) -> Admission:
        """Change a provider's health by a start."""
        start = Start(
            token=token_of(email, email.next_n),
            repeat=begin.repeat,
            reserved=begin.reserved,
            max_per_second=view.max_per_second,
        )
        known, admission = admit(self.world.health.get(view.name) or Health(), start, self.world.rules.health, now)
        self._copy[view.name] = self.world.change(view.name, lambda _: known, now)
        return admission

    def report(self, email: Email, attempt: Attempt, answer: Answer, now: datetime) -> None:
        """Tell everybody how an attempt ended, and leave the seat."""
        self.seats[attempt.provider] -= 1
        outcome = answer.outcome
        others = (view.standing for view in self.latest if view.name != attempt.provider)
        report = Report(
            token=token_of(email, attempt.n),
            email_id=email.id,
            generation=attempt.generation,
            verdict=verdict(outcome),
            latency=answer.latency,
            retry_after=outcome.retry_after if isinstance(outcome, Deferred | Throttled) else None,
            rival_score=max((one.score for one in others if not one.obstacle), default=None),
            u=self.world.draw(email.tenant),
        )
        change = partial(reported, report=report, rules=self.world.rules.health, now=now)
        self._copy[attempt.provider] = self.world.change(attempt.provider, change, now)
