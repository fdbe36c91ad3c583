"""What a distribution of adapters offers by entry points: fakes, for tests of how an engine is put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from tests.dst.virtual import LoopClock

from mailcore.errors import SettingsError
from mailcore.message import Lane
from mailcore.ports import Watch
from mailcore.testing import MemoryHealth, MemoryQueue, MemoryStore, ScriptedProvider, draws, ids
from mailcore.waking import Admit

OFFERED = """\
[mailcore.systems]
default = tests.dst.plugged:SYSTEM
[mailcore.stores]
fake = tests.dst.plugged:open_store
unhealthy = tests.dst.plugged:open_unhealthy
clocked = tests.dst.plugged:open_clocked
missing = tests.dst.a_driver_that_is_not_installed:open_store
[mailcore.queues]
fake = tests.dst.plugged:open_queue
waking = tests.dst.plugged:open_waking
[mailcore.providers]
fake = tests.dst.plugged:connect
"""

OPENED: list[HealthyStore | MemoryStore | ConnectedQueue | ScriptedProvider] = []
"""Whatever was opened, oldest first; a test clears it."""


class HealthyStore(MemoryStore):
    """A store that shares the providers' health too."""

    def __init__(self) -> None:
        super().__init__()
        self.health = MemoryHealth()


class ConnectedQueue(MemoryQueue):
    """A queue of this process alone."""

    def connect(self, offer: Callable[..., None]) -> None:
        """Keep whom to offer wake-ups to."""
        self.offer = offer

    async def enqueue(self, email_ids: Sequence[str], *, lane: Lane) -> None:
        """As the port says."""
        self.offer(email_ids, lane)


class ClockedStore(HealthyStore):
    """A store whose server's time counts, once it has been reached."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = LoopClock()
        self.reached = 0

    async def open(self) -> None:
        """As the port says."""
        await self._reach()
        self.reached += 1


class WakingQueue(MemoryQueue):
    """A queue between processes, that wakes the engine up."""

    async def ping(self) -> None:
        """As the port says."""

    @asynccontextmanager
    async def waking(self, admit: Admit, _watch: Watch) -> AsyncGenerator[None]:
        """As the port says."""
        self.admit = admit
        yield
        del self.admit

    async def enqueue(self, email_ids: Sequence[str], *, lane: Lane) -> None:
        """As the port says."""
        await self.admit(email_ids, lane)


class _System:
    """Time, dice and ids of the running loop."""

    def __init__(self) -> None:
        self.new_clock = LoopClock
        self.draw = draws()
        self.new_email_id = ids()
        self.new_token = ids("t")


SYSTEM = _System()


def open_store(_url: str) -> HealthyStore:
    """Return a store that shares health."""
    OPENED.append(HealthyStore())
    return OPENED[-1]


def open_unhealthy(_url: str) -> MemoryStore:
    """Return a store that shares no health."""
    OPENED.append(MemoryStore())
    return OPENED[-1]


def open_clocked(_url: str) -> ClockedStore:
    """Return a store with a clock."""
    OPENED.append(ClockedStore())
    return OPENED[-1]


def open_waking(_url: str) -> WakingQueue:
    """Return a queue that wakes the engine up."""
    OPENED.append(WakingQueue())
    return OPENED[-1]


def open_queue(_url: str) -> ConnectedQueue:
    """Return a queue of this process."""
    OPENED.append(ConnectedQueue())
    return OPENED[-1]


def connect(name: str, settings: Mapping[str, object], now: Callable[[], datetime]) -> ScriptedProvider:
    """Return a provider of its settings."""
    if settings.get("api_key") != "right":
        raise SettingsError(f"providers.{name}.api_key is missing")
    OPENED.append(ScriptedProvider(name))
    return OPENED[-1]


def plug_in(folder: Path) -> None:
    """Make a distribution in a folder that offers these parts."""
    info = folder / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(OFFERED)
