"""One e-mail, two workers and a person, moved step by step through the real core, against a model of its own.

Every call to a port is a gate at which an actor stands until it is told to step on, so that any interleaving, pause
and crash is a list of moves. `Truth` knows only what the providers and the person saw; it asks nothing of the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace
from tests.dst.given import NOW, SECOND, World, message
from tests.dst.virtual import VirtualLoop

from mailcore.appeal import Resolution
from mailcore.breaker import Breaker, State
from mailcore.errors import MailError
from mailcore.health import Health
from mailcore.intake import new_email
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Message, OnUnknown
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown, Verdict
from mailcore.provider import Capabilities, Send
from mailcore.retry import RetryPolicy
from mailcore.rules import Rules
from mailcore.strategy import priority
from mailcore.testing import ManualClock, MemoryHealth, MemoryStore
from mailcore.testing.scripted_provider import EVERYTHING
from mailcore.validation import checked

LEASE, DEADLINE = timedelta(seconds=60), timedelta(seconds=20)
WINDOW = timedelta(hours=1)
AGE = timedelta(hours=24)
TICKS = (5, 15, 21, 31, 41, 61, 181, 1081, 3601, 43201)
ID = "em_1"

OUTCOMES: dict[str, tuple[Outcome, bool]] = {
    "accepted": (Accepted(), True),
    "rejected": (Rejected(code="550", detail=""), False),
    "deferred": (Deferred(code="503", detail=""), False),
    "deferred_60": (Deferred(code="503", detail="", retry_after=60 * SECOND), False),
    "throttled_60": (Throttled(code="429", detail="", retry_after=60 * SECOND), False),
    "account": (Misconfigured(scope=Scope.ACCOUNT, code="401", detail=""), False),
    "sender": (Misconfigured(scope=Scope.SENDER, code="403", detail=""), False),
    "lost_before": (Unknown(code="reset", detail=""), False),
    "lost_after": (Unknown(code="reset", detail=""), True),
}

# What may follow what, written down once more and by hand: the core's own table is under test.
FOLLOWS = {
    "scheduled": {"sending", "retrying", "failed", "cancelled"},
    "queued": {"sending", "retrying", "failed", "cancelled", "sent", "queued"},
    "sending": {"sending", "sent", "retrying", "held", "failed", "cancelled", "queued"},
    "retrying": {"sending", "retrying", "held", "failed", "cancelled", "sent"},
    "held": {"sent", "retrying", "failed", "cancelled", "held"},
    "sent": {"sent"},
    "failed": {"queued", "sent", "failed"},
    "cancelled": {"cancelled"},
}


class BrokenError(AssertionError):
    """An invariant does not hold."""


def must(holds: object, rule: str) -> None:
    """Raise unless an invariant holds."""
    if not holds:
        raise BrokenError(rule)


class Setting(Struct, frozen=True, kw_only=True):
    """What one run begins with.

    Attributes:
        focus: What a walk does more often than not, for what is rare otherwise.
    """

    on_unknown: OnUnknown = OnUnknown.RETRY
    providers: int = 2
    dedupes: bool = False
    scheduled: bool = False
    max_rounds: int | None = None
    half_open: bool = False
    focus: str = ""


@dataclass
class Request:
    """One request as its provider saw it."""

    provider: str
    key: str
    start: datetime
    worker: str
    accepted: bool = False
    end: datetime | None = None
    answer: str | None = None
    crashed: bool = False
    attempt: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether no answer came that tells what became of it."""
        return self.crashed or self.answer in {None, "lost_before", "lost_after"}

    def over(self, now: datetime) -> bool:
        """Whether the provider is surely done with it."""
        return self.end is not None or now >= self.start + DEADLINE


