"""One e-mail and a worker that is killed once, at every point that it passes; then another takes over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from msgspec import Struct
from tests.dst.given import World, email
from tests.dst.virtual import run

from mailcore.engine import Pace
from mailcore.lifecycle import Email, Status
from mailcore.message import Message, OnUnknown
from mailcore.outcome import Accepted, Deferred, Outcome
from mailcore.provider import Send
from mailcore.rules import Rules
from mailcore.strategy import priority
from mailcore.testing import MemoryHealth, MemoryStore
from mailcore.testing.scripted_provider import EVERYTHING

T = TypeVar("T")
RULES = Rules(strategy=priority, strategy_name="priority")


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class Trip(Struct):
    """Counts the points that are passed, and kills at one of them.

    Attributes:
        kill_at: Which point, counted from 0; none if None.
        passed: The names of the points so far.
    """

    kill_at: int | None = None
    passed: list[str] = []

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        self.passed.append(name)
        if len(self.passed) - 1 == self.kill_at:
            raise Killed(name)


class TrippedStore:
    """A store whose every call passes a point before and after it."""

    def __init__(self, store: MemoryStore, trip: Trip) -> None:
        self._store = store
        self._trip = trip

    async def _pass(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call between two points."""
        self._trip.point(f"before {name}")
        answer = await call()
        self._trip.point(f"after {name}")
        return answer

    async def get(self, email_id: str, /) -> Email:
        """As the port says."""
        return await self._pass("get", lambda: self._store.get(email_id))

    async def content(self, email_id: str, /) -> Message:
        """As the port says."""
        return await self._pass("content", lambda: self._store.content(email_id))

    async def save(self, email: Email) -> None:
        """As the port says."""
        await self._pass("save", lambda: self._store.save(email))


class TrippedProvider:
    """A provider that counts what it took; the first one fails cleanly once, so that a failover is passed too."""

    def __init__(self, name: str, trip: Trip, taken: list[str]) -> None:
        self.name = name
        self.capabilities = EVERYTHING
        self._trip = trip
        self._taken = taken

    async def send(self, send: Send) -> Outcome:
        """As the port says."""
        self._trip.point(f"before {self.name}")
        if self.name == "p1":
            return Deferred(code="503", detail="")
        self._taken.append(send.key)
        self._trip.point(f"after {self.name}")
        return Accepted()

    async def aclose(self) -> None:
        """Let go of nothing."""


class Ended(Struct, frozen=True):
    """What became of the e-mail, how often it was taken, and the point at which the worker died."""

    email: Email
    taken: int
    died_at: str


def lived(kill_at: int | None, policy: OnUnknown) -> tuple[Ended, list[str]]:
    """Let a worker carry the e-mail and die at a point, and another find what is left."""
    store, health, taken = MemoryStore(), MemoryHealth(), []
    trip = Trip(kill_at, [])

    def process(name: str, points: Trip) -> World:
        """Return a process that passes points."""
        made = World(
            [TrippedProvider("p1", points, taken), TrippedProvider("p2", points, taken)],
            rules=RULES,
            store=TrippedStore(store, points),
            health=health,
            pace=Pace(slots=1),
            name=name,
        )
        made.at_point = points.point
        return made

    async def story() -> None:
        store._put(email(on_unknown=policy))
        first = World(store=store)
        first.put(email(on_unknown=policy))
        task = asyncio.create_task(process("first", trip).courier.attempt("em_1"))
        with_it = await asyncio.gather(task, return_exceptions=True)
        assert all(isinstance(one, Killed) or not isinstance(one, BaseException) for one in with_it)
        second = process("second", Trip(None, []))
        for _ in range(20):
            await asyncio.sleep(61)
            await second.courier.attempt("em_1", solo=True)

    run(story())
    died_at = trip.passed[kill_at] if kill_at is not None else ""
    return Ended(store.emails["em_1"], len(taken), died_at), trip.passed


POINTS = lived(None, OnUnknown.RETRY)[1]
TAKEN_AND_UNRECORDED = POINTS[POINTS.index("after p2") : len(POINTS) - POINTS[::-1].index("before save")]


@pytest.mark.parametrize("policy", OnUnknown)
@pytest.mark.parametrize("kill_at", range(len(POINTS)), ids=lambda n: f"{n}-{POINTS[n].replace(' ', '-')}")
def test_a_kill_at_any_point_loses_nothing(kill_at: int, policy: OnUnknown) -> None:
    """P2: exactly as many acceptances as the point allows, and a second one only where a record explains it."""
    ended, _ = lived(kill_at, policy)

    one = ended.email
    doubt = any(attempt.code == "worker_died" for attempt in one.attempts)
    assert one.status in {Status.SENT, Status.HELD}
    assert one.crashes == int(doubt)
    if policy is OnUnknown.HOLD:
        assert ended.taken <= 1
        assert (one.status is Status.HELD) == doubt
    else:
        unrecorded = kill_at >= POINTS.index("after p2") and one.crashes == 1
        assert (one.status, ended.taken) == (Status.SENT, 2 if unrecorded else 1)
        assert one.possible_duplicate == doubt


def test_the_points_are_all_there() -> None:
    """What is enumerated covers reading, claiming, calling, failing over and finishing."""
    assert POINTS[:4] == ["before get", "after get", "before_claim", "before save"]
    assert POINTS.count("before save") == 3
    assert {"after_claim", "before content", "before p1", "after_answer", "before_finish", "after_finish"} <= set(
        POINTS
    )
    assert "before_finish" in TAKEN_AND_UNRECORDED
