"""Bounds how much content a process holds while it sends: slots alone would let 256 large attachments end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

AT_ONCE: Final = 64 * 2**20
"""Bytes of content at once, by what the e-mails need; on its way to a provider each is in memory about four times."""


@dataclass
class Room:
    """Room for content, in bytes.

    What fits goes in at once, past those that wait for more: small mail flows on beside large, and leaves so much
    room that the large gets its turn. What is larger than the whole room goes in alone.
    """

    bytes: int = AT_ONCE
    _taken: int = 0
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncGenerator[None]:
        """Hold so much of it for as long as the context lasts; wait until there is as much."""
        while self._taken and self._taken + size > self.bytes:
            self._left.clear()
            await self._left.wait()
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            self._left.set()
