"""Which adapter stands behind which port: the one place that knows, and the only importer of dependency_injector.

All parts are made in one thread without a wait and live as long as the process; what holds files and connections
opens them with its first use and is closed by `closing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from dependency_injector import containers, providers

from mailadapters import system
from mailapps.api.config import ApiConfig
from mailapps.guarding import Guard, guard_of
from mailapps.metrics.counting import Tally
from mailapps.metrics.gauges import Stocktaker
from mailapps.probing import probes_of, store_answers
from mailapps.scheduling import must_keep, scheduler_of
from mailapps.settings import Settings, Table
from mailapps.tuning import Role, stays_here, tuning_of
from mailcore.assembly import Assembled, SharesHealth, Tuning, assembled, author
from mailcore.discovery import configured, found
from mailcore.errors import SettingsError
from mailcore.events import Event
from mailcore.ports import Clock, Configured, EmailStore, HasClock, Ports, ProviderHealth, WakeUpQueue, Watch, look_away

if TYPE_CHECKING:
    from mailapps.tracing import Tracing


def provider_problems(name: str, table: Table) -> Sequence[str]:
    """Return what the provider's own kind finds wrong with its table."""
    try:
        configured({**table, "name": name}, system.new_clock())
    except SettingsError as error:
        return [str(error)]
    return []


def _store(settings: Settings) -> EmailStore:
    """Return the store that the settings name."""
    return cast("EmailStore", _by_url("mailcore.stores", settings.store))


def _queue(settings: Settings) -> WakeUpQueue:
    """Return the queue that the settings name."""
    return cast("WakeUpQueue", _by_url("mailcore.queues", settings.queue))


def _by_url(group: str, url: str) -> object:
    """Make what a URL names, by its scheme."""
    return cast("Callable[[str], object]", found(group, url.partition(":")[0]))(url)


def _clock(store: EmailStore) -> Clock:
    """Return the clock by which all processes on this store go."""
    return store.clock if isinstance(store, HasClock) else system.new_clock()


def _health(store: EmailStore, queue: WakeUpQueue) -> ProviderHealth:
    """Return the providers' health that all processes on this store and queue share; the quicker of the two has it."""
    shared = next((part for part in (queue, store) if isinstance(part, SharesHealth)), None)
    if shared is None:
        raise SettingsError("store and queue: neither can share the providers' health")
    return shared.health


def _connected(settings: Settings, clock: Clock) -> tuple[Configured, ...]:
    """Return the providers, in configured order."""
    return tuple(configured({**table, "name": name}, clock) for name, table in settings.providers.items())


def _ports(
    store: EmailStore,
    queue: WakeUpQueue,
    health: ProviderHealth,
    connected: tuple[Configured, ...],
    clock: Clock,
    watch: Watch,
) -> Ports:
    """Return everything that the core needs of the world."""
    return Ports(
        store=store,
        queue=queue,
        health=health,
        providers=connected,
        clock=clock,
        draw=system.draw,
        new_id=system.new_email_id,
        new_token=system.new_token,
        sleep=asyncio.sleep,
        watch=watch,
    )


def _tracing(settings: Settings, clock: Clock, role: Role) -> Tracing | None:
    """Return what makes traces; None where nobody wants any, and then nothing of OpenTelemetry is loaded."""
    if settings.tracing.endpoint is None:
        return None
    from mailapps.tracing import tracing_to

    return tracing_to(settings.tracing, clock, role, version("mailcore-engine"))


def _told(watch: Watch, tally: Tally, tracing: Tracing | None) -> Watch:
    """Return a watcher that counts, makes traces if they are wanted, and tells another one."""

    def tell(event: Event) -> None:
        tally.watch(event)
        if tracing:
            tracing.watch(event)
        watch(event)

    return tell


def _scrape(made: Assembled, tally: Tally, role: Role) -> Callable[[], Awaitable[bytes]] | None:
    """Return what reads the metrics; None if the library for that is not installed."""
    if find_spec("prometheus_client") is None:
        return None
    from mailapps.metrics.scraping import Scrape

    ports = made.mailer.ports
    return Scrape(
        tally=tally,
        assembled=made,
        stocktaker=Stocktaker(ports.store, ports.clock.monotonic),
        carries=role is not Role.API,
        version=version("mailcore-engine"),
        role=role,
    ).text


def _assembled(ports: Ports, tuning: Tuning, settings: Settings) -> Assembled:
    """Return mailer and engine."""
    return assembled(ports, tuning, author(settings.default_from))


def _api(
    settings: Settings,
    store: EmailStore,
    queue: WakeUpQueue,
    stop: asyncio.Event,
    guard: Guard,
    scrape: Callable[[], Awaitable[bytes]] | None,
) -> ApiConfig:
    """Return how to run the API."""
    return ApiConfig(
        admin_key=settings.admin_key,
        keyring=guard.keyring,
        rates=guard.rates,
        rate_limit=guard.rate_limit,
        sender_limit=guard.sender_limit,
        recipient_limit=guard.recipient_limit,
        new_request_id=system.new_request_id,
        version=version("mailcore-engine"),
        draining=stop.is_set,
        probes=probes_of(store, None if stays_here(settings) else queue),
        scrape=scrape,
    )


class Container(containers.DeclarativeContainer):
    """The parts of one process. `settings` and `role` are given; `watch` may be."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    role: providers.Dependency[Role] = providers.Dependency(instance_of=Role)
    watch = providers.Object(look_away)

    stop = providers.Singleton(asyncio.Event)
    store = providers.Singleton(_store, settings)
    clock = providers.Singleton(_clock, store)
    queue = providers.Singleton(_queue, settings)
    health = providers.Singleton(_health, store, queue)
    connected = providers.Singleton(_connected, settings, clock)
    tally = providers.Singleton(Tally, settings.provided.providers)
    tracing = providers.Singleton(_tracing, settings, clock, role)
    told = providers.Singleton(_told, watch, tally, tracing)
    ports = providers.Singleton(_ports, store, queue, health, connected, clock, told)
    tuning = providers.Singleton(tuning_of, settings, role, told)
    assembled = providers.Singleton(_assembled, ports, tuning, settings)
    scheduler = providers.Singleton(scheduler_of, ports, tuning, settings)
    scrape = providers.Singleton(_scrape, assembled, tally, role)
    guard = providers.Singleton(guard_of, settings, ports)
    api = providers.Singleton(_api, settings, store, queue, stop, guard, scrape)


@asynccontextmanager
async def opened(settings: Settings, role: Role, watch: Watch = look_away) -> AsyncGenerator[Container]:
    """Give the parts of a process, and close them after use: first what calls out, last the store.

    Raises:
        SettingsError: Something that the settings name is not there, or wrong.
        StoreUnavailableError: The store cannot be opened.
    """
    made = Container(settings=settings, role=role, watch=watch)
    async with AsyncExitStack() as stack:
        if tracing := made.tracing():
            stack.push_async_callback(tracing.aclose)
        ports = made.ports()
        stack.push_async_callback(ports.store.aclose)
        stack.push_async_callback(ports.queue.aclose)
        for one in ports.providers:
            stack.push_async_callback(one.provider.aclose)
        must_keep(ports.store)
        if (keyring := made.guard().keyring) is not None:
            stack.push_async_callback(keyring.aclose)
        await store_answers(ports.store)
        yield made
