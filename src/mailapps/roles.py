"""What a process does: all of it (`up`), the API, the engine, or the emulator; from start to a polite end.

On SIGTERM or SIGINT readiness is false at once and nothing new is begun; the listener closes, requests under way
are answered, attempts under way end, within the call deadline and five seconds (I37, I38). A second signal ends
the process there and then, which loses nothing either: that is what leases are for.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from mailapps.container import Container, opened
from mailapps.guarding import must_ask
from mailapps.scheduling import scheduling
from mailapps.settings import Settings, place
from mailapps.settings_rules import points_at_emulator
from mailapps.tuning import Role
from mailcore.assembly import SPARE
from mailcore.engine import Engine
from mailcore.errors import MailError
from mailcore.ports import Watch
from mailcore.waking import woken

if TYPE_CHECKING:
    from litestar.types import ASGIApp

NOTICE_S: Final = 0.2
"""How long the listener outlives readiness."""

FORCED: Final = 128
"""What is added to a signal's number where it forces a process to end: its exit code."""


YOUNG: Final = 10_000
"""So many objects are made before the collector looks for cycles among them; Python's own 700 are three e-mails."""

TURN_S: Final = 0.0005
"""How long a thread keeps the interpreter's lock while others wait for it; Python's own 5 ms are two batches' time."""


class CannotListenError(MailError):
    """An address of ours cannot be listened at; the text names it and the remedy."""


class Started(Struct, frozen=True, kw_only=True):
    """What runs, as the command line tells it.

    Attributes:
        role: What the process is for.
        api: The API's address, if it runs here.
        emulator: The emulator's address, if it runs here.
        settings: What it runs by.
    """

    role: Role
    api: str | None = None
    emulator: str | None = None
    settings: Settings


Tell = Callable[[Started], None]
"""Is told once everything answers."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on the fast loop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def tune_interpreter() -> None:
    """Set the interpreter up for many small tasks beside a few threads; to be called once everything answers.

    What is loaded by now is out of the collector's sight, for good: else it goes through all modules again and again,
    for all that an e-mail leaves behind it while it waits. And whoever waits for the interpreter's lock, as SQLite's
    threads do between two steps, has it soon: all slots may be waiting for what he does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    sys.setswitchinterval(TURN_S)


async def play(settings: Settings, role: Role, watch: Watch, tell: Tell, leash: int | None = None) -> None:
    """Do what a role does until a signal comes, or a supervisor's leash lets go.

    Raises:
        SettingsError: Something that the settings name is not there, or wrong.
        StoreUnavailableError: The store cannot be opened.
        CannotListenError: An address cannot be listened at.
    """
    async with opened(settings, role, watch) as parts, AsyncExitStack() as stack:
        stop = parts.stop()
        end_by_signal(stop)
        if leash is not None:
            hold_on(leash, stop)
        emulator = await stack.enter_async_context(_emulator(settings)) if role is Role.UP else None
        if role in {Role.WORKER, Role.SCHEDULER} and settings.metrics.bind is not None:
            await stack.enter_async_context(_metrics(parts, settings.metrics.bind, _processes(settings, role)))
        if role is not Role.API:
            await stack.enter_async_context(carrying(parts.assembled().engine, stop))
        if role in {Role.UP, Role.WORKER}:
            await stack.enter_async_context(woken(parts.assembled().engine))
        if role in {Role.UP, Role.SCHEDULER}:
            await stack.enter_async_context(scheduling(parts.scheduler(), stop))
        started = Started(role=role, emulator=emulator, settings=settings)
        if role in {Role.UP, Role.API}:
            await _serve(parts, settings, started, tell)
        else:
            tell(started)
            await stop.wait()


def _processes(settings: Settings, role: Role) -> int:
    """Return how many processes of a role there are on one set of settings."""
    return settings.processes if role is Role.WORKER else 1


@asynccontextmanager
async def _metrics(parts: Container, bind: str, processes: int) -> AsyncGenerator[str]:
    """Answer for metrics and health until the end; give their address."""
    from mailapps.exposing import exposing

    async with AsyncExitStack() as stack:
        with listening(bind, "metrics.bind"):
            url = await stack.enter_async_context(exposing(parts.api(), place(bind), processes))
        yield url


async def _serve(parts: Container, settings: Settings, started: Started, tell: Tell) -> None:
    """Serve the API until it is stopped."""
    from mailapps.api.app import create_app
    from mailapps.api.server import serve

    def ready(url: str) -> None:
        tell(Started(role=started.role, api=url, emulator=started.emulator, settings=settings))

    must_ask(settings)
    at = place(settings.bind)
    app: ASGIApp = create_app(parts.assembled().mailer, parts.api())
    if tracing := parts.tracing():
        app = tracing.around(app)
    close = asyncio.Event()
    notice = asyncio.get_running_loop().create_task(_give_notice(parts.stop(), close))
    try:
        with listening(settings.bind, "bind"):
            await serve(app, at.host, at.port, ready=ready, stop=close)
    finally:
        notice.cancel()


async def _give_notice(stop: asyncio.Event, close: asyncio.Event) -> None:
    """Set `close` a moment after `stop`: until then whoever asks can hear that the service is not ready any more."""
    await stop.wait()
    await asyncio.sleep(NOTICE_S)
    close.set()


@asynccontextmanager
async def carrying(engine: Engine, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Run an engine in the background; once `stop` is set it ends what it has begun, whatever else still runs."""
    task = asyncio.get_running_loop().create_task(_carry(engine, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _carry(engine: Engine, stop: asyncio.Event) -> None:
    """Run an engine until `stop` is set; should it end by itself, that stops the process."""
    running = asyncio.get_running_loop().create_task(engine.run())
    running.add_done_callback(lambda _: stop.set())
    await stop.wait()
    await engine.stop(engine.courier.rules.call_deadline + SPARE)
    await running


@asynccontextmanager
async def _emulator(settings: Settings) -> AsyncGenerator[str | None]:
    """Run the emulator if a provider points at it; give its address."""
    at = place(settings.emulator.bind)
    if not any(points_at_emulator(table, at) for table in settings.providers.values()):
        yield None
        return
    from mailapps.emulator import EmulatorSettings, running_emulator

    with listening(settings.emulator.bind, "emulator.bind"):
        async with running_emulator(EmulatorSettings(host=at.host, port=at.port)) as running:
            yield running.url


@contextmanager
def listening(bind: str, key: str) -> Generator[None]:
    """Say which address it is that cannot be listened at, and which setting to change.

    Raises:
        CannotListenError: It cannot be listened at.
    """
    try:
        yield
    except OSError as error:
        if error.errno == EADDRINUSE:
            text = f"{bind} is in use already: stop what listens there, or choose another {_named(key)}"
        else:
            text = f"cannot listen at {bind}: {error.strerror or error}; choose another {_named(key)}"
        raise CannotListenError(text) from error


def _named(key: str) -> str:
    """Return a setting with its variable, which is quicker to set than a file is written."""
    return key if key.startswith("--") else f"{key} (MAILCORE_{key.upper().replace('.', '__')})"


def hold_on(leash: int, stop: asyncio.Event) -> None:
    """Set `stop` once the other end of a leash is gone: a pipe that the supervisor holds as long as it lives."""
    loop = asyncio.get_running_loop()

    def let_go() -> None:
        loop.remove_reader(leash)
        stop.set()

    loop.add_reader(leash, let_go)


def end_by_signal(stop: asyncio.Event) -> None:
    """Set `stop` on the first SIGTERM or SIGINT; end the process on the second."""

    def end(number: int) -> None:
        if stop.is_set():
            os._exit(FORCED + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
