"""One simulated process: what courier.py and engine.py do, in the same order and without waiting for anything.

What they await happens at once here, but for the providers' answers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import ceil

from msgspec.structs import replace

from mailcore.attempt import Attempt
from mailcore.dispatch import Transition, WakeUp, carried_out, record_outcome
from mailcore.engine import HIDE_FOR
from mailcore.lifecycle import Email, EmailId, Reason, Status
from mailcore.message import Lane
from mailcore.outcome import verdict
from mailcore.plan import Begin, Plan, Skip, Wait, plan_attempt, recovered
from mailcore.ports import Due
from mailcore.roster import admitted
from mailcore.simulation.chronicle import Try
from mailcore.simulation.internet import Answer
from mailcore.simulation.outlook import Outlook
from mailcore.simulation.world import World


@dataclass
class Worker:
    """A process that delivers.

    Attributes:
        look_at: The first of its turns to look for due e-mails; one in every `poll` follows.
        alarm: The turn that it will take; those before it would find nothing.
        hungry: It found due e-mails until its slots were full, and looks again as soon as one is free.
    """

    world: World
    look_at: datetime
    alarm: datetime | None = None
    hungry: bool = False
    waiting: dict[Lane, deque[EmailId]] = field(default_factory=lambda: {lane: deque() for lane in Lane})
    under_way: dict[EmailId, Lane] = field(default_factory=dict[EmailId, Lane])

    def __post_init__(self) -> None:
        self.outlook = Outlook(self.world)
        self.pace = self.world.scenario.pace
        self.lanes = [lane for lane in Lane if any(one.lane is lane for one in self.world.scenario.streams)]
        self.world.listeners.append(self.stir)
        self.stir(self.look_at)

    def offer(self, email_id: EmailId, lane: Lane, now: datetime) -> None:
        """Take a wake-up."""
        self.waiting[lane].append(email_id)
        self._start_waiting(now)

    def stir(self, when: datetime) -> None:
        """Take the first turn that is not before a moment."""
        at = self.look_at + max(0, ceil((when - self.look_at) / self.pace.poll)) * self.pace.poll
        if self.alarm is None or at < self.alarm:
            self.alarm = at
            self.world.at(at, self._turn)

    def _turn(self, now: datetime) -> None:
        """Take a turn, unless an earlier one has put this one off."""
        if now == self.alarm:
            self.alarm, self.hungry = None, True
            self._go_on(now)

    def _go_on(self, now: datetime) -> None:
        """Start due e-mails as long as there are any and slots are free, then what was woken up."""
        while self.hungry and self._free:
            self.hungry = self._refill(now)
            if not self.hungry:
                self.look_at = now + self.pace.poll
                if (wake_at := self.world.next_wake(now)) is not None:
                    self.stir(wake_at)
        self._start_waiting(now)

    @property
    def _free(self) -> int:
        """How many slots are free."""
        return self.pace.slots - len(self.under_way)

    def _room(self, lane: Lane) -> int:
        """Return how many more e-mails of a lane may start."""
        bulk = sum(other is Lane.BULK for other in self.under_way.values()) if lane is Lane.BULK else 0
        return max(0, self.pace.room(lane, self._free, bulk))

    def _start_waiting(self, now: datetime) -> None:
        """Start what was woken up, as far as there are slots."""
        for lane in self.lanes:
            waiting = self.waiting[lane]
            while waiting and self._room(lane):
                self._start(waiting.popleft(), lane, now)

    def _refill(self, now: datetime) -> bool:
        """Start due e-mails of every lane; return whether there were any."""
        found = False
        for lane in self.lanes:
            if room := self._room(lane):
                due = self._due(lane, room, now)
                found = found or bool(due)
                for email_id in due:
                    self._start(email_id, lane, now)
        return found

    def _due(self, lane: Lane, room: int, now: datetime) -> list[EmailId]:
        """Return due e-mails, no more than there is room for and than providers take now."""
        views = self.outlook.views(now)
        due = Due(lane=lane, limit=room, hide_for=HIDE_FOR, closed=frozenset())
        return self.world.shelf.take(now, admitted(due, views, self.world.rules.health, now))

    def _start(self, email_id: EmailId, lane: Lane, now: datetime) -> None:
        """Do for an e-mail whatever is to be done now; it keeps its slot if that is an attempt."""
        email = self.world.shelf.emails.get(email_id)
        if email is None or email_id in self.under_way:
            return
        email = recovered(email, now)
        plan = self._plan(email, now)
        if not isinstance(plan, Skip):
            self.under_way[email_id] = lane
            self._carry_out(email, plan, now)

    def _plan(self, email: Email, now: datetime) -> Plan:
        """Return what to do, with a provider's seat, permit, pace or budget already taken if it is an attempt."""
        views = self.outlook.views(now)
        while True:  # each refusal tells of an obstacle, so this ends
            self.world.chronicle.plans += 1
            plan = plan_attempt(email, views, self.world.rules, now, self.world.draw(email.tenant))
            if not isinstance(plan, Begin):
                return plan
            admission = self.outlook.admit(email, plan, now)
            if admission.granted:
                return replace(plan, generation=admission.standing.generation, probe=admission.standing.probe)
            if admission.reserved_at:
                until = min(admission.reserved_at, email.give_up_at)
                return Wait(until=until, reason=Reason.RESERVED, reserved=plan.provider)
            views = self.outlook.corrected(views, plan.provider, admission.standing)

    def _carry_out(self, email: Email, plan: Plan, now: datetime) -> None:
        """Save what a plan makes of an e-mail, and call the provider if it is an attempt."""
        self._record(carried_out(email, plan, self.world.rules, now), now)

    def _record(self, transition: Transition, now: datetime) -> None:
        """Save, and go on with the attempt or with another e-mail."""
        email = transition.email
        self.world.save(email, now)
        if attempt := email.open_attempt:
            self._call(email, attempt, now)
            return
        self.under_way.pop(email.id, None)
        if any(isinstance(effect, WakeUp) for effect in transition.effects):
            self.world.wake_up(email, now)
        if self.hungry or self.waiting[email.lane]:
            self.world.at(now, self._go_on)

    def _call(self, email: Email, attempt: Attempt, now: datetime) -> None:
        """Hand an e-mail to a provider."""
        answer = self.world.answer(email, attempt, now)
        ends = now + answer.latency
        tried = Try(now, ends, email.id, attempt.n, email.created_at, attempt.provider, verdict(answer.outcome))
        self.world.chronicle.tries.append(tried)
        self.world.at(ends, partial(self._finish, email, attempt, answer))

    def _finish(self, email: Email, attempt: Attempt, answer: Answer, now: datetime) -> None:
        """Record an answer, together with the next attempt after a clean failure."""
        self.outlook.report(email, attempt, answer, now)
        transition = record_outcome(email, answer.outcome, self.world.rules, now, answer.latency)
        between = transition.email
        if between.status is not Status.SENDING:
            self._record(transition, now)
            return
        plan = self._plan(between, now)
        again = Wait(until=now, reason=Reason.STOPPED)
        self._carry_out(between, again if isinstance(plan, Skip) else plan, now)
