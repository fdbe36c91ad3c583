"""Draining a backlog, and the bare loop over the same provider that it is measured against."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.bench.seen import Provider, steady

import mailcore
from mailadapters import system
from mailadapters.providers.sendgrid import connect
from mailcore.events import Event, Happening
from mailcore.provider import Send
from mailcore.stock import CountsBatches
from mailcore.validation import checked

MESSAGE = mailcore.Message(
    from_="Shop <no-reply@shop.example>",
    to="Ann <ann@example.com>",
    subject="Your receipt",
    text="Thank you for your order.",
    html="<p>Thank you for your order.</p>",
    tags=["receipt"],
    metadata={"order": "42"},
)
GATHERED = 64
AT_ONCE = mailcore.Rules(wakeup_grace=timedelta(0))


@dataclass(frozen=True)
class Drain:
    """What a drain found.

    Attributes:
        per_second: E-mails in a second.
        cpu_ms: Processor time of this process for each.
        trips: Round trips to the store for each.
    """

    per_second: float
    cpu_ms: float
    trips: float = 0.0


class Watch:
    """Measures a drain once it is warm: after its first quarter.

    Args:
        count: How many e-mails there are.
    """

    def __init__(self, count: int) -> None:
        self.sent = 0
        self._count = count
        self._cpu = 0.0

    @property
    def warm(self) -> int:
        """How many are left out."""
        return self._count // 4

    def tell(self) -> None:
        """Count an e-mail that was sent."""
        self.sent += 1
        if self.sent == self.warm:
            self._cpu = time.process_time()

    def cpu_ms(self) -> float:
        """Return the processor time of each one since, in ms."""
        return (time.process_time() - self._cpu) / (self.sent - self.warm) * 1000


async def bare(settings: Mapping[str, object], *, count: int, in_flight: int) -> Drain:
    """Send the same message again and again over the same provider and nothing else: no store, no decisions."""
    clock = system.new_clock()
    provider, seen = connect("bare", settings, clock.now), Provider(str(settings["base_url"]))
    message = checked(MESSAGE, now=clock.now(), default_from=None)
    left, watch = iter(range(count)), Watch(count)

    async def lane() -> None:
        for number in left:
            one = Send(message=message, email_id=f"em_{number}", key=f"em_{number}.0", deadline=timedelta(seconds=20))
            outcome = await provider.send(one)
            assert isinstance(outcome, mailcore.Accepted), outcome
            watch.tell()

    await seen.forget()
    async with asyncio.TaskGroup() as lanes:
        for _ in range(in_flight):
            lanes.create_task(lane())
    cpu_ms = watch.cpu_ms()
    await provider.aclose()
    return Drain(steady((await seen.times())[watch.warm :]), cpu_ms)


async def embedded(folder: Path, settings: Mapping[str, object], *, count: int, in_flight: int) -> Drain:
    """Drain a backlog in a SQLite file, in this process."""
    url, seen, watch = f"sqlite:///{folder}/drain.db", Provider(str(settings["base_url"])), Watch(count)

    def told(event: Event) -> None:
        if event.what is Happening.ATTEMPTED:
            watch.tell()

    tables = [{"kind": "sendgrid", **settings}]
    await filled(url, tables, count)
    await seen.forget()
    tuning = mailcore.Tuning(pace=mailcore.Pace(slots=in_flight), watch=told, rules=AT_ONCE)
    async with mailcore.open(url, providers=tables, tuning=tuning) as mailer:
        while watch.sent < count:
            await asyncio.sleep(0.005)
        cpu_ms, store = watch.cpu_ms(), mailer.ports.store
        assert isinstance(store, CountsBatches)
        trips = sum(one.batches for one in store.batches().values()) / count
    return Drain(steady((await seen.times())[watch.warm :]), cpu_ms, trips)


async def filled(url: str, tables: Sequence[Mapping[str, object]], count: int, queue: str = "memory://") -> None:
    """Put e-mails that are due at once into a store, a multiple of 64 of them."""
    tuning = mailcore.Tuning(rules=AT_ONCE)
    async with mailcore.open(url, providers=tables, tuning=tuning, queue=queue, run="submit") as mailer:
        for _ in range(0, count, GATHERED):
            await asyncio.gather(*(mailer.submit(MESSAGE) for _ in range(GATHERED)))
