"""Values and small worlds that the tests of e-mails begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from msgspec.structs import replace
from tests.dst.virtual import LoopClock

from mailcore.assembly import Assembled, Tuning, assembled
from mailcore.attempt import Attempt, Why
from mailcore.courier import Courier
from mailcore.engine import Engine, Pace
from mailcore.events import Event, Happening
from mailcore.intake import new_email
from mailcore.lifecycle import Email, Status
from mailcore.mailer import Mailer
from mailcore.message import Address, Message
from mailcore.outcome import Verdict
from mailcore.ports import Configured, Ports
from mailcore.provider import Capabilities, ProviderView
from mailcore.rules import Rules
from mailcore.standing import Obstacle, Standing
from mailcore.testing import MemoryHealth, MemoryQueue, MemoryStore, ScriptedProvider, draws, ids
from mailcore.testing.manual_clock import BEGINNING
from mailcore.testing.scripted_provider import EVERYTHING
from mailcore.validation import checked

NOW = BEGINNING
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RULES = Rules()
WHY = Why(strategy="s", because="b")


def message(**fields: object) -> Message:
    """Return a small message that can be submitted."""
    plain = Message(from_="shop@shop.example", to="bob@example.com", subject="Hello", text="Hi")
    return replace(plain, **fields)


def email(status: Status = Status.QUEUED, *, at: datetime = NOW, rules: Rules = RULES, **fields: object) -> Email:
    """Return an e-mail accepted at a moment, in a status, due at once unless it says otherwise."""
    accepted = {name: fields.pop(name) for name in ("lane", "scheduled_at", "expires_at") if name in fields}
    sound = checked(message(**accepted), now=at, default_from=None)
    new = new_email(sound, "em_1", "default", "f", rules, at)
    waits = {
        Status.SENDING: {"lease_until": at + rules.lease},
        Status.HELD: {"hold_until": at + rules.hold_for, "due_at": None},
        Status.RETRYING: {"due_at": at},
    }.get(status, {})
    if status in {Status.SENDING, Status.SENT, Status.FAILED, Status.CANCELLED}:
        waits = {**waits, "due_at": None}
    settled = at if status in {Status.SENT, Status.FAILED, Status.CANCELLED} else None
    return replace(new, status=status, settled_at=settled, **{**waits, **fields})


def attempt(n: int = 1, provider: str = "p1", *, at: datetime = NOW, **fields: object) -> Attempt:
    """Return an attempt of `email()`; open unless an outcome is given."""
    made = Attempt(n=n, provider=provider, key="em_1.0", round=0, started_at=at, why=WHY)
    if "outcome" in fields:
        fields = {"finished_at": at, **fields}
    return replace(made, **fields)


def doubtful(n: int = 1, provider: str = "p1", **fields: object) -> Attempt:
    """Return an attempt whose outcome nobody knows."""
    return attempt(n, provider, **{"outcome": Verdict.UNKNOWN, "code": "timeout", **fields})


def deferred(n: int = 1, provider: str = "p1", **fields: object) -> Attempt:
    """Return an attempt that failed cleanly."""
    return attempt(n, provider, **{"outcome": Verdict.DEFERRED, "code": "503", **fields})


CLEAR = Standing(obstacle=None, available_at=None, generation=0, probe=False, permits=0, score=1.0, share=1.0)


def view(
    name: str = "p1", *, dedupe: timedelta | None = None, standing: Standing = CLEAR, **fields: object
) -> ProviderView:
    """Return a provider that takes attempts, unless its standing says otherwise."""
    capabilities = fields.pop("capabilities", replace(EVERYTHING, dedupe_window=dedupe))
    return replace(ProviderView(name=name, capabilities=capabilities, standing=standing), **fields)


def shut(obstacle: Obstacle | str, until: datetime | None = None) -> Standing:
    """Return the standing of a provider that takes no attempt now."""
    return replace(CLEAR, obstacle=obstacle, available_at=until)


@dataclass
class World:
    """One process around fakes, on the running loop's time.

    Attributes:
        events: Whatever its watcher was told, oldest first.
        crash_points: The named points that were passed, oldest first; `at_point` is called with each.
    """

    providers: Iterable[ScriptedProvider | Configured] = ()
    rules: Rules = RULES
    pace: Pace = field(default_factory=Pace)
    default_from: Address | None = None
    store: MemoryStore = field(default_factory=MemoryStore)
    queue: Any = field(default_factory=MemoryQueue)
    health: MemoryHealth = field(default_factory=MemoryHealth)
    clock: Any = field(default_factory=LoopClock)
    sleep: Any = None
    events: list[Event] = field(default_factory=list)
    at_point: Callable[[str], None] = lambda _point: None
    draw: Callable[[], float] = field(default_factory=draws)
    tokens: Any = field(default_factory=lambda: count(1))
    name: str = "w"

    def __post_init__(self) -> None:
        configured = tuple(one if isinstance(one, Configured) else Configured(provider=one) for one in self.providers)
        self.ports = Ports(
            store=self.store,
            queue=self.queue,
            health=self.health,
            providers=configured,
            clock=self.clock,
            draw=self.draw,
            new_id=ids(),
            new_token=lambda: f"{self.name}{next(self.tokens)}",
            sleep=self.sleep or _sleep,
            watch=self.events.append,
            crash_point=self._pass_point,
        )
        self.parts: Assembled = assembled(
            self.ports, Tuning(rules=self.rules, pace=self.pace, watch=self.events.append), self.default_from
        )

    def _pass_point(self, point: str) -> None:
        """Tell whoever listens just now."""
        self.at_point(point)

    @property
    def mailer(self) -> Mailer:
        """The front door."""
        return self.parts.mailer

    @property
    def engine(self) -> Engine:
        """The slots."""
        return self.parts.engine

    @property
    def courier(self) -> Courier:
        """The carrier."""
        return self.parts.engine.courier

    def put(self, one: Email, content: Message | None = None) -> Email:
        """Store an e-mail as it is."""
        self.store._put(one)
        self.store.messages[one.id] = content or checked(message(), now=NOW, default_from=None)
        return one

    def stored(self, email_id: str = "em_1") -> Email:
        """Return an e-mail as it is stored."""
        return self.store.emails[email_id]

    def told(self, what: Happening) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if event.what is what]


async def _sleep(seconds: float) -> None:
    """Wait in virtual time."""
    await asyncio.sleep(seconds)


def only(capabilities: Capabilities = EVERYTHING, **fields: object) -> Capabilities:
    """Return capabilities with some of them changed."""
    return replace(capabilities, **fields)
