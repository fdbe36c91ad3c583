"""A whole world in virtual time: workers, API nodes, providers and fifty e-mails, with faults drawn by a seed.

The workers are real engines on one store. Whoever is killed does nothing any more from that moment on; whoever is
paused does nothing until it wakes, while its clock runs on. The providers write down every request that they see.
Meanwhile addresses are suppressed and lifted again, by which some e-mails are refused and others fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace
from tests.dst.given import HOUR, MINUTE, NOW, SECOND, World, message
from tests.dst.one_email import BrokenError, must
from tests.dst.virtual import run

from mailcore.addresses import mailbox
from mailcore.engine import Pace
from mailcore.errors import MailError, QueueUnavailableError, StoreUnavailableError, SuppressedError
from mailcore.lifecycle import Email, Status
from mailcore.message import Lane, Message, OnUnknown, envelope
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown, Verdict
from mailcore.ports import Due
from mailcore.provider import Send
from mailcore.rules import Rules
from mailcore.stored import Added, Fetched
from mailcore.strategy import weighted
from mailcore.suppression import Grounds, Suppression, SuppressionPage
from mailcore.suppression_list import FRESH_FOR
from mailcore.testing import MemoryHealth, MemoryStore
from mailcore.testing.scripted_provider import EVERYTHING

T = TypeVar("T")
WORKERS, NODES, EMAILS, PEOPLE = 3, 2, 50, 6
TROUBLE, WHOLE = 600.0, 4 * 24 * 3600.0
DEADLINE = 20.0


class Node:
    """A process: every port of it asks here first whether it lives, and when it wakes."""

    def __init__(self) -> None:
        self.dead = False
        self.wakes_at = 0.0

    async def go_on(self) -> None:
        """Return when this process may act; never if it is dead."""
        loop = asyncio.get_running_loop()
        while self.dead or loop.time() < self.wakes_at:  # noqa: ASYNC110 - virtual time has no better wait
            await asyncio.sleep(10**9 if self.dead else self.wakes_at - loop.time())


class NodeStore:
    """The one store as a process reaches it: slow, sometimes down, sometimes without an answer."""

    def __init__(self, node: Node, sea: Sea) -> None:
        self.node = node
        self.sea = sea

    async def _ask(self, call: Callable[[], Awaitable[T]], *, writes: bool = False) -> T:
        """Make a call on the way there and back."""
        await self.node.go_on()
        await asyncio.sleep(self.sea.draw() * 0.02)
        await self.node.go_on()
        if self.sea.store_down():
            raise StoreUnavailableError("down")
        answer = await call()
        if writes and self.sea.chance(0.02):
            raise StoreUnavailableError("answer lost")
        await self.node.go_on()
        return answer

    async def add(self, email: Email, written: Message) -> Added:
        return await self._ask(lambda: self.sea.store.add(email, written), writes=True)

    async def get(self, email_id: str, /) -> Email:
        return await self._ask(lambda: self.sea.store.get(email_id))

    async def fetch(self, email_ids: Sequence[str], /) -> Mapping[str, Fetched]:
        return await self._ask(lambda: self.sea.store.fetch(email_ids))

    async def content(self, email_id: str, /) -> Message:
        return await self._ask(lambda: self.sea.store.content(email_id))

    async def save(self, email: Email) -> None:
        await self._ask(lambda: self.sea.saved(email), writes=True)

    async def take_due(self, now: datetime, due: Due) -> Sequence[str]:
        return await self._ask(lambda: self.sea.store.take_due(now, due))

    async def has_suppressions(self) -> bool:
        return await self._ask(self.sea.store.has_suppressions)

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        return await self._ask(lambda: self.sea.store.find_suppressions(tenant, mailboxes))

    async def save_suppressions(self, suppressions: Sequence[Suppression]) -> None:
        await self._ask(lambda: self.sea.store.save_suppressions(suppressions), writes=True)

    async def delete_suppression(self, tenant: str, mailbox: str, /) -> bool:
        return await self._ask(lambda: self.sea.store.delete_suppression(tenant, mailbox), writes=True)

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        return await self._ask(lambda: self.sea.store.list_suppressions(tenant, after=after, limit=limit))

    async def drop_suppressions(self, before: datetime, *, limit: int) -> int:
        return await self._ask(lambda: self.sea.store.drop_suppressions(before, limit=limit), writes=True)


class NodeQueue:
    """A queue that loses, repeats and delays wake-ups, and is sometimes down."""

    def __init__(self, node: Node, sea: Sea) -> None:
        self.node = node
        self.sea = sea

    async def enqueue(self, email_ids: Sequence[str], *, lane: Lane) -> None:
        await self.node.go_on()
        if self.sea.chance(0.05):
            raise QueueUnavailableError("down")
        copies = 0 if self.sea.chance(0.1) else 2 if self.sea.chance(0.1) else 1
        for _ in range(copies):
            loop = asyncio.get_running_loop()
            loop.call_later(self.sea.draw() * 3, self.sea.deliver, tuple(email_ids), lane)

    async def bury(self, email_id: str, *, reason: str) -> None:
        await self.node.go_on()


@dataclass
class Seen:
    """A request as its provider saw it."""

    provider: str
    email_id: str
    key: str
    start: float
    end: float
    accepted: bool


class SeaProvider:
    """A provider as a worker reaches it; what it does in trouble is drawn."""

    def __init__(self, name: str, node: Node, sea: Sea, window: timedelta | None) -> None:
        self.name = name
        self.node = node
        self.sea = sea
        self.capabilities = replace(EVERYTHING, dedupe_window=window)

    async def send(self, send: Send) -> Outcome:
        await self.node.go_on()
        outcome, accepted, seconds = self.sea.answer(self.name)
        now = asyncio.get_running_loop().time()
        self.sea.begins(Seen(self.name, send.email_id, send.key, now, now + seconds, accepted))
        self.sea.spares(send)
        await asyncio.sleep(seconds)
        await self.node.go_on()
        return outcome

    async def aclose(self) -> None:
        """Let go of nothing."""


@dataclass
class Sea:
    """Everything that is shared, and every fault that is drawn."""

    draw: Callable[[], float]
    store: MemoryStore = field(default_factory=MemoryStore)
    health: MemoryHealth = field(default_factory=MemoryHealth)
    requests: list[Seen] = field(default_factory=list)
    doubts: dict[str, set[int]] = field(default_factory=dict)
    withdrawn: dict[str, float] = field(default_factory=dict)
    workers: list[World] = field(default_factory=list)
    runs: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    outages: list[tuple[str, float, float]] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    refused: int = 0
    suppressed: dict[str, datetime] = field(default_factory=dict)
    hired: int = 0
    broken: list[str] = field(default_factory=list)

    def must(self, holds: object, rule: str) -> None:
        """Note that an invariant does not hold: whatever is raised here a worker would take for somebody's bug."""
        if not holds:
            self.broken.append(f"{rule} at {asyncio.get_running_loop().time():.1f} s")

    def chance(self, share: float) -> bool:
        """Whether a fault of this likelihood happens; none after the trouble."""
        return self.draw() < share and self.in_trouble()

    def in_trouble(self) -> bool:
        """Whether faults happen still."""
        return asyncio.get_running_loop().time() < TROUBLE

    def store_down(self) -> bool:
        """Whether the store is down now."""
        return self._out("store")

    def _out(self, what: str) -> bool:
        """Whether something has an outage now."""
        now = asyncio.get_running_loop().time()
        return any(name == what and start <= now < end for name, start, end in self.outages)

    def answer(self, provider: str) -> tuple[Outcome, bool, float]:
        """Return what a provider answers now, whether it took the message, and after how long."""
        seconds = 0.05 + self.draw()
        if not self.in_trouble():
            return Accepted(), True, seconds
        if self._out(provider):
            return (Deferred(code="503", detail=""), False, seconds) if self.draw() < 0.7 else self._hang()
        drawn = self.draw()
        for share, outcome in _FAULTS:
            if drawn < share:
                return outcome, False, seconds
        return self._hang() if drawn < 0.2 else (Accepted(), True, seconds)

    def _hang(self) -> tuple[Outcome, bool, float]:
        """Return a request that is not answered in time, taken or not."""
        return Unknown(code="timeout", detail=""), self.draw() < 0.5, DEADLINE

    def begins(self, seen: Seen) -> None:
        """Check a request when its provider sees it."""
        stored = self.store.emails[seen.email_id]
        mine = [one for one in self.requests if one.email_id == seen.email_id]
        self.must(all(one.end <= seen.start for one in mine), "I7: two requests under way")
        self.must(stored.open_attempt, "an attempt is recorded before the call")
        at = self.withdrawn.get(seen.email_id)
        self.must(at is None or seen.start <= at, "I21: a request after a cancel that said yes")
        scheduled = stored.scheduled_at
        self.must(not scheduled or NOW + seen.start * SECOND >= scheduled - SECOND / 1000, "I17: early")
        self.requests.append(seen)

    def spares(self, send: Send) -> None:
        """Check that nobody gets a message who was suppressed for long enough when its attempt was claimed."""
        attempt = self.store.emails[send.email_id].open_attempt
        since = [self.suppressed.get(mailbox(one)) for one in envelope(send.message).recipients]
        late = [one for one in since if one and attempt and one + FRESH_FOR < attempt.started_at]
        self.must(not late, "a suppressed recipient is written to")

    async def saved(self, email: Email) -> None:
        """Save an e-mail, and remember which attempts were ever unknown."""
        await self.store.save(email)
        self.must(email.settled or email.wake_at, "I5: what is not settled wakes")
        self.must(email.crashes <= 3 and email.unknowns <= 4, "I10: bounded")
        doubts = self.doubts.setdefault(email.id, set())
        doubts |= {one.n for one in email.attempts if one.outcome is Verdict.UNKNOWN}

    def deliver(self, email_ids: Sequence[str], lane: Lane) -> None:
        """Hand a wake-up to some worker."""
        living = [one for one in self.workers if not self.nodes[one.name].dead]
        if living:
            living[int(self.draw() * len(living))].engine.offer(email_ids, lane)

    # Processes

    def hire(self) -> World:
        """Start a worker."""
        self.hired += 1
        world = self.process(f"w{self.hired}")
        self.workers.append(world)
        self.runs[world.name] = asyncio.get_running_loop().create_task(world.engine.run())
        return world

    def process(self, name: str) -> World:
        """Return a process with ports of its own."""
        node = self.nodes[name] = Node()
        return World(
            [SeaProvider("p1", node, self, HOUR), SeaProvider("p2", node, self, None)],
            rules=RULES,
            pace=Pace(slots=8, poll=20 * SECOND),
            store=NodeStore(node, self),
            queue=NodeQueue(node, self),
            health=self.health,
            draw=self.draw,
            name=name,
        )

    def kill(self, world: World) -> None:
        """Kill a worker: from now on nothing that it does has an effect."""
        self.nodes[world.name].dead = True
        world.engine.courier.stopping = True
        for task in (*world.engine._tasks, self.runs[world.name]):
            task.cancel()
        self.workers.remove(world)

    async def stop(self, world: World) -> None:
        """Stop a worker politely."""
        self.workers.remove(world)
        await world.engine.stop(25 * SECOND)

    async def meddle(self) -> None:
        """Kill, pause and stop workers, and have outages, as long as the trouble lasts."""
        for what in ("store", "p1", "p2", "p1", "p2"):
            start = self.draw() * TROUBLE
            self.outages.append((what, start, min(TROUBLE, start + self.draw() * (20 if what == "store" else 200))))
        while self.in_trouble():
            await asyncio.sleep(self.draw() * 40)
            if not self.workers:
                continue
            victim = self.workers[int(self.draw() * len(self.workers))]
            drawn = self.draw()
            if drawn < 0.4:
                self.kill(victim)
                self.hire()
            elif drawn < 0.7:
                self.nodes[victim.name].wakes_at = asyncio.get_running_loop().time() + self.draw() * 120
            elif drawn < 0.8:
                self.hire()
                await self.stop(victim)

    async def suppress(self, node: World) -> None:
        """Suppress some address, and lift some again, as long as the trouble lasts; at first there is none."""
        await asyncio.sleep(TROUBLE / 4)
        while self.in_trouble():
            await asyncio.sleep(self.draw() * 60)
            local = f"r{int(self.draw() * PEOPLE)}"
            word = Suppression(
                tenant="default", address=f"{local.upper()}@example.com", reason=Grounds.MANUAL, created_at=NOW
            )
            with suppress(StoreUnavailableError):
                if self.draw() < 0.5:
                    await node.mailer.suppressions.add([word])
                    self.suppressed[word.mailbox] = node.clock.now()
                else:
                    self.suppressed.pop(word.mailbox, None)
                    await node.mailer.suppressions.lift(word.tenant, word.address)

    async def post(self, node: World, n: int) -> None:
        """Post an e-mail as a client does, again and again with one key until it is accepted; cancel some."""
        await asyncio.sleep(self.draw() * TROUBLE * 0.8)
        written = _message(self.draw, NOW + asyncio.get_running_loop().time() * SECOND, n)
        for _ in range(100):
            try:
                added = await node.mailer.submit(written, key=f"k{n}")
            except SuppressedError:
                self.refused += 1
                return
            except StoreUnavailableError:
                await asyncio.sleep(1 + self.draw() * 5)
            else:
                self.accepted.add(added.email.id)
                break
        if n % 7 == 0:
            await asyncio.sleep(self.draw() * 30)
            with suppress(MailError):
                answer = await node.mailer.cancel(added.email.id)
                if answer.status is Status.CANCELLED:
                    self.withdrawn[answer.id] = asyncio.get_running_loop().time()

    def judge(self) -> None:
        """Check what became of everything (I2, I11, I12)."""
        must(not self.broken, "; ".join(self.broken[:3]))
        must(set(self.store.emails) == self.accepted, "I1, I12: what was accepted is there, once")
        for one in self.store.emails.values():
            must(one.settled or one.status is Status.HELD, f"I2: {one.id} is {one.status} in the end")
            must(one.status is not Status.HELD or one.possibly_sent, "what is held is held for a doubt")
            seen = [seen for seen in self.requests if seen.email_id == one.id]
            taken = _deliveries(seen)
            must(taken <= 1 + len(self.doubts.get(one.id, ())), f"I11: {one.id} is taken {taken} times")
            must(taken <= 1 or one.possible_duplicate, f"I11: {one.id} is no recorded duplicate")
            must(one.status is not Status.SENT or taken, f"{one.id} is sent and nobody has it")
            must(one.status is not Status.FAILED or taken == 0 or one.possibly_sent, f"{one.id} failed and is out")


