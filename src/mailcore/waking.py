"""How a queue between processes wakes an engine up: it hands wake-ups over as slots become free for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, runtime_checkable

from mailcore.engine import Engine
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.ports import Watch

Admit = Callable[[Sequence[EmailId], Lane], Awaitable[None]]
"""Takes wake-ups and returns once there are slots for them."""


@runtime_checkable
class WakesEngines(Protocol):
    """A queue between processes, whose wake-ups an engine takes when it has slots for them."""

    def waking(self, admit: Admit, watch: Watch) -> AbstractAsyncContextManager[None]:
        """Hand wake-ups to `admit` until the context is left; what it did not take goes back to the queue."""
        ...

    async def ping(self) -> None:
        """Return if the queue answers.

        Raises:
            QueueUnavailableError: It does not.
        """
        ...


@asynccontextmanager
async def woken(engine: Engine) -> AsyncGenerator[None]:
    """Have an engine woken up by its queue, if that is one between processes."""
    ports = engine.courier.ports
    if not isinstance(ports.queue, WakesEngines):
        yield
        return
    async with ports.queue.waking(engine.admit, ports.watch):
        yield
