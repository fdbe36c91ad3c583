"""`mailcore`, but for the moments at which it dies: `python -m tests.chaos.crashing worker …`.

What it dies of is in the environment, and nothing of it is in the product: `CHAOS_CRASH=after_claim:3` kills it the
third time that it passes that named point, and `CHAOS_POISON=subject` each time that it is about to send a message with
that subject.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace

from mailapps import container
from mailapps.cli import main
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.outcome import Outcome
from mailcore.ports import Configured, Ports, Provider, WakeUpQueue
from mailcore.provider import Capabilities, Send

POISON = os.environ.get("CHAOS_POISON")


def die() -> None:
    """End as by a kill -9: no exception, no goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Fuse:
    """Counts how often one point is passed, and kills at the last of so many times."""

    point: str
    left: int

    def burn(self, point: str) -> None:
        """Pass a point, or die there."""
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                die()


def fuse() -> Fuse:
    """Return what the environment asks for; it never burns down if that is nothing."""
    point, _, count = os.environ.get("CHAOS_CRASH", ":0").partition(":")
    return Fuse(point, int(count or 1))


@dataclass
class Poisoned:
    """A provider whose code takes the process down over one message."""

    provider: Provider

    @property
    def name(self) -> str:
        """Its name."""
        return self.provider.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can express."""
        return self.provider.capabilities

    async def send(self, send: Send) -> Outcome:
        """Send, or die."""
        if send.message.subject == POISON:
            die()
        return await self.provider.send(send)

    async def aclose(self) -> None:
        """Let go of its connections."""
        await self.provider.aclose()


def _tripped(queue: WakeUpQueue, burning: Fuse) -> WakeUpQueue:
    """Return the queue, whose wake-ups pass a point of their own: between the wake-up and the answer."""
    enqueue = queue.enqueue

    async def wake_up(email_ids: list[EmailId], *, lane: Lane) -> None:
        await enqueue(email_ids, lane=lane)
        burning.burn("after_wake_up")

    vars(queue)["enqueue"] = wake_up
    return queue


def crashing() -> None:
    """Make the parts of every process that is made from now on mortal."""
    made, burning = container._ports, fuse()

    def ports(*parts: object) -> Ports:
        whole: Ports = made(*parts)  # type: ignore[arg-type]
        providers = tuple(replace(one, provider=Poisoned(one.provider)) for one in whole.providers)
        sound: tuple[Configured, ...] = providers if POISON else tuple(whole.providers)
        return replace(whole, providers=sound, queue=_tripped(whole.queue, burning), crash_point=burning.burn)

    container.Container.ports.set_provides(ports)


if __name__ == "__main__":
    crashing()
    main()