@dataclass
class Truth:
    """What really happened, told by the world outside of the core."""

    setting: Setting
    requests: list[Request] = field(default_factory=list)
    withdrawn: bool = False
    asked_to_withdraw: int | None = None
    redrives: int = 0
    freed: int = 0
    series_at: datetime = NOW
    give_up_at: datetime = NOW + AGE
    known_accepted: bool = False
    once_unknown: set[int] = field(default_factory=set)
    owner: str = ""
    attempts: int = 1
    claimed: int = 1
    meddled: bool = False
    version: int = 1
    status: str = "queued"

    def series(self) -> list[Request]:
        """Return the requests of the present series."""
        return [one for one in self.requests if one.key == f"{ID}.{self.redrives}"]

    def begins(self, request: Request, stored: Email) -> None:
        """Check a request that its provider sees now."""
        now = request.start
        must(all(one.over(now) for one in self.requests), "I7: two requests under way")
        must(not self.withdrawn, "I21: a request after a cancel that said yes")
        if self.asked_to_withdraw is not None:
            must(len(self.requests) <= self.asked_to_withdraw, "I21: a new attempt after a cancel was asked for")
        must(not self.setting.scheduled or now >= NOW + 300 * SECOND, "I17: early")
        must(request.key == f"{ID}.{self.redrives}", "the key is constant over a series and new after a redrive")
        must(now < self.give_up_at, "I20: a request after its end")
        opened = stored.open_attempt
        must(opened, "an attempt is recorded before the call")
        assert opened
        request.attempt = opened.n
        must((opened.provider, opened.key) == (request.provider, request.key), "the record tells where it goes")
        must(opened.n not in {one.attempt for one in self.requests}, "one attempt, one request")
        must(now - opened.started_at <= LEASE - DEADLINE, "I9: a call later than its lease allows")
        self._after_others(request, stored)
        self.requests.append(request)

    def _after_others(self, request: Request, stored: Email) -> None:
        """Check a request against those before it."""
        for one in self.requests:
            if one.doubtful and self._may_double(one, request):
                must(stored.possible_duplicate, "I11: a possible duplicate is recorded before it is made")
        self._rests(request)
        doubtful = [one for one in self.series() if (one.doubtful and one.answer) or one.crashed]
        if doubtful:
            last = doubtful[-1]
            wait = DEADLINE if last.crashed else 30 * SECOND
            must(request.start - last.start >= wait or self.freed, "I32: no failover after unknown within the grace")
            if self.setting.on_unknown is OnUnknown.HOLD:
                must(self.freed, "I32: under hold nothing follows an unknown outcome")
            self._pinned(request, doubtful, stored)
        must(sum(one.crashed for one in self.series()) < 3, "I10: three crashes at most")
        told = [one for one in doubtful if not one.crashed and not self._recognised(one)]
        must(len(told) < 4 * (1 + self.freed), "I10: four unknown outcomes at most")

    def _may_double(self, one: Request, request: Request) -> bool:
        """Whether a request may be a second delivery of an earlier doubtful one."""
        same = self.setting.dedupes and one.provider == request.provider == "p1" and one.key == request.key
        return not (same and request.start < self._first(one).start + WINDOW)

    def _first(self, one: Request) -> Request:
        """Return the first request with the same key that its provider may have taken: its window starts there."""
        same = [other for other in self.requests if (other.provider, other.key) == (one.provider, one.key)]
        return next((other for other in same if other.doubtful or other.accepted), one)

    def _recognised(self, one: Request) -> bool:
        """Whether its provider knew it for a repeat of a doubtful one."""
        earlier = self.requests[: self.requests.index(one)]
        at_home = self.setting.dedupes and one.provider == "p1"
        return at_home and any(other.provider == "p1" and other.key == one.key and other.doubtful for other in earlier)

    def _pinned(self, request: Request, doubtful: Sequence[Request], stored: Email) -> None:
        """Check that an unknown request is repeated where it is recognised."""
        last = doubtful[-1]
        first = next((one.started_at for one in stored.attempts if one.outcome is Verdict.UNKNOWN), last.start)
        half = self.series_at + (self.give_up_at - self.series_at) / 2
        within = request.start < min(first + WINDOW, half)
        refused = any(one.answer == "sender" and one.provider == "p1" for one in self.series())
        if self.setting.dedupes and last.provider == "p1" and within and not refused:
            must(request.provider == "p1", "I32: pinned to the provider that recognises the repeat")

    def _rests(self, request: Request) -> None:
        """Check a request against the wishes of its provider."""
        for one in self.series():
            late = one.attempt in self.once_unknown
            if one.provider != request.provider or one.end is None or one.crashed or late:
                continue
            passed = request.start - one.end
            must(one.answer != "sender", "a provider that does not know the sender is not tried again")
            must(
                one.answer not in {"deferred_60", "throttled_60"} or passed >= 60 * SECOND,
                "I19: asked to be left alone",
            )
            must(one.answer not in {"deferred", "account"} or passed >= SECOND, "no second try within a round")

    def deliveries(self) -> int:
        """Return how often the message was really taken; repeats that are recognised are one."""
        taken: list[Request] = []
        for one in self.requests:
            known = any(not self._may_double(other, one) for other in taken)
            if one.accepted and not known:
                taken.append(one)
        return len(taken)

    def sees(self, stored: Email, now: datetime) -> None:
        """Check the record after a move."""
        changed = stored.version != self.version
        must(stored.version in {self.version, self.version + 1}, "I8: one save, one version")
        must(not changed or stored.status in FOLLOWS[self.status], f"{self.status} does not become {stored.status}")
        must(stored.settled or stored.wake_at, "I5: what is not settled wakes")
        must(stored.crashes <= 3, "I10: crashes are bounded")
        must(stored.unknowns <= 4, "I10: unknown outcomes are bounded")
        must(stored.status is not Status.SENDING or stored.open_attempt, "sending means that an attempt is open")
        if stored.next_n > self.claimed:
            taken = any(one.outcome is Verdict.ACCEPTED for one in stored.attempts)
            must(not taken, "nothing is begun after an acceptance is recorded")
            self.claimed = stored.next_n
        if stored.lease_until and stored.open_attempt:
            must(stored.lease_until <= stored.open_attempt.started_at + LEASE, "I6: a lease ends")
        for one in stored.attempts:
            if one.outcome is Verdict.UNKNOWN and one.n not in self.once_unknown:
                asked = next((r for r in self.requests if r.attempt == one.n), None)
                told = asked is not None and asked.answer in {"lost_before", "lost_after"}
                must(told or now >= one.started_at + LEASE, "I37: unknown only by an answer or a lapsed lease")
                self.once_unknown.add(one.n)
        must(self.deliveries() <= 1 + len(self.once_unknown) + self._open(stored), "I11: duplicates are explained")
        must(not self.withdrawn or stored.status is Status.CANCELLED, "I21: cancelled stays cancelled")
        if stored.status is Status.FAILED and stored.reason is Reason.GAVE_UP and changed:
            self._given_up(stored, now)
        self.version, self.status = stored.version, str(stored.status)

    def _open(self, stored: Email) -> int:
        """Return 1 while an attempt is under way, whose doubt is not recorded yet."""
        return int(stored.open_attempt is not None)

    def _given_up(self, stored: Email, now: datetime) -> None:
        """Check that what was given up had its rounds or its age."""
        grace = timedelta(hours=2)
        if self.setting.max_rounds is None:
            must(now >= self.give_up_at - grace, "I20: given up by age alone")
        else:
            spent = [one for one in self.series() if one.answer and one.answer.startswith(("deferred", "lost"))]
            probes = {one.n for one in stored.attempts if one.probe}
            real = [one for one in spent if one.attempt not in probes]
            aged = now >= self.give_up_at - grace
            must(len(real) >= self.setting.max_rounds or aged, "I30: a failed probe costs no round")


