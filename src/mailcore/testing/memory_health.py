"""A ProviderHealth in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mailcore.errors import HealthUnavailableError
from mailcore.health import Health


class MemoryHealth:
    """A ProviderHealth in memory, that can be told to fail.

    Attributes:
        known: The health of every provider that has one; change it as you like.
        runs: How often each update runs its change; a change must bear it, as the port says.
        down: While true every call raises HealthUnavailableError and nothing is changed.
    """

    def __init__(self, *, runs: int = 2) -> None:
        self.known: dict[str, Health] = {}
        self.runs = runs
        self.down = False

    async def load(self) -> Mapping[str, Health]:
        await self._reach()
        return dict(self.known)

    async def update(
        self,
        provider: str,
        change: Callable[[Health], Health],
        *,
        at_once: bool = True,  # noqa: ARG002 - here every change is
    ) -> Health:
        await self._reach()
        before = self.known.get(provider, Health())
        for _ in range(self.runs):
            self.known[provider] = change(before)
        return self.known[provider]

    async def _reach(self) -> None:
        """Let others run, as a real store does, then fail if told to."""
        await asyncio.sleep(0)
        if self.down:
            raise HealthUnavailableError("the health was told to be down")
