"""Draining a backlog, and the bare loop over the same provider that it is measured against."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

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


async def bare(settings: Mapping[str, object], *, count: int, in_flight: int) -> Drain:
    """Send the same message again and again over the same provider and nothing else: no store, no decisions."""
    clock = system.new_clock()
    provider = connect("bare", settings, clock.now)
    message = checked(MESSAGE, now=clock.now(), default_from=None)
    left = iter(range(count))

    async def lane() -> None:
        for number in left:
            one = Send(message=message, email_id=f"em_{number}", key=f"em_{number}.0", deadline=timedelta(seconds=20))
            outcome = await provider.send(one)
            assert isinstance(outcome, mailcore.Accepted), outcome

    measure = _measure(count)
    async with asyncio.TaskGroup() as lanes:
        for _ in range(in_flight):
            lanes.create_task(lane())
    found = measure()
    await provider.aclose()
    return found


async def embedded(folder: Path, settings: Mapping[str, object], *, count: int, in_flight: int) -> Drain:
    """Drain a backlog in a SQLite file, in this process."""
    sent = 0

    def watch(event: Event) -> None:
        nonlocal sent
        sent += event.what is Happening.ATTEMPTED

    url = f"sqlite:///{folder}/drain.db"
    tables = [{"kind": "sendgrid", **settings}]
    await filled(url, tables, count)
    tuning = mailcore.Tuning(pace=mailcore.Pace(slots=in_flight), watch=watch, rules=AT_ONCE)
    measure = _measure(count)
    async with mailcore.open(url, providers=tables, tuning=tuning) as mailer:
        while sent < count:
            await asyncio.sleep(0.005)
        store = mailer.ports.store
        assert isinstance(store, CountsBatches)
        return replace(measure(), trips=sum(one.batches for one in store.batches().values()) / count)


async def filled(url: str, tables: Sequence[Mapping[str, object]], count: int, queue: str = "memory://") -> None:
    """Put e-mails that are due at once into a store, a multiple of 64 of them."""
    tuning = mailcore.Tuning(rules=AT_ONCE)
    async with mailcore.open(url, providers=tables, tuning=tuning, queue=queue, run="submit") as mailer:
        for _ in range(0, count, GATHERED):
            await asyncio.gather(*(mailer.submit(MESSAGE) for _ in range(GATHERED)))


async def receipts(folder: Path, settings: Mapping[str, object], *, count: int) -> list[float]:
    """Return how long it took an idle engine to have each e-mail taken, in milliseconds from its submission."""
    taken: asyncio.Queue[float] = asyncio.Queue()

    def watch(event: Event) -> None:
        if event.what is Happening.ATTEMPTED:
            taken.put_nowait(time.perf_counter())

    tuning = mailcore.Tuning(watch=watch)
    tables = [{"kind": "sendgrid", **settings}]
    found: list[float] = []
    async with mailcore.open(f"sqlite:///{folder}/idle.db", providers=tables, tuning=tuning) as mailer:
        for _ in range(count):
            began = time.perf_counter()
            await mailer.submit(MESSAGE)
            found.append((await taken.get() - began) * 1000)
            await asyncio.sleep(0.02)
    return found


def _measure(count: int) -> Callable[[], Drain]:
    """Start a watch; return what stops it."""
    began, cpu = time.perf_counter(), time.process_time()

    def stop() -> Drain:
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        return Drain(count / took, spent / count * 1000)

    return stop
