"""Puts an engine together from its parts: `open` is how a program uses mailcore as a library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, TypeVar, cast, runtime_checkable

from mailcore.addresses import parse
from mailcore.courier import Courier
from mailcore.discovery import System, by_url, configured, found
from mailcore.engine import Engine, Pace
from mailcore.errors import Problem, SettingsError
from mailcore.lifecycle import EmailId
from mailcore.mailer import Mailer
from mailcore.message import Address, Lane
from mailcore.ports import (
    Configured,
    EmailStore,
    HasClock,
    Ports,
    ProviderHealth,
    WakeUpQueue,
    Watch,
    look_away,
)
from mailcore.records import Records
from mailcore.roster import Roster
from mailcore.rules import Rules
from mailcore.suppression_list import SuppressionList
from mailcore.waking import woken

Run = Literal["all", "submit"]
"""`all` sends from this process; `submit` leaves that to workers elsewhere."""

Offer = Callable[[Sequence[EmailId], Lane], None]


@runtime_checkable
class SharesHealth(Protocol):
    """A store whose file or server also keeps the providers' health for all processes that use it."""

    @property
    def health(self) -> ProviderHealth:
        """The shared health."""
        ...


@runtime_checkable
class DeliversHere(Protocol):
    """A queue of this process alone, that hands its wake-ups straight to the engine."""

    def connect(self, offer: Offer) -> None:
        """Hand every wake-up from now on to `offer`."""
        ...


SPARE = timedelta(seconds=5)
"""What an engine gets on top of the call deadline to end what it has begun."""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """An engine, ready to run."""

    mailer: Mailer
    engine: Engine


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What may be set of an engine beyond its parts.

    Attributes:
        rules: The numbers that decisions go by.
        pace: How much is done at once.
        watch: Is told of everything that happens; must be quick.
    """

    rules: Rules = field(default_factory=Rules)
    pace: Pace = field(default_factory=Pace)
    watch: Watch = look_away


def assembled(ports: Ports, tuning: Tuning, default_from: Address | None = None) -> Assembled:
    """Return mailer and engine around the same ports; a queue of this process is connected to the engine."""
    rules, pace = tuning.rules, tuning.pace
    roster = Roster(ports=ports, rules=rules, slots=pace.slots)
    records = Records(ports=ports)
    suppressions = SuppressionList(ports=ports)
    courier = Courier(ports=ports, rules=rules, roster=roster, records=records, suppressions=suppressions)
    engine = Engine(courier=courier, pace=pace)
    if isinstance(ports.queue, DeliversHere):
        ports.queue.connect(engine.offer)
    mailer = Mailer(
        ports=ports,
        rules=rules,
        records=records,
        roster=roster,
        suppressions=suppressions,
        default_from=default_from,
    )
    return Assembled(mailer=mailer, engine=engine)


@asynccontextmanager
async def open(  # noqa: A001 - `mailcore.open` reads like the built-in that it resembles
    store: str,
    *,
    providers: Sequence[Configured | Mapping[str, object]],
    default_from: str | None = None,
    run: Run = "all",
    queue: str = "memory://",
    tuning: Tuning | None = None,
) -> AsyncGenerator[Mailer]:
    """Open an engine inside this program, and close it politely.

    Args:
        store: Where the e-mails are, such as ``sqlite:///mail.db``.
        providers: Ready ones as Configured, or their settings as in mailcore.toml:
            ``{"kind": "sendgrid", "api_key": "…"}``, with `name`, `weight` and `max_per_second` if wanted.
        default_from: The author of messages that name none.
        run: `all` sends from this process; `submit` leaves that to workers elsewhere.
        queue: How workers are woken up.
        tuning: Rules, pace and watcher.

    Raises:
        SettingsError: Something is missing, unknown or wrong.
        StoreUnavailableError: The store cannot be opened.
    """
    tuning = tuning or Tuning()
    async with AsyncExitStack() as stack:
        ports = _ports(stack, (store, queue), providers, tuning.watch)
        if isinstance(ports.store, HasClock):
            await ports.store.open()
        parts = assembled(ports, tuning, author(default_from))
        if run == "all":
            await stack.enter_async_context(running(parts.engine))
            await stack.enter_async_context(woken(parts.engine))
        yield parts.mailer


def author(default_from: str | None) -> Address | None:
    """Return the author of messages that name none.

    Raises:
        SettingsError: It is not an address.
    """
    address = parse(default_from, "/from") if default_from else None
    if isinstance(address, Problem):
        message = f"default_from: {address.detail}"
        raise SettingsError(message)
    return address


@asynccontextmanager
async def running(engine: Engine) -> AsyncGenerator[None]:
    """Run an engine in the background; on leaving, let it end what it has begun."""
    task = asyncio.get_running_loop().create_task(engine.run())
    try:
        yield
    finally:
        await engine.stop(engine.courier.rules.call_deadline + SPARE)
        await task


class Closable(Protocol):
    """A part that lets go of files and connections."""

    async def aclose(self) -> None:
        """Finish what was begun and let go."""
        ...


Part = TypeVar("Part", bound=Closable)


def _ports(
    stack: AsyncExitStack, urls: tuple[str, str], providers: Sequence[Configured | Mapping[str, object]], watch: Watch
) -> Ports:
    """Return the ports that the urls of store and queue and the settings name; the stack closes what was opened."""

    def opened(part: Part) -> Part:
        stack.push_async_callback(part.aclose)
        return part

    system = cast("System", found("mailcore.systems", "default"))
    store = opened(cast("EmailStore", by_url("mailcore.stores", urls[0])))
    clock = store.clock if isinstance(store, HasClock) else system.new_clock()
    queue = opened(cast("WakeUpQueue", by_url("mailcore.queues", urls[1])))
    shared = next((part for part in (queue, store) if isinstance(part, SharesHealth)), None)
    if shared is None:
        message = f"neither {urls[0]} nor {urls[1]} can share the providers' health"
        raise SettingsError(message)
    made: list[Configured] = []
    for one in providers:
        made.append(configured(one, clock))
        opened(made[-1].provider)
    _must_differ([one.provider.name for one in made])
    return Ports(
        store=store,
        queue=queue,
        health=shared.health,
        providers=tuple(made),
        clock=clock,
        draw=system.draw,
        new_id=system.new_email_id,
        new_token=system.new_token,
        sleep=asyncio.sleep,
        watch=watch,
    )


def _must_differ(names: Sequence[str]) -> None:
    """Refuse two providers of one name: their health and their attempts could not be told apart.

    Raises:
        SettingsError: Two have the same name.
    """
    for name in names:
        if names.count(name) > 1:
            message = f"two providers are called '{name}': give each a name of its own"
            raise SettingsError(message)
