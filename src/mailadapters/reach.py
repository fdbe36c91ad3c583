"""Whether a server of a queue answers, and how long it may take: nobody waits in vain twice.

Who has waited in vain spares the others the wait, and a probe in the background finds out when the server is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from mailcore.errors import UnavailableError

T = TypeVar("T")

REST_S: Final = 1.0
"""How long a server is left alone after it did not answer."""

log = logging.getLogger("mailadapters.reach")


class UnreachableError(UnavailableError):
    """A server did not do what it was asked in time; whether it will is not known."""


def name_of(error: Exception) -> str:
    """Return what a log may say of a driver's error: its class, for its text may hold an address or a password."""
    return type(error).__name__


@dataclass(frozen=True, kw_only=True)
class Server:
    """What there is to know of a server.

    Attributes:
        name: As logs and errors call it.
        ping: Returns if it answers.
        faults: All that its driver raises for what a server or a network does.
        limit_s: How long a call may take.
        busy: What its driver raises of these for want of a connection, before it has asked a server anything.
        told: What logs and errors say of a fault.
    """

    name: str
    ping: Callable[[], Awaitable[object]]
    faults: tuple[type[Exception], ...]
    limit_s: float
    busy: tuple[type[Exception], ...] = ()
    told: Callable[[Exception], str] = name_of


class Reach:
    """Whether a server answers.

    Attributes:
        down: It did not answer the last time that somebody waited for it.
    """

    def __init__(self, server: Server, monotonic: Callable[[], float]) -> None:
        self._server = server
        self._monotonic = monotonic
        self._ask_again_at = 0.0
        self._probe: asyncio.Task[None] | None = None
        self.down = False

    async def ask(self, call: Callable[[], Awaitable[T]], within_s: float | None = None) -> T:
        """Return what a call to the server returns.

        Args:
            call: Asks the server something.
            within_s: How long that may take, if it is another time than the server's usual.

        Raises:
            UnreachableError: It did not answer in time, it has not for a while and is not asked, or nobody could ask.
        """
        if self.down:
            self.look()
            raise UnreachableError(f"{self._server.name} does not answer")
        try:
            async with asyncio.timeout(within_s or self._server.limit_s):
                return await call()
        except self._server.faults as error:
            if not isinstance(error, self._server.busy):
                self._lost(error)
            raise UnreachableError(f"{self._server.name}: {self._server.told(error)}") from error

    def look(self) -> None:
        """Find out in the background whether a server that is down is back, unless that was tried a moment ago."""
        resting = self._monotonic() < self._ask_again_at
        if self.down and not resting and (self._probe is None or self._probe.done()):
            self._probe = asyncio.get_running_loop().create_task(self._ping())

    async def _ping(self) -> None:
        """Ask whether it is there."""
        try:
            async with asyncio.timeout(self._server.limit_s):
                await self._server.ping()
        except self._server.faults as error:
            self._lost(error)
        else:
            self.down = False
            log.warning("%s answers again", self._server.name)

    def _lost(self, error: Exception) -> None:
        """Remember that it does not answer."""
        self._ask_again_at = self._monotonic() + REST_S
        was_down, self.down = self.down, True
        if not was_down:
            name, told = self._server.name, self._server.told(error)
            log.warning("%s cannot be used (%s); mail goes on without it", name, told)

    async def aclose(self) -> None:
        """Stop asking."""
        if self._probe:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