RULES = Rules(strategy=weighted, strategy_name="weighted")
_FAULTS: tuple[tuple[float, Outcome], ...] = (
    (0.02, Rejected(code="550", detail="")),
    (0.07, Deferred(code="500", detail="")),
    (0.10, Throttled(code="429", detail="", retry_after=30 * SECOND)),
    (0.11, Misconfigured(scope=Scope.SENDER, code="403", detail="")),
    (0.12, Misconfigured(scope=Scope.ACCOUNT, code="401", detail="")),
)


def _message(draw: Callable[[], float], now: datetime, n: int) -> Message:
    """Draw the message of a number; it says to whom it goes."""
    scheduled = now + draw() * 10 * MINUTE if draw() < 0.2 else None
    return message(
        to=[f"r{n % PEOPLE}@example.com", f"r{n % 3}@example.com"][: 1 + n % 2],
        lane=list(Lane)[int(draw() * 3)],
        scheduled_at=scheduled,
        expires_at=(scheduled or now) + draw() * HOUR + SECOND if draw() < 0.1 else None,
        on_unknown=OnUnknown.HOLD if draw() < 0.2 else OnUnknown.RETRY,
    )


def _deliveries(seen: Sequence[Seen]) -> int:
    """Return how often a message was really taken: p1 recognises a key within an hour."""
    firsts: dict[str, float] = {}
    taken = 0
    for one in seen:
        if not one.accepted:
            continue
        known = one.provider == "p1" and one.start < firsts.get(one.key, -1e9) + 3600
        taken += not known
        if one.provider == "p1":
            firsts.setdefault(one.key, one.start)
    return taken


async def _story(draw: Callable[[], float]) -> Sea:
    """Tell the story of one world."""
    sea = Sea(draw)
    for _ in range(WORKERS):
        sea.hire()
    nodes = [sea.process(f"api{n}") for n in range(NODES)]
    posts = [asyncio.create_task(sea.post(nodes[n % NODES], n)) for n in range(EMAILS)]
    trouble = asyncio.create_task(sea.meddle())
    suppressing = asyncio.create_task(sea.suppress(nodes[0]))
    await asyncio.gather(*posts, trouble, suppressing)
    while asyncio.get_running_loop().time() < WHOLE and not _over(sea):  # noqa: ASYNC110 - as above
        await asyncio.sleep(60)
    for world in list(sea.workers):
        await sea.stop(world)
    sea.judge()
    return sea


def _over(sea: Sea) -> bool:
    """Whether nothing more will happen by itself soon."""
    return all(one.settled or one.status is Status.HELD for one in sea.store.emails.values())


def live(draw: Callable[[], float]) -> Sea:
    """Let a world live, and judge it.

    Raises:
        BrokenError: An invariant does not hold.
    """
    return run(_story(draw))


__all__ = ["BrokenError", "live"]
