"""A mail API in memory: everything but the routes is a fake that the test holds in its hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from litestar import Litestar

from mailadapters import system
from mailapps.api.app import create_app
from mailapps.api.config import ApiConfig
from mailcore.assembly import Assembled, Tuning, assembled, author
from mailcore.keyring import KeyDice, Keyring
from mailcore.metering import LocalRates
from mailcore.outcome import Rejected
from mailcore.ports import Configured, Ports
from mailcore.testing import ManualClock, MemoryHealth, MemoryQueue, MemoryStore, ScriptedProvider, draws, ids

JSON = {"Content-Type": "application/json"}
MESSAGE: Mapping[str, object] = {
    "from": "Shop <no-reply@shop.example>",
    "to": ["Ann <ann@example.com>"],
    "subject": "Your receipt",
    "text": "Thank you.",
}


def message(**more: object) -> dict[str, object]:
    """Return a sound message as JSON, some of it changed."""
    return {**MESSAGE, **more}


def pointers(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return what a problem says is wrong: where, and the code."""
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


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

    store: Any = field(default_factory=MemoryStore)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    health: MemoryHealth = field(default_factory=MemoryHealth)
    clock: ManualClock = field(default_factory=ManualClock)
    provider: ScriptedProvider = field(default_factory=lambda: ScriptedProvider("first"))
    dice: KeyDice = system
    default_from: str | None = None
    crashes: list[Exception] = field(default_factory=list[Exception])
    _parts: Assembled | None = None

    async def pause(self, seconds: float) -> None:
        """Let that much time pass."""
        self.clock.advance(seconds)

    def assemble(self) -> Assembled:
        """Return mailer and engine around the fakes, always the same."""
        if self._parts is None:
            self._parts = assembled(self._ports(), Tuning(), author(self.default_from))
        return self._parts

    def _ports(self) -> Ports:
        """Return the fakes as ports."""
        return Ports(
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

    def config(self, **more: object) -> ApiConfig:
        """Return a configuration without a key, some of it changed."""
        told = {
            "admin_key": None,
            "new_request_id": request_ids(),
            "rates": LocalRates(self.clock.monotonic),
            "version": "1.2.3",
            "on_crash": self.note_crash,
            "keyring": self.keyring(),
        }
        return ApiConfig(**{**told, **more})

    def keyring(self) -> Keyring:
        """Return the keys as another process knows them."""
        return Keyring(store=self.store, clock=self.clock, dice=self.dice)

    def app(self, **more: object) -> Litestar:
        """Return the API around the fakes."""
        return create_app(self.assemble().mailer, self.config(**more))

    def client(
        self, app: Litestar | None = None, headers: Mapping[str, str] | None = None, **more: object
    ) -> httpx.AsyncClient:
        """Return a client of the API."""
        transport = httpx.ASGITransport(app=app or self.app(**more))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)

    async def attempt(self, email_id: str) -> None:
        """Carry an e-mail as a worker would."""
        await self.assemble().engine.courier.attempt(email_id)

    async def failed(self, api: httpx.AsyncClient, headers: Mapping[str, str] | None = None, **more: object) -> str:
        """Return the id of a dead letter."""
        self.provider.script([Rejected(code="550", detail="no such mailbox")])
        email_id: str = (await api.post("/api/emails", json=message(**more), headers=headers)).json()["id"]
        await self.attempt(email_id)
        return email_id

    def note_crash(self, _request_id: str, error: Exception) -> None:
        """Remember a crash."""
        self.crashes.append(error)
