"""Runs a scenario: mail arrives, workers deliver it, and what happened is returned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from math import log

from msgspec.structs import replace

from mailcore.intake import new_email
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Message
from mailcore.route import find_route
from mailcore.rules import Rules
from mailcore.simulation.chronicle import Chronicle, Sample
from mailcore.simulation.internet import BEGINNING
from mailcore.simulation.scenario import Scenario, Stream
from mailcore.simulation.worker import Worker
from mailcore.simulation.world import World, moment
from mailcore.validation import checked

EVERY = timedelta(seconds=1)
"""How often the watched provider's share is measured."""
EPILOGUE = timedelta(minutes=1)
"""How long what is under way may go on when no more mail arrives."""
GRID = tuple((number + 0.5) / 20 for number in range(20))
"""The draws for which it is asked where a new e-mail would go."""


def delivered(scenario: Scenario, rules: Rules, seed: int) -> Chronicle:
    """Return what happens in a scenario under these rules; the same for the same seed."""
    world = World(scenario, rules, seed)
    poll = scenario.pace.poll
    workers = [Worker(world, BEGINNING + poll * n / scenario.workers) for n in range(scenario.workers)]
    world.wake_up = partial(_wake_up, world, workers)
    for stream in scenario.streams:
        _begin(world, stream)
    _measure(world, workers[0])
    world.run(moment(scenario.lasts + EPILOGUE))
    world.chronicle.health = world.health
    return world.chronicle


def _wake_up(world: World, workers: Sequence[Worker], email: Email, now: datetime) -> None:
    """Tell one of the workers of an e-mail."""
    worker = workers[int(world.draw(f"{email.tenant} queue") * len(workers))]
    world.at(now, partial(worker.offer, email.id, email.lane))


def _template(stream: Stream, rules: Rules) -> Email:
    """Return the first e-mail of a stream; the others differ from it by their moments."""
    written = Message(from_="shop@shop.example", to="ann@example.com", subject="a", text="a", lane=stream.lane)
    sound = checked(written, now=BEGINNING)
    return new_email(sound, "", stream.tenant, "", rules, BEGINNING)


def _begin(world: World, stream: Stream) -> None:
    """Put a stream's backlog on the shelf, and wait for its first arrival."""
    template = _template(stream, world.rules)
    names = tuple(sorted(one.name for one in world.scenario.providers))
    waiting = replace(template, status=Status.RETRYING, reason=Reason.NO_PROVIDER, due_at=BEGINNING, blocked_on=names)
    for number in range(stream.parked):
        world.shelf.put(replace(waiting, id=f"{stream.tenant}-parked-{number}"))
    world.chronicle.mails += stream.parked
    if stream.per_second:
        _Arrivals(world, stream, template).wait(moment(stream.begins))


class _Arrivals:
    """The e-mails of one stream, one after the other at random moments."""

    def __init__(self, world: World, stream: Stream, template: Email) -> None:
        self._world, self._stream, self._template = world, stream, template
        self._ends = moment(world.scenario.lasts if stream.ends is None else stream.ends)
        self._dice = f"{stream.tenant} arrivals"
        self._numbers = count(1)

    def wait(self, now: datetime) -> None:
        """Wait for the next arrival."""
        gap = -log(1.0 - self._world.draw(self._dice)) / self._stream.per_second
        at = now + timedelta(seconds=gap)
        if at < self._ends:
            self._world.at(at, self._arrive)

    def _arrive(self, now: datetime) -> None:
        """Accept one e-mail."""
        since = now - BEGINNING
        first = self._template
        email = replace(
            first,
            id=f"{first.tenant}-{next(self._numbers)}",
            created_at=now,
            updated_at=now,
            series_at=now,
            give_up_at=first.give_up_at + since,
            due_at=now + self._world.rules.wakeup_grace,
        )
        self._world.accept(email, now)
        self.wait(now)


def _measure(world: World, worker: Worker) -> None:
    """Note once a second, while it matters, which share of new mail the watched provider would get."""
    watch = world.scenario.watch
    first = _template(world.scenario.streams[0], world.rules)
    moments = [*_seconds(watch.begins, watch.settling), *_seconds(watch.ends, watch.after)]

    def sample(now: datetime) -> None:
        route = find_route(first, worker.outlook.views(now), now)
        chosen = [world.rules.strategy(route.ready, now, u).provider for u in GRID] if route.ready else []
        share = chosen.count(watch.provider) / len(GRID)
        world.chronicle.samples.append(Sample(now, share))

    for at in moments:
        world.at(at, sample)


def _seconds(begins: timedelta, lasts: timedelta) -> Sequence[datetime]:
    """Return the moments at which to measure."""
    return [moment(begins + tick * EVERY) for tick in range(int(lasts / EVERY))]
