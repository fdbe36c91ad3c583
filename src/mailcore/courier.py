"""Carries one e-mail to the providers: claims it, calls, records what came of it, and goes on to the next.

This is shell: it asks the pure modules what to do, does it, and saves. Whatever it holds in memory may be lost at
any await: the attempt is in the store before the call, and its lease tells the others when to take over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from msgspec.structs import replace

from mailcore.claim import Claim, Draft
from mailcore.dispatch import Transition, carried_out, put_back, record_outcome, settle_late
from mailcore.errors import EmailNotFoundError, StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email, EmailId, Reason, Status
from mailcore.message import Lane
from mailcore.outcome import SUPPRESSED, Outcome, Rejected, Unknown
from mailcore.plan import Begin, Plan, Skip, Wait, just_lapsed, plan_attempt, recovered
from mailcore.ports import Due, Ports, Provider
from mailcore.provider import Send
from mailcore.records import Decide, Records
from mailcore.room import Room
from mailcore.roster import Roster, admitted
from mailcore.rules import Rules
from mailcore.stored import Fetched
from mailcore.suppression import recipients, spared
from mailcore.suppression_list import SuppressionList


class Carried(StrEnum):
    """What became of a wake-up."""

    NOTHING = "nothing"
    DONE = "done"
    NEEDS_SOLO = "needs_solo"


@dataclass(kw_only=True)
class Courier:
    """Makes attempts, one e-mail at a time and any number of e-mails at once.

    Attributes:
        room: How much content it holds at once at most.
        stopping: No new attempt begins; what is under way ends.
    """

    ports: Ports
    rules: Rules
    roster: Roster
    records: Records
    suppressions: SuppressionList
    room: Room = field(default_factory=Room)
    stopping: bool = field(default=False)

    async def attempt(self, email_id: EmailId, *, solo: bool = False, fetched: Fetched | None = None) -> Carried:
        """Do for an e-mail whatever is to be done now: attempts until it is settled or has to wait.

        Args:
            email_id: Any id; an unknown one is told to the watcher.
            solo: Nothing else is retried after a crash in this process at the same time.
            fetched: What the store has of it, if somebody has looked a moment ago.

        Raises:
            StoreUnavailableError: The store did not answer; the e-mail is found again by its lease or due time.
        """
        try:
            fetched = fetched or Fetched(await self.ports.store.get(email_id), None)
        except EmailNotFoundError:
            self.ports.watch(Event(what=Happening.STRANGE_WAKE_UP, email_id=email_id[:64]))
            return Carried.NOTHING
        size = fetched.email.needs.bytes
        await self.room.take(size)
        try:
            return await self._carry(fetched, solo=solo)
        finally:
            self.roster.leave(email_id)
            self.room.give_back(size)

    async def _carry(self, fetched: Fetched, *, solo: bool) -> Carried:
        """Do for an e-mail as it was read whatever is to be done now."""
        began = self.ports.clock.monotonic()
        email = recovered(fetched.email, self.ports.clock.now())
        plan = await self._plan(email, solo=solo)
        if isinstance(plan, Skip):
            return Carried.NOTHING
        if isinstance(plan, Begin) and plan.solo and not solo:
            return Carried.NEEDS_SOLO
        claim = await self._claim(Fetched(email, fetched.message), plan, began)
        while claim:
            claim = await self._try_once(claim)
        return Carried.DONE

    async def _claim(self, fetched: Fetched, plan: Plan, began: float) -> Claim | None:
        """Save a plan; return the claim if it was an attempt and nobody else was first.

        A store that saved without answering is asked again, or an attempt that was never made would count as a
        crash; but only for as long as the claim could still be used.
        """
        email = fetched.email
        transition = carried_out(email, plan, self.rules, self.ports.clock.now())
        self.ports.crash_point("before_claim")
        patience = self.rules.lease - self.rules.call_deadline
        saved = await self.records.insist(email, transition, lambda _fresh: None, patience=patience)
        if saved is None:
            await self._release(transition.email)
            return None
        if just_lapsed(email):
            self.ports.watch(Event(what=Happening.LEASE_EXPIRED, email_id=email.id, email=saved))
        self.ports.crash_point("after_claim")
        return Claim(saved, saved.open_attempt, began, fetched.message) if saved.open_attempt else None

    async def _release(self, email: Email) -> None:
        """Give back what the attempt had taken that another worker's save has overtaken."""
        if attempt := email.open_attempt:
            await self.roster.release(email, attempt)

    async def _plan(self, email: Email, *, solo: bool = True) -> Plan:
        """Return what to do, with a provider's seat, permit, pace or budget already taken if it is an attempt.

        Nothing is taken for an attempt that must be made alone by somebody else.
        """
        views = await self.roster.views()
        while True:  # each refusal tells of an obstacle, so this ends
            plan = plan_attempt(email, views, self.rules, self.ports.clock.now(), self.ports.draw())
            if not isinstance(plan, Begin) or (plan.solo and not solo):
                return plan
            if self.stopping or self.roster.board.paused(email.lane):
                return Skip("this process stops, or its lane is paused")
            admission = await self.roster.admit(email, plan)
            standing = admission.standing
            if admission.granted:
                return replace(plan, generation=standing.generation, probe=standing.probe)
            if admission.reserved_at:
                until = min(admission.reserved_at, email.give_up_at)
                return Wait(until=until, reason=Reason.RESERVED, reserved=plan.provider)
            views = self.roster.corrected(views, plan.provider, standing)

    async def _try_once(self, claim: Claim) -> Claim | None:
        """Make an attempt that is claimed; return the claim of the next one after a clean failure.

        Never calls later than the lease's end minus the call deadline, by this process's own monotonic clock:
        a worker that was paused must not send what another may have taken over.
        """
        try:
            draft = await self._written(claim)
        except StoreUnavailableError:
            await self._give_back(claim, self.rules.wakeup_grace)
            return None
        called = self.ports.clock.monotonic()
        late = called - claim.began > (self.rules.lease - self.rules.call_deadline).total_seconds()
        if late or self.stopping:
            await self._give_back(claim)
            return None
        outcome = await self._handed_over(claim, draft) if isinstance(draft, Draft) else draft
        latency = timedelta(microseconds=round((self.ports.clock.monotonic() - called) * 1_000_000))
        self.ports.crash_point("after_answer")
        await self.roster.report(claim.email, claim.attempt, outcome, latency)
        return await self._record(claim, outcome, latency)

    async def _give_back(self, claim: Claim, rest: timedelta = timedelta()) -> None:
        """Put an e-mail back whose attempt sent nothing."""

        def again(fresh: Email) -> Transition | None:
            mine = fresh.open_attempt and fresh.open_attempt.n == claim.attempt.n
            return put_back(fresh, self.ports.clock.now(), rest) if mine else None

        await self.roster.release(claim.email, claim.attempt)
        await self.records.insist(claim.email, put_back(claim.email, self.ports.clock.now(), rest), again)

    async def _written(self, claim: Claim) -> Draft | Rejected:
        """Return what to hand to the provider; a message whose content is gone can be sent by nobody."""
        email, key = claim.email, claim.attempt.key
        try:
            message = claim.message or await self.ports.store.content(email.id)
        except EmailNotFoundError:
            return Rejected(code="content_gone", detail="the content of this e-mail is not stored any more")
        note = ""
        if suppressions := await self.suppressions.among(email.tenant, recipients(message)):
            left = spared(message, suppressions)
            message, note = left.message, f"left out, as suppressed: {left.named}"
            if not left.reaches:
                return Rejected(code=SUPPRESSED, detail=f"{note}; nobody else is written to")
        return Draft(Send(message=message, email_id=email.id, key=key, deadline=self.rules.call_deadline), note)

    async def _handed_over(self, claim: Claim, draft: Draft) -> Outcome:
        """Hand a draft to the provider and return what came of it, with the note on it."""
        try:
            outcome = await self._provider(claim.attempt.provider).send(draft.send)
        except Exception as error:  # noqa: BLE001 - a provider of a third party must not take the worker down
            outcome = self._raised(claim.email, type(error).__name__)
        finally:
            self.roster.leave(claim.email.id)
        if not draft.note:
            return outcome
        return replace(outcome, detail="; ".join(filter(None, (draft.note, outcome.detail))))

    def _raised(self, email: Email, error: str) -> Unknown:
        """Return what came of a call that raised an error of this name, and tell of it."""
        self.ports.watch(Event(what=Happening.PROVIDER_RAISED, email_id=email.id, note=error))
        return Unknown(code="provider_raised", detail=f"the provider's code raised {error}")

    def _provider(self, name: str) -> Provider:
        """Return a configured provider."""
        return next(one.provider for one in self.ports.providers if one.provider.name == name)

    async def _record(self, claim: Claim, outcome: Outcome, latency: timedelta) -> Claim | None:
        """Save what came of an attempt, together with the next attempt after a clean failure."""
        began = self.ports.clock.monotonic()
        transition = record_outcome(claim.email, outcome, self.rules, self.ports.clock.now(), latency)
        ended = transition.email.attempts[-1]
        if _between(transition.email):
            transition = await self._failed_over(transition.email)
        self.ports.crash_point("before_finish")
        saved = await self.records.insist(claim.email, transition, self._again(claim, outcome, latency))
        self.ports.crash_point("after_finish")
        self.ports.watch(Event(what=Happening.ATTEMPTED, email_id=claim.email.id, email=saved, attempt=ended))
        if saved is None:
            await self._release(transition.email)
            return None
        return Claim(saved, saved.open_attempt, began, claim.message) if saved.open_attempt else None

    async def _failed_over(self, email: Email) -> Transition:
        """Return what follows a clean failure: the next provider at once, or a wait; nothing while stopping."""
        plan = await self._plan(email)
        if isinstance(plan, Skip):
            plan = Wait(until=self.ports.clock.now(), reason=Reason.STOPPED)
        return carried_out(email, plan, self.rules, self.ports.clock.now())

    def _again(self, claim: Claim, outcome: Outcome, latency: timedelta) -> Decide:
        """Return how to record an outcome on an e-mail that somebody else has saved meanwhile.

        There a clean failure waits for the next wake-up instead of failing over: a permit cannot be asked for here.
        """

        def decide(fresh: Email) -> Transition | None:
            now = self.ports.clock.now()
            if fresh.open_attempt is None or fresh.open_attempt.n != claim.attempt.n:
                return self._settled_late(fresh, claim, outcome, latency)
            transition = record_outcome(fresh, outcome, self.rules, now, latency)
            if not _between(transition.email):
                return transition
            plan = plan_attempt(transition.email, self.roster.latest, self.rules, now, self.ports.draw())
            due_now = Wait(until=now, reason=Reason.NO_PROVIDER)
            return carried_out(transition.email, due_now if isinstance(plan, Begin) else plan, self.rules, now)

        return decide

    def _settled_late(self, email: Email, claim: Claim, outcome: Outcome, latency: timedelta) -> Transition | None:
        """Return what an answer makes of an e-mail that others took over when its lease had lapsed."""
        settled = settle_late(email, claim.attempt.n, outcome, self.rules, self.ports.clock.now(), latency)
        if settled:
            self.ports.watch(Event(what=Happening.SETTLED_LATE, email_id=email.id))
        return settled

    async def due(
        self, lane: Lane, room: int, hide_for: timedelta, *, grace: timedelta = timedelta()
    ) -> Sequence[EmailId]:
        """Return e-mails of a lane that are due, no more than there is room for and than providers take now.

        Args:
            lane: One that is paused has none.
            room: How many at most.
            hide_for: How long they are hidden from others that ask.
            grace: Only those that have been due for so long.
        """
        views = await self.roster.views()
        if self.roster.board.paused(lane):
            return ()
        now = self.ports.clock.now()
        wanted = Due(lane=lane, limit=room, hide_for=hide_for + grace, closed=frozenset())
        due = admitted(wanted, views, self.rules.health, now)
        return await self.ports.store.take_due(now - grace, due) if due.limit > 0 else ()


def _between(email: Email) -> bool:
    """Whether a clean failure left the e-mail between two attempts."""
    return email.status is Status.SENDING and email.open_attempt is None
