"""The server's time, which all its users share, whatever their own clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Final

import pymongo
from pymongo.errors import PyMongoError

from mailadapters.mongo.schema import Client
from mailcore.errors import StoreUnavailableError

SAMPLED_EVERY: Final = 30.0
"""Seconds between samples."""
PROMPT: Final = 1.0
"""Seconds after which an answer says too little about what the time is now."""

_AT_ONCE: Final = float("-inf")
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class MongoClock:
    """The server's time, sampled every 30 s and advanced by the monotonic clock in between.

    It is never ahead of the server, and behind by as much as an answer took. While the server does not answer it
    goes on from the last sample: then there are no claims either. Before the first sample there is no time.
    """

    def __init__(self, client: Client, monotonic: Callable[[], float], *, every: float = SAMPLED_EVERY) -> None:
        self._client = client
        self._every = every
        self._monotonic = monotonic
        self._sample: tuple[datetime, float] | None = None
        self._told = _NEVER
        self._told_until = _AT_ONCE
        self._sampling: asyncio.Task[None] | None = None
        self._closed = False

    def now(self) -> datetime:
        """Return the server's time.

        Raises:
            StoreUnavailableError: The server has not been reached yet.
        """
        at = self._monotonic()
        if at >= self._told_until:  # asked six times for each e-mail: one moment is made for a millisecond of them
            self._tell(at)
        return self._told

    def _tell(self, at: float) -> None:
        """Make the moment to tell from now on, and note until when."""
        if self._sample is None:
            raise StoreUnavailableError("the store's server has not told its time yet, and no other clock will do")
        then, sampled_at = self._sample
        millis = int((at - sampled_at) * 1000)
        self._told = then + timedelta(milliseconds=millis)
        self._told_until = sampled_at + (millis + 1) / 1000

    def monotonic(self) -> float:
        return self._monotonic()

    async def sample(self, *, however_slow: bool = False) -> None:
        """Ask the server for its time; a slow answer counts only if there is none yet.

        Args:
            however_slow: It counts in any case: this process may have stood still, and its own clock with it.
        """
        asked = self._monotonic()
        # `hello` is younger than the oldest servers that we talk to
        answer = await self._client.admin.command("isMaster")
        answered = self._monotonic()
        if self._sample is None or however_slow or answered - asked < PROMPT:
            self._sample = answer["localTime"].replace(tzinfo=UTC), answered
            self._told_until = _AT_ONCE

    def keep_sampling(self) -> None:
        """Sample in the background from now on; in a context of its own, since the driver keeps deadlines there."""
        if self._sampling is None:
            sampling = self._keep_sampling()
            self._sampling = asyncio.get_running_loop().create_task(sampling, context=Context())

    async def aclose(self) -> None:
        """Sample no more."""
        self._closed = True  # the driver may take a cancellation for a broken connection, and lose it
        if self._sampling is not None:
            self._sampling.cancel()
            await asyncio.gather(self._sampling, return_exceptions=True)

    async def _keep_sampling(self) -> None:
        """Sample until it is closed; while the server does not answer the last sample goes on counting."""
        while not self._closed:
            await asyncio.sleep(self._every)
            with suppress(PyMongoError), pymongo.timeout(PROMPT):
                await self.sample()
