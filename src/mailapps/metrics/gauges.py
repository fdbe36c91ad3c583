"""What is read at the moment of a scrape: the store's unfinished e-mails, the providers, this process's engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from mailapps.metrics import catalogue as c
from mailapps.metrics.catalogue import Metric
from mailapps.metrics.counting import Labels
from mailcore.breaker import State, ripened
from mailcore.engine import Engine
from mailcore.errors import HealthUnavailableError, StoreUnavailableError
from mailcore.health import Health, HealthRules
from mailcore.lifecycle import SETTLED, Status
from mailcore.message import Lane
from mailcore.ports import EmailStore, Ports, Query
from mailcore.provider import ProviderView
from mailcore.retry import refilled
from mailcore.standing import Obstacle
from mailcore.stock import CountsBatches, CountsUnreadable, Pile, TakesStock

Sample = tuple[Metric, Labels, float]
"""One number: of which metric, with which labels."""

FRESH: Final = timedelta(seconds=1)
"""How long a look at the whole store is good for."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

SHARE_OF_TIME: Final = 20
"""A look that took long is good for so many times that: looking costs the store 5 % of its time at most."""


@dataclass
class Stocktaker:
    """Counts what is unfinished in the store, seldom enough that the store does not feel it.

    Attributes:
        monotonic: Seconds on this process's own clock.
        piles: What was counted last; None as long as the store has never answered.
        taken_at: When that count began: what moved since then may be in it or not.
    """

    store: EmailStore
    monotonic: Callable[[], float]
    piles: Sequence[Pile] | None = field(default=None)
    taken_at: float = 0.0
    good_until: float = 0.0

    async def latest(self) -> Sequence[Pile] | None:
        """Return the latest count; None if the store has never answered."""
        began = self.monotonic()
        if began < self.good_until:
            return self.piles
        try:
            self.piles = await _stock(self.store)
        except StoreUnavailableError:
            return self.piles
        self.taken_at, ended = began, self.monotonic()
        self.good_until = ended + max(FRESH.total_seconds(), SHARE_OF_TIME * (ended - began))
        return self.piles

    def samples(self, now: datetime) -> Iterator[Sample]:
        """Yield the figures of the latest count; what has none is 0."""
        if self.piles is None:
            return
        counts = {(pile.lane, pile.status): pile.count for pile in self.piles}
        for lane in Lane:
            for status in sorted(set(Status) - SETTLED):
                yield c.UNFINISHED, (lane.value, status.value), counts.get((lane, status), 0)
            first = min((pile.wakes_at for pile in self.piles if pile.lane is lane), default=now)
            yield c.OLDEST_DUE, (lane.value,), max(0.0, (now - first).total_seconds())
        yield c.STOCK_AGE, (), round(self.monotonic() - self.taken_at, 3)


async def _stock(store: EmailStore) -> Sequence[Pile]:
    """Return what is unfinished; a store that takes no stock is asked for each lane and status."""
    if isinstance(store, TakesStock):
        return await store.stock()
    wanted = [(lane, status) for lane in Lane for status in sorted(set(Status) - SETTLED)]
    counts = {one: await store.count(Query(lane=one[0], status=one[1])) for one in wanted}
    return [Pile(lane=lane, status=status, count=n, wakes_at=_NEVER) for (lane, status), n in counts.items() if n]


async def healths(ports: Ports) -> Mapping[str, Health]:
    """Return the providers' shared health; none while it does not answer."""
    try:
        return await ports.health.load()
    except HealthUnavailableError:
        return {}


def of_provider(view: ProviderView, health: Health, rules: HealthRules, now: datetime) -> Iterator[Sample]:
    """Yield how a provider stands."""
    state = ripened(health.breaker, rules.breaker, now).state
    yield from ((c.BREAKER, (view.name, one.value), float(one is state)) for one in State)
    yield from ((c.OBSTACLE, (view.name, one.value), float(one is view.standing.obstacle)) for one in Obstacle)
    yield c.SCORE, (view.name,), view.standing.score
    yield c.SHARE, (view.name,), view.standing.share
    yield c.BUDGET, (view.name,), refilled(health.budget, rules.budget, now).tokens


def of_engine(engine: Engine) -> Iterator[Sample]:
    """Yield what a process has under way."""
    seated = engine.courier.roster.seated
    for one in engine.courier.ports.providers:
        yield c.IN_FLIGHT, (one.provider.name,), seated[one.provider.name]
    yield c.SLOTS, (), engine.pace.slots
    yield c.SLOTS_FREE, (), engine.free
    yield from ((c.WAITING, (lane.value,), count) for lane, count in engine.waiting.items())


def of_batches(store: EmailStore) -> Iterator[Sample]:
    """Yield how well the store coalesces, if it can tell."""
    if isinstance(store, CountsBatches):
        for way, carried in store.batches().items():
            yield c.CALLS, (way,), carried.calls
            yield c.BATCHES, (way,), carried.batches


def of_unreadable(ports: Ports) -> Iterator[Sample]:
    """Yield how often a record of another release was passed over (I42), by those that can tell."""
    for of, part in (("store", ports.store), ("health", ports.health)):
        if isinstance(part, CountsUnreadable):
            yield c.UNREADABLE, (of,), part.unreadable