class Gate:
    """Where an actor stands: the point that it waits at, until it is told to step on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.point = ""
        self.dead = False
        self._waits: asyncio.Future[Any] | None = None

    async def wait(self, point: str) -> object:
        """Stand at a point."""
        self.point = point
        self._waits = asyncio.get_running_loop().create_future()
        return await self._waits

    def step(self, value: object = None) -> None:
        """Let the actor go on."""
        assert self._waits
        self.point = ""
        self._waits.set_result(value)


class GatedStore:
    """A store as one actor reaches it."""

    def __init__(self, gate: Gate, store: MemoryStore) -> None:
        self._gate = gate
        self._store = store

    async def get(self, email_id: str, /) -> Email:
        """As the port says."""
        await self._gate.wait("get")
        return await self._store.get(email_id)

    async def content(self, email_id: str, /) -> Message:
        """As the port says."""
        await self._gate.wait("content")
        return await self._store.content(email_id)

    async def save(self, email: Email) -> None:
        """As the port says."""
        await self._gate.wait("save")
        await self._store.save(email)
        await self._gate.wait("saved")


class GatedProvider:
    """A provider as one worker reaches it; its answer is a move."""

    def __init__(self, name: str, capabilities: Capabilities, world: OneEmail, gate: Gate) -> None:
        self.name = name
        self.capabilities = capabilities
        self._world = world
        self._gate = gate

    async def send(self, send: Send) -> Outcome:
        """As the port says."""
        request = Request(self.name, send.key, self._world.clock.now(), self._gate.name)
        try:
            must(not self._world.worlds[self._gate.name].courier.stopping, "I37: a stopping worker calls nobody")
            self._world.truth.begins(request, self._world.stored)
        except BrokenError as error:
            self._world.broken = error  # the courier takes whatever is raised here for the provider's own bug
            raise
        return cast("Outcome", await self._gate.wait("answer"))

    async def aclose(self) -> None:
        """Let go of nothing."""


class OneEmail:
    """One e-mail and everybody who does something to it.

    Attributes:
        truth: The model; raises BrokenError as soon as the core departs from it.
        moves: What was done so far, for the report.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.loop = VirtualLoop()
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.health = MemoryHealth(runs=1)
        self.rules = Rules(
            strategy=priority, strategy_name="priority", retry=RetryPolicy(max_rounds=setting.max_rounds)
        )
        self.truth = Truth(setting)
        self.moves: list[tuple[str, ...]] = []
        self.tasks: dict[str, asyncio.Task[object]] = {}
        self.gates: dict[str, Gate] = {}
        self.worlds: dict[str, World] = {}
        self.broken: BrokenError | None = None
        self._put(setting)
        for name in ("w0", "w1", "person"):
            self._hire(name)

    @property
    def stored(self) -> Email:
        """The e-mail as it is stored."""
        return self.store.emails[ID]

    def _put(self, setting: Setting) -> None:
        """Store the e-mail, and the health that the run begins with."""
        at = NOW + 300 * SECOND if setting.scheduled else None
        sound = checked(message(scheduled_at=at, on_unknown=setting.on_unknown), now=NOW, default_from=None)
        self.store._put(new_email(sound, ID, "default", "f", self.rules, NOW))
        self.store.messages[ID] = sound
        self.truth.status = str(self.stored.status)
        self.truth.give_up_at = self.stored.give_up_at
        if setting.half_open:
            half = Health(breaker=Breaker(state=State.HALF_OPEN, generation=2, openings=1))
            self.health.known = {f"p{n + 1}": half for n in range(setting.providers)}

    def _hire(self, name: str) -> None:
        """Put an actor in place of whoever had this name."""
        gate = Gate(name)
        self.gates[name] = gate
        able = [
            replace(EVERYTHING, dedupe_window=WINDOW if self.setting.dedupes and n == 0 else None)
            for n in range(self.setting.providers)
        ]
        self.worlds[name] = World(
            [GatedProvider(f"p{n + 1}", one, self, gate) for n, one in enumerate(able)],
            rules=self.rules,
            store=GatedStore(gate, self.store),
            health=self.health,
            clock=self.clock,
            sleep=lambda _seconds: gate.wait("sleep"),
            draw=lambda: 0.5,
            name=f"{name}.{len(self.moves)}.",
        )

    # Moves

    def moves_now(self) -> list[tuple[str, ...]]:
        """Return every move that can be made now."""
        able: list[tuple[str, ...]] = [("tick", str(dt)) for dt in TICKS]
        for name, gate in self.gates.items():
            if name not in self.tasks:
                able += self._beginnings(name)
            elif gate.point == "answer":
                able += [("answer", name, outcome) for outcome in OUTCOMES]
            elif gate.point:
                able.append(("step", name))
            if name != "person" and name in self.tasks:
                able.append(("stop", name))
                able += [("crash", name, taken) for taken in (("yes", "no") if gate.point == "answer" else ("no",))]
        return [*able, ("lose_answer",)]

    def _beginnings(self, name: str) -> list[tuple[str, ...]]:
        """Return what an idle actor may begin."""
        if name != "person":
            return [("hint", name)]
        return [("ask", "cancel"), ("ask", "redrive"), *(("ask", str(how)) for how in Resolution)]

    def move(self, *move: str) -> None:
        """Make a move, and compare what came of it with the truth."""
        self.moves.append(move)
        getattr(self, f"_{move[0]}")(*move[1:])
        self._run()
        if self.broken:
            raise self.broken
        self.truth.sees(self.stored, self.clock.now())

    def _tick(self, seconds: str) -> None:
        self.clock.advance(float(seconds))

    def _lose_answer(self) -> None:
        self.store.lose_answers = 1

    def _hint(self, name: str) -> None:
        self._begin(name, self._attempt(name))

    async def _attempt(self, name: str) -> None:
        """Carry the e-mail as an engine does: alone where it must be."""
        await self.worlds[name].courier.attempt(ID, solo=True)

    def _ask(self, what: str) -> None:
        self._begin("person", self._appeal(what))

    async def _appeal(self, what: str) -> None:
        """Ask something as a person, and note what the answer promises."""
        mailer = self.worlds["person"].mailer
        calls: dict[str, Callable[[], Coroutine[Any, Any, Email]]] = {
            "cancel": lambda: mailer.cancel(ID),
            "redrive": lambda: mailer.redrive(ID),
        }
        call = calls.get(what) or (lambda: mailer.resolve(ID, Resolution(what)))
        before = len(self.truth.requests)
        answer = await call()
        if what == "cancel":
            self.truth.withdrawn |= answer.status is Status.CANCELLED
            if answer.cancel_requested and answer.status is Status.SENDING:
                # the attempt that was under way may begin its call yet
                begun = any(one.attempt == answer.attempts[-1].n for one in self.truth.requests)
                self.truth.asked_to_withdraw = max(before, len(self.truth.requests)) - begun

    def _step(self, name: str) -> None:
        gate = self.gates[name]
        saving = gate.point == "save"
        version = self.stored.version
        gate.step()
        self._run()
        if saving and self.stored.version > version:
            self._saved_by(name)

    def _saved_by(self, name: str) -> None:
        """Note whose save it was: a worker's new attempt is its own."""
        self.truth.meddled |= name != self.truth.owner
        if name == "person":
            self._promised(self.stored)
        elif self.stored.next_n > self.truth.attempts:
            self.truth.attempts, self.truth.meddled = self.stored.next_n, False
            self.truth.owner = name if name in self.tasks else ""  # it gave up, its claim saved and not answered

    def _promised(self, saved: Email) -> None:
        """Note what a person's save means for the truth."""
        if saved.reason is Reason.REDRIVEN:
            self.truth.redrives += 1
            self.truth.asked_to_withdraw = None
            self.truth.series_at = saved.updated_at
            self.truth.give_up_at = saved.updated_at + AGE
            self.truth.freed += 1
        elif saved.reason is Reason.RESOLVED and saved.status is Status.RETRYING:
            self.truth.freed += 1
            self.truth.give_up_at = saved.updated_at + AGE
        elif saved.status is Status.CANCELLED:
            self.truth.withdrawn = True

    def _answer(self, name: str, outcome: str) -> None:
        value, accepted = OUTCOMES[outcome]
        request = self._request_of(name)
        request.accepted, request.answer, request.end = accepted, outcome, self.clock.now()
        if outcome == "accepted":
            self.truth.known_accepted = True
        else:
            self._late_failure(request)
        self.gates[name].step(value)

    def _late_failure(self, request: Request) -> None:
        """A late clean answer takes a doubt away that an e-mail was held for."""
        if not isinstance(OUTCOMES[request.answer or ""][0], Unknown):
            self.truth.freed += self.stored.status is Status.HELD

    def _request_of(self, name: str) -> Request:
        """Return the request that an actor waits for."""
        return [one for one in self.truth.requests if one.worker == name][-1]

    def _stop(self, name: str) -> None:
        self.worlds[name].courier.stopping = True

    def _crash(self, name: str, accepted: str) -> None:
        mine = [one for one in self.truth.requests if one.worker == name]
        if mine and self.gates[name].point == "answer":
            mine[-1].accepted, mine[-1].crashed = accepted == "yes", True
        elif mine and self._is_doubtful(mine[-1]):
            self.truth.known_accepted &= mine[-1].answer != "accepted"
            mine[-1].crashed = True
        self.truth.owner = "" if self.truth.owner == name else self.truth.owner
        self.tasks.pop(name).cancel()
        self._run()
        for one in self.truth.requests:
            one.worker = f"dead {one.worker}" if one.worker == name else one.worker
        self._hire(name)

    def _is_doubtful(self, request: Request) -> bool:
        """Whether the answer to a request is in no record: it dies with its worker."""
        recorded = next((one.outcome for one in self.stored.attempts if one.n == request.attempt), None)
        return recorded in {None, Verdict.UNKNOWN} and request.answer not in {"lost_before", "lost_after"}

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Let an actor begin something."""
        self.tasks[name] = self.loop.create_task(work)

    def _run(self) -> None:
        """Let everybody go on until all stand at gates; no time passes."""
        while True:
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
            if not self.loop._ready:
                break
        for name, task in list(self.tasks.items()):
            if task.done():
                self._end(name, self.tasks.pop(name))

    def _end(self, name: str, task: asyncio.Task[object]) -> None:
        """See how an actor ended; a worker that was told to stop is replaced."""
        error = task.exception()
        if error and not isinstance(error, MailError):
            raise error
        # a claim whose answer was lost cannot be told from another's once somebody has saved on top of it
        mine = self.truth.owner == name and self.stored.open_attempt and not self.truth.meddled
        must(error or not mine, "I37: a worker that lives leaves no attempt open")
        if error and self.truth.owner == name:
            self.truth.owner = ""
        if self.worlds[name].courier.stopping:
            self._hire(name)

    # The end

    def drain(self) -> None:
        """Heal everything, let everybody finish, and see that the e-mail comes to its end (I2)."""
        self.store.lose_answers = 0
        for _ in range(400):
            if self.stored.settled or self.stored.status is Status.HELD:
                break
            self._heal()
        must(self.stored.settled or self.stored.status is Status.HELD, "I2: it comes to an end")
        self._finish()
        if self.truth.known_accepted and not self.truth.withdrawn:
            must(self.stored.status in {Status.SENT, Status.CANCELLED}, "a known acceptance is recorded")

    def _heal(self) -> None:
        """Do what helps next: let somebody step on, or wake the e-mail when it is due."""
        if not self._finish():
            wake_at = self.stored.wake_at or self.clock.now()
            self.clock.advance(max(wake_at - self.clock.now(), timedelta()))
            self.move("hint", "w0")

    def _finish(self) -> bool:
        """Let everybody finish what is begun; return whether there was anything."""
        moved = False
        while self.tasks:
            name, gate = next((one, self.gates[one]) for one in self.tasks)
            moved = True
            self.move(*(("answer", name, "accepted") if gate.point == "answer" else ("step", name)))
        return moved

    def close(self) -> None:
        """Let go of the loop."""
        for task in self.tasks.values():
            task.cancel()
        self._silence()
        self.loop.close()

    def _silence(self) -> None:
        """Let cancelled tasks end."""
        for _ in range(5):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()


def settings_of(draw: Callable[[], float]) -> Setting:
    """Draw what a run begins with."""
    return Setting(
        on_unknown=OnUnknown.HOLD if draw() < 0.3 else OnUnknown.RETRY,
        providers=1 if draw() < 0.3 else 2,
        dedupes=draw() < 0.4,
        scheduled=draw() < 0.2,
        max_rounds=1 if draw() < 0.15 else None,
        half_open=draw() < 0.2,
        focus=FOCUSES[int(draw() * len(FOCUSES))],
    )


WEIGHTS = {"hint": 6, "step": 16, "answer": 10, "tick": 5, "crash": 1, "ask": 1, "stop": 1, "lose_answer": 0.3}
FOCUSES = ("", "", "crashes", "unknown", "late", "age")
FOCUSED: dict[str, dict[str, float]] = {
    "crashes": {"crash": 5, "answer": 1, "ask": 0.1},
    "unknown": {"ask": 0.1, "crash": 0.1, "stop": 0.1},
    "late": {"answer": 2, "ask": 0.2, "crash": 0.2},
    "age": {"ask": 0.2},
}
PREFERRED: dict[str, tuple[str, ...]] = {
    "crashes": ("61",),
    "unknown": ("lost_before", "lost_after", "1081", "3601"),
    "late": ("61", "accepted", "rejected"),
    "age": ("43201", "deferred"),
}


def walk(draw: Callable[[], float], moves: int = 60) -> list[tuple[str, ...]]:
    """Make a random walk, and drain; return the moves.

    Raises:
        BrokenError: An invariant does not hold; its notes tell the setting and the moves.
    """
    world = OneEmail(settings_of(draw))
    try:
        for _ in range(moves):
            world.move(*_drawn(world, draw))
        world.drain()
    except AssertionError as error:
        error.add_note(f"{world.setting}\n" + "\n".join(" ".join(move) for move in world.moves))
        raise
    finally:
        world.close()
    return world.moves


def _drawn(world: OneEmail, draw: Callable[[], float]) -> tuple[str, ...]:
    """Draw a move: first what kind, by weight, then which of its kind."""
    focus = world.setting.focus
    kinds: dict[str, list[tuple[str, ...]]] = {}
    for move in world.moves_now():
        kinds.setdefault(move[0], []).append(move)
    weights = {kind: FOCUSED.get(focus, {}).get(kind, WEIGHTS[kind]) for kind in kinds}
    left = draw() * sum(weights.values())
    able: list[tuple[str, ...]] = []
    for kind, of_kind in kinds.items():
        left, able = left - weights[kind], of_kind
        if left < 0:
            break
    preferred = [one for one in able if one[-1] in PREFERRED.get(focus, ())]
    chosen = preferred if preferred and draw() < 0.6 else able
    return chosen[int(draw() * len(chosen))]
