"""A mail API in memory: everything but the routes is a fake that the test holds in its hands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest
from litestar import Litestar

from mailapps.api import ApiConfig, create_app
from mailcore.assembly import Assembled, Tuning, assembled
from mailcore.ports import Configured, Ports
from mailcore.testing import ManualClock, MemoryHealth, MemoryQueue, MemoryStore, ScriptedProvider, draws, ids


def request_ids() -> Callable[[], str]:
    """Return a source of request ids in ascending order."""
    numbers = count(1)
    return lambda: f"req_{next(numbers):026d}"


@dataclass
class World:
    """Everything around the API.

    Attributes:
        crashes: The exceptions that nobody expected, in order.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    health: MemoryHealth = field(default_factory=MemoryHealth)
    clock: ManualClock = field(default_factory=ManualClock)
    provider: ScriptedProvider = field(default_factory=lambda: ScriptedProvider("first"))
    crashes: list[Exception] = field(default_factory=list[Exception])

    async def pause(self, seconds: float) -> None:
        """Let that much time pass."""
        self.clock.advance(seconds)

    def assemble(self) -> Assembled:
        """Return mailer and engine around the fakes."""
        ports = Ports(
            store=self.store,
            queue=self.queue,
            health=self.health,
            providers=(Configured(provider=self.provider),),
            clock=self.clock,
            draw=draws(),
            new_id=ids(),
            new_token=ids("token_"),
            sleep=self.pause,
        )
        return assembled(ports, Tuning())

    def config(self, **more: object) -> ApiConfig:
        """Return a configuration without a key, some of it changed."""
        told = {"admin_key": None, "new_request_id": request_ids(), "version": "1.2.3", "on_crash": self.note_crash}
        return ApiConfig(**{**told, **more})

    def app(self, **more: object) -> Litestar:
        """Return the API around the fakes."""
        return create_app(self.assemble().mailer, self.config(**more))

    def client(self, app: Litestar | None = None, **more: object) -> httpx.AsyncClient:
        """Return a client of the API."""
        transport = httpx.ASGITransport(app=app or self.app(**more))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    def note_crash(self, _request_id: str, error: Exception) -> None:
        """Remember a crash."""
        self.crashes.append(error)


@pytest.fixture
def world() -> World:
    """Return a world where nothing has happened."""
    return World()


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an API that asks for no key."""
    async with world.client() as client:
        yield client
    assert world.crashes == []
