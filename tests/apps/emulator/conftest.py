"""A running emulator whose clock and waits belong to the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from tests.apps.emulator.calls import NOW

from mailapps.emulator import Running, running_emulator


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        """Start at NOW."""
        self.moment = NOW

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.moment

    def advance(self, **delta: float) -> None:
        """Go on by so much."""
        self.moment += timedelta(**delta)


class Gate:
    """Waits that end when the test says so.

    Attributes:
        asked: How long each wait was to be, in seconds.
    """

    def __init__(self) -> None:
        """Start closed."""
        self.asked: list[float] = []
        self._open = asyncio.Semaphore(0)
        self._begun = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        """Wait for the test."""
        self.asked.append(seconds)
        self._begun.release()
        await self._open.acquire()

    async def begun(self) -> None:
        """Wait until the next wait has begun."""
        await self._begun.acquire()

    def open(self, times: int = 1) -> None:
        """End so many waits, now or as they come."""
        for _ in range(times):
            self._open.release()


@pytest.fixture
def clock() -> Clock:
    """Return the emulator's clock."""
    return Clock()


@pytest.fixture
async def gate() -> Gate:
    """Return the emulator's waits."""
    return Gate()


@pytest.fixture
async def running(clock: Clock, gate: Gate) -> AsyncIterator[Running]:
    """Run an emulator on a free port."""
    async with running_emulator(now=clock, pause=gate) as emulator:
        yield emulator


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the emulator."""
    async with httpx.AsyncClient(base_url=running.url, timeout=10) as client:
        yield client
