"""The providers as this process sees them: their shared health, and how many attempts it has under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from msgspec.structs import replace

from mailcore.agreement import merged
from mailcore.attempt import Attempt
from mailcore.errors import HealthUnavailableError
from mailcore.events import Event, Happening
from mailcore.health import Admission, Health, HealthRules, Report, Start, admit, released, reported, standing
from mailcore.lifecycle import Email, EmailId
from mailcore.message import Lane
from mailcore.outcome import Misconfigured, Outcome, verdict, wish
from mailcore.plan import Begin
from mailcore.ports import Configured, Due, Ports
from mailcore.provider import ProviderView
from mailcore.rules import Rules
from mailcore.standing import Obstacle, Standing
from mailcore.switchboard import Switchboard
from mailcore.switches import Switches, overridden

HealthChange = Callable[[Health], Health]

_STRANGER: Final = Health()


class _Seen(NamedTuple):
    """How a provider looked but for what is under way there: found out once for all that ask of the same."""

    health: Health
    switches: Switches
    now: datetime
    view: ProviderView


@dataclass(kw_only=True)
class Roster:
    """The providers as this process sees them.

    Attributes:
        board: What the operator has switched by hand; it stands above the shared health.
        slots: How many attempts this process may have under way; with several providers one gets half at most,
            so that a provider that hangs does not hold them all.
        seated: How many attempts this process has under way at each provider, from their choice to their answer.
        latest: What `views` returned last.
    """

    ports: Ports
    rules: Rules
    slots: int
    seated: Counter[str] = field(init=False, default_factory=Counter[str])
    _bulk: Counter[str] = field(init=False, default_factory=Counter[str])
    _seats: dict[EmailId, tuple[str, bool]] = field(default_factory=dict[EmailId, tuple[str, bool]])
    _known: Mapping[str, Health] = field(default_factory=dict[str, Health])
    _astray: dict[str, Health] = field(default_factory=dict[str, Health])
    _seen: dict[str, _Seen] = field(default_factory=dict[str, _Seen])
    latest: tuple[ProviderView, ...] = ()
    board: Switchboard = field(init=False)

    def __post_init__(self) -> None:
        """Go by the switches of the same store."""
        self.board = Switchboard(ports=self.ports)

    async def views(self) -> tuple[ProviderView, ...]:
        """Return every configured provider as a decision sees it now."""
        await self.board.current()
        try:
            if self._astray:
                await self._rejoin()
            known = await self.ports.health.load()
            self._known = {**known, **self._astray} if self._astray else known
        except HealthUnavailableError as error:
            self._failed("", error)
        now = self.ports.clock.now()
        self.latest = tuple([self._view(configured, now) for configured in self.ports.providers])
        return self.latest

    async def _rejoin(self) -> None:
        """Tell everybody what this process went by alone while they could not be told; the worse state wins.

        Raises:
            HealthUnavailableError: They still cannot be.
        """
        for provider in tuple(self._astray):
            mine = self._astray[provider]
            await self.ports.health.update(provider, partial(merged, mine))
            if self._astray.get(provider) is mine:
                del self._astray[provider]

    def leave(self, email_id: EmailId) -> None:
        """Free the slot that an e-mail's attempt has at a provider, if it has one."""
        if seat := self._seats.pop(email_id, None):
            provider, bulk = seat
            self.seated[provider] -= 1
            self._bulk[provider] -= bulk

    def _sit(self, email: Email, provider: str) -> None:
        """Take a slot at a provider, and leave the one before."""
        self.leave(email.id)
        bulk = email.lane is Lane.BULK
        self._seats[email.id] = provider, bulk
        self.seated[provider] += 1
        self._bulk[provider] += bulk

    def corrected(self, views: Sequence[ProviderView], provider: str, known: Standing) -> tuple[ProviderView, ...]:
        """Return the views with what the admission to one provider has told of it."""
        return tuple(
            replace(
                one,
                in_flight=self.seated[one.name],
                bulk=self._bulk[one.name],
                standing=known if one.name == provider else one.standing,
            )
            for one in views
        )

    def _view(self, configured: Configured, now: datetime) -> ProviderView:
        """Return one provider as a decision sees it now."""
        name = configured.provider.name
        health, switches = self._known.get(name, _STRANGER), self.board.known
        seen = self._seen.get(name)
        if not (seen and seen.health is health and seen.switches is switches and seen.now == now):
            here = standing(overridden(health, switches, name), self.rules.health, now)
            self._seen[name] = seen = _Seen(health, switches, now, self._idle_view(configured, here))
        return replace(seen.view, in_flight=self.seated[name], bulk=self._bulk[name])

    def _idle_view(self, configured: Configured, here: Standing) -> ProviderView:
        """Return one provider as a decision sees it while this process has nothing under way there."""
        return ProviderView(
            name=configured.provider.name,
            capabilities=configured.provider.capabilities,
            standing=here,
            weight=configured.weight,
            max_per_second=configured.max_per_second,
            slots=self.slots if len(self.ports.providers) == 1 else max(1, self.slots // 2),
        )

    async def admit(self, email: Email, begin: Begin) -> Admission:
        """Take a slot at a provider and ask its health for an attempt, if there is something to count.

        The slot is taken before anything is awaited, or many that start at once would all find it free.
        """
        self._sit(email, begin.provider)
        view = next(one for one in self.latest if one.name == begin.provider)
        if not (begin.probe or begin.repeat or view.max_per_second):
            return Admission(granted=True, reserved_at=None, standing=view.standing)
        start = Start(
            token=token_of(email, email.next_n),
            repeat=begin.repeat,
            reserved=begin.reserved,
            max_per_second=view.max_per_second,
        )
        admission = await self._ask(begin.provider, start)
        if not admission.granted:
            self.leave(email.id)
        return admission

    async def _ask(self, provider: str, start: Start) -> Admission:
        """Change a provider's health by a start; without shared health, that which this process knows."""
        answers: list[Admission] = []

        def change(health: Health) -> Health:
            seen = overridden(health, self.board.known, provider)
            changed, answer = admit(seen, start, self.rules.health, self.ports.clock.now())
            answers.append(answer)  # the change may run again; its last answer is the one that was kept
            return health if changed is seen else replace(changed, override=health.override)

        try:
            await self.ports.health.update(provider, change)
        except HealthUnavailableError as error:
            self._failed(start.token, error)
            self._go_alone(provider, change)
        return answers[-1]

    async def report(self, email: Email, attempt: Attempt, outcome: Outcome, latency: timedelta) -> None:
        """Tell everybody how an attempt ended."""
        report = Report(
            token=token_of(email, attempt.n),
            email_id=email.id,
            generation=attempt.generation,
            verdict=verdict(outcome),
            scope=outcome.scope if isinstance(outcome, Misconfigured) else None,
            latency=latency,
            retry_after=wish(outcome),
            rival_score=self._rival_score(attempt.provider),
            u=self.ports.draw(),
        )
        now = self.ports.clock.now()
        await self._change(attempt.provider, lambda health: reported(health, report, self.rules.health, now))

    def _rival_score(self, provider: str) -> float | None:
        """Return the best score of the other providers that take attempts now; None if no other does."""
        rivals = [view.standing for view in self.latest if view.name != provider]
        return max([one.score for one in rivals if not one.obstacle], default=None) if rivals else None

    async def release(self, email: Email, attempt: Attempt) -> None:
        """Give back what an attempt took that was never made."""
        if attempt.probe:
            token, rules = token_of(email, attempt.n), self.rules.health
            now = self.ports.clock.now()
            await self._change(attempt.provider, lambda health: released(health, token, rules, now))

    async def _change(self, provider: str, change: HealthChange) -> None:
        """Change a provider's health, or tell that it could not be."""
        try:
            known = await self.ports.health.update(provider, change, at_once=False)
            self._known = {**self._known, provider: known}
        except HealthUnavailableError as error:
            self._failed(provider, error)
            self._go_alone(provider, change)

    def _go_alone(self, provider: str, change: HealthChange) -> None:
        """Make a change to what this process knows: the same rules hold here, until all can be told."""
        self._astray[provider] = change(self._known.get(provider, _STRANGER))
        self._known = {**self._known, provider: self._astray[provider]}

    def _failed(self, note: str, error: HealthUnavailableError) -> None:
        """Tell the watcher that shared health did not answer."""
        self.ports.watch(Event(what=Happening.HEALTH_FAILED, email_id="", note=f"{note}: {error}"))


def token_of(email: Email, n: int) -> str:
    """Return the name of one attempt among all."""
    return f"{email.id}.{n}"


def admitted(due: Due, views: Sequence[ProviderView], rules: HealthRules, now: datetime) -> Due:
    """Return what to take from the store: no more than providers take now, and nothing that waits for closed ones.

    While all are closed the limit stays: what does not wait for them yet is taken, to be parked once.
    """
    rooms = {view.name: room for view in views if (room := _room(view, due.lane, rules, now)) is not None}
    closed = frozenset(view.name for view in views if view.name not in rooms)
    return replace(due, limit=min(due.limit, sum(rooms.values())) if rooms else due.limit, closed=closed)


def _room(view: ProviderView, lane: Lane, rules: HealthRules, now: datetime) -> int | None:
    """Return how many attempts of a lane one provider takes now, probes by permit; None if it is closed."""
    if view.standing.obstacle not in {None, Obstacle.PACED}:
        return None
    room = view.standing.permits if view.standing.probe else view.free(lane)
    return room if view.standing.obstacle is None else _reservable(view, room, rules, now) or None


def _reservable(view: ProviderView, room: int, rules: HealthRules, now: datetime) -> int:
    """Return how many starts may still be reserved at a provider whose pace is used up for now.

    A reservation holds no slot, but a probe's permit is asked for in the end.
    """
    left = rules.reserve_ahead - ((view.standing.available_at or now) - now)
    starts = max(0, int(left.total_seconds() * view.max_per_second)) if view.max_per_second else room
    return min(starts, room) if view.standing.probe else starts
