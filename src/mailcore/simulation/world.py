"""Virtual time: a heap of things to do, and what all workers of a simulation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random  # noqa: TID251 - seeded: one seed gives one run

from mailcore.attempt import Attempt
from mailcore.breaker import State
from mailcore.health import Health, standing
from mailcore.lifecycle import Email, Status
from mailcore.rules import Rules
from mailcore.simulation.chronicle import Chronicle, Fate, Turn
from mailcore.simulation.internet import BEGINNING, Answer, Internet
from mailcore.simulation.scenario import Scenario
from mailcore.simulation.shelf import Shelf
from mailcore.standing import Obstacle

Deed = Callable[[datetime], None]
"""Something to do at its moment."""


@dataclass
class World:
    """What all workers share, and the time that passes for them.

    Attributes:
        health: The truth about every provider; workers may see a copy of it.
        listeners: Are told the moment whenever something may become due then.
        wake_up: Tells some worker to look at an e-mail now.
    """

    scenario: Scenario
    rules: Rules
    seed: int
    shelf: Shelf = field(default_factory=Shelf)
    chronicle: Chronicle = field(default_factory=Chronicle)
    health: dict[str, Health] = field(default_factory=dict[str, Health])
    listeners: list[Callable[[datetime], None]] = field(default_factory=list[Callable[[datetime], None]])
    wake_up: Callable[[Email, datetime], None] = lambda _email, _now: None
    _deeds: list[tuple[datetime, int, Deed]] = field(default_factory=list[tuple[datetime, int, Deed]])
    _numbers: count[int] = field(default_factory=count)
    _dice: dict[str, Callable[[], float]] = field(default_factory=dict[str, Callable[[], float]])

    def __post_init__(self) -> None:
        self.internet = Internet(self.scenario.providers)
        self._poison = frozenset(one.tenant for one in self.scenario.streams if one.poison)

    def draw(self, of: str) -> float:
        """Return a uniform draw from [0, 1) from dice of its own for every purpose, so that none disturbs another."""
        dice = self._dice.get(of)
        if dice is None:
            dice = self._dice[of] = Random(f"{self.seed} {of}").random  # noqa: S311 - nothing to guess here
        return dice()

    def at(self, when: datetime, deed: Deed) -> None:
        """Do something at a moment."""
        heappush(self._deeds, (when, next(self._numbers), deed))

    def run(self, until: datetime) -> None:
        """Let time pass."""
        while self._deeds and self._deeds[0][0] <= until:
            now, _, deed = heappop(self._deeds)
            deed(now)

    def accept(self, email: Email, now: datetime) -> None:
        """Keep a new e-mail, and wake a worker up for it."""
        self.chronicle.mails += 1
        self.shelf.put(email)
        self.wake_up(email, now)

    def save(self, email: Email, now: datetime) -> None:
        """Keep the next version of an e-mail, and its fate when it is settled."""
        self.chronicle.saves += 1
        self.shelf.put(email)
        if email.settled:
            self.chronicle.fates.append(Fate(now, email.id, email.created_at, email.status))
        elif email.status is not Status.SENDING:
            self.stir(email.due_at or now)

    def stir(self, when: datetime) -> None:
        """Tell the workers that something may be due then."""
        for listener in self.listeners:
            listener(when)

    def change(self, provider: str, change: Callable[[Health], Health], now: datetime) -> Health:
        """Change what is known of a provider, and note when its breaker opens or closes."""
        before = self.health.get(provider) or Health()
        after = self.health[provider] = change(before)
        turned = after.breaker.generation != before.breaker.generation
        if turned and after.breaker.state is not State.HALF_OPEN:
            self.chronicle.turns.append(Turn(now, provider, after.breaker.state))
        if turned or after.not_before != before.not_before or after.breaker.permits != before.breaker.permits:
            self.stir(now)
        return after

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when an e-mail may be due next, as far as is known now; None if nothing waits."""
        standings = {
            one.name: standing(self.health.get(one.name) or Health(), self.rules.health, now)
            for one in self.scenario.providers
        }
        closed = frozenset(name for name, one in standings.items() if one.obstacle not in {None, Obstacle.PACED})
        wakes = [self.shelf.next_wake(closed), *(one.available_at for one in standings.values())]
        return min((one for one in wakes if one), default=None) if self.shelf.emails else None

    def answer(self, email: Email, attempt: Attempt, now: datetime) -> Answer:
        """Return how a provider answers an attempt that starts now."""
        draws = self.draw(email.tenant), self.draw(email.tenant)
        return self.internet.answer(attempt.provider, now, draws, poison=email.tenant in self._poison)


def moment(since: timedelta) -> datetime:
    """Return a moment of the simulation."""
    return BEGINNING + since
