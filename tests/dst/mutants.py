"""The guards of the core, each of which the simulations must miss when it is taken away.

Each mutant is a text that stands once in a module, and what it is replaced by. `hunt` runs each
mutant on a copy of the sources, and finds and pins the seeds at which the simulation breaks without the guard.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

SOURCES = Path(__file__).parents[2] / "src"

Layer = Literal["walk", "world"]


class Mutant(Struct, frozen=True, kw_only=True):
    """One guard taken away.

    Attributes:
        guard: What is missing then.
        file: Its module, below `src`.
        layer: The simulation that must break.
    """

    guard: str
    file: str
    old: str
    new: str
    layer: Layer = "walk"


MUTANTS = [
    Mutant(
        guard="fence on save",
        file="mailcore/testing/memory_store.py",
        old="if self._stored(email.id).version != email.version - 1:",
        new="if self._stored(email.id).version > 10**6:",
    ),
    Mutant(
        guard="attempt recorded before the call",
        file="mailcore/courier.py",
        old="        saved = await self.records.insist(email, transition, lambda _fresh: None, patience=patience)\n",
        new="        saved = transition.email\n        patience += patience\n",
    ),
    Mutant(
        guard="no call later than the lease allows",
        file="mailcore/courier.py",
        old="if late or self.stopping:",
        new="if (late and False) or self.stopping:",
    ),
    Mutant(
        guard="a live lease is left alone",
        file="mailcore/plan.py",
        old="if attempt is None or email.lease_until is None or email.lease_until > now:",
        new="if attempt is None or email.lease_until is None:",
    ),
    Mutant(
        guard="an open attempt is left alone",
        file="mailcore/plan.py",
        old="    if email.open_attempt:\n",
        new="    if email.open_attempt and email.crashes > 10**6:\n",
    ),
    Mutant(
        guard="cancel is a compare-and-set",
        file="mailcore/records.py",
        old="                self._tell(Happening.STALE_SAVE, email_id)\n",
        new="                return transition.email\n",
    ),
    Mutant(
        guard="no failover after an unknown outcome",
        file="mailcore/dispatch.py",
        old="return _after_unknown(email, attempt, rules, now)",
        new="return Transition(email)",
    ),
    Mutant(
        guard="the grace of an unknown outcome",
        file="mailcore/dispatch.py",
        old="until = now + rules.unknown_grace *",
        new="until = now + timedelta(milliseconds=1) *",
    ),
    Mutant(
        guard="crash bound",
        file="mailcore/plan.py",
        old="if email.crashes >= rules.max_crashes:",
        new="if email.crashes >= 10**6:",
    ),
    Mutant(
        guard="a crash is counted by who finds it",
        file="mailcore/plan.py",
        old="crashes=email.crashes + 1,",
        new="crashes=email.crashes,",
    ),
    Mutant(
        guard="unknown bound",
        file="mailcore/plan.py",
        old="or email.unknowns >= rules.max_unknowns",
        new="or email.unknowns >= 10**6",
    ),
    Mutant(
        guard="hold means hold",
        file="mailcore/plan.py",
        old="return email.on_unknown is OnUnknown.HOLD or",
        new="return",
    ),
    Mutant(
        guard="a crash under hold is held",
        file="mailcore/plan.py",
        old="if email.status is Status.SENDING and _crashed(email) and must_hold(email, rules):",
        new="if must_hold(email, rules) and email.crashes > 10**6:",
    ),
    Mutant(
        guard="one key for a series",
        file="mailcore/lifecycle.py",
        old='return f"{self.id}.{self.redrives}"',
        new='return f"{self.id}.{self.redrives}.{len(self.attempts)}"',
    ),
    Mutant(
        guard="a new key after a redrive",
        file="mailcore/appeal.py",
        old="redrives=email.redrives + 1,",
        new="redrives=email.redrives,",
    ),
    Mutant(
        guard="scheduled is never early",
        file="mailcore/plan.py",
        old="waits = email.status in _RESTING",
        new="waits = email.status in _RESTING - {Status.SCHEDULED}",
    ),
    Mutant(
        guard="retrying waits until it is due",
        file="mailcore/plan.py",
        old="waits = email.status in _RESTING",
        new="waits = email.status in _RESTING - {Status.RETRYING}",
    ),
    Mutant(
        guard="given up by age",
        file="mailcore/plan.py",
        old="    if email.give_up_at <= now:\n",
        new="    if email.crashes > 10**6:\n",
    ),
    Mutant(
        guard="tried in this round",
        file="mailcore/route.py",
        old="    if any(spent(attempt, email) for attempt in tries):\n",
        new="    if any(spent(attempt, email) for attempt in tries[:0]):\n",
    ),
    Mutant(
        guard="a provider's wish to be left alone",
        file="mailcore/dispatch.py",
        old="repeat_at=_repeat_at(attempt, outcome, rules, now),",
        new="repeat_at=_repeat_at(attempt, outcome, rules, now) and None,",
    ),
    Mutant(
        guard="a failed probe costs no round",
        file="mailcore/route.py",
        old="        and not attempt.probe\n",
        new="",
    ),
    Mutant(
        guard="an unknown probe costs no round",
        file="mailcore/dispatch.py",
        old="costs_round = not attempt.probe",
        new="costs_round = attempt is not None",
    ),
    Mutant(
        guard="late answers are settled",
        file="mailcore/courier.py",
        old="return self._settled_late(fresh, claim, outcome, latency)",
        new="return None",
    ),
    Mutant(
        guard="a late acceptance concludes",
        file="mailcore/plan.py",
        old="if any(one.outcome is Verdict.ACCEPTED for one in email.attempts):",
        new="if any(one.outcome is Verdict.ACCEPTED for one in email.attempts[:0]):",
    ),
    Mutant(
        guard="an earlier acceptance beats a later failure",
        file="mailcore/dispatch.py",
        old="if email.status is Status.SENDING and any(_took_it(one) for one in email.attempts):",
        new="if email.status is Status.SENDING and _took_it(email.attempts[-1]):",
    ),
    Mutant(
        guard="unsent attempts are put back",
        file="mailcore/courier.py",
        old="        await self.records.insist(claim.email, put_back(",
        new="        (claim.email, put_back(",
    ),
    Mutant(
        guard="a refused sender is remembered",
        file="mailcore/dispatch.py",
        old="return Transition(replace(email, refused_by=_with(email.refused_by, attempt.provider)))",
        new="return Transition(replace(email, refused_by=email.refused_by))",
    ),
    Mutant(
        guard="pinned to who recognises the repeat",
        file="mailcore/plan.py",
        old="    pin = _pinned_to(email, providers, now)\n",
        new="    pin = None\n",
    ),
    Mutant(
        guard="possible duplicates are recorded",
        file="mailcore/lifecycle.py",
        old="after_unknown = email.possibly_sent and not attempt.deduped",
        new="after_unknown = email.possibly_sent and attempt.n > 10**6",
    ),
    Mutant(
        guard="a cancel asked for is honoured",
        file="mailcore/plan.py",
        old="    if email.cancel_requested:\n",
        new="    if email.cancel_requested and email.crashes > 10**6:\n",
    ),
    Mutant(
        guard="a lost answer is recognised as my own save",
        file="mailcore/records.py",
        old="if fresh.saved_by == mine.saved_by:",
        new='if fresh.saved_by == "nobody":',
    ),
    Mutant(
        guard="a stale outcome is decided anew",
        file="mailcore/records.py",
        old="        await self.settle(mine.id, again)\n",
        new="",
    ),
    Mutant(
        guard="a stopping worker calls nobody",
        file="mailcore/courier.py",
        old="if late or self.stopping:",
        new="if late:",
    ),
    Mutant(
        guard="a lease is left alone, among many",
        file="mailcore/plan.py",
        old="if attempt is None or email.lease_until is None or email.lease_until > now:",
        new="if attempt is None or email.lease_until is None:",
        layer="world",
    ),
    Mutant(
        guard="what is sent twice is recorded, among many",
        file="mailcore/lifecycle.py",
        old="after_unknown = email.possibly_sent and not attempt.deduped",
        new="after_unknown = email.possibly_sent and attempt.n > 10**6",
        layer="world",
    ),
    Mutant(
        guard="the suppressed are left out of every call",
        file="mailcore/courier.py",
        old="message, note = left.message, f",
        new="note = f",
        layer="world",
    ),
    Mutant(
        guard="an empty list is not believed in for long",
        file="mailcore/suppression_list.py",
        old="if now >= self._stale_from:",
        new="if now >= self._stale_from and self._used:",
        layer="world",
    ),
]
