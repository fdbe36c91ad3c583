"""The emulator as a server: its application, its life from start to SIGTERM, and a way to run it in a test.

It is written on aiohttp, not on the Litestar of the mail API: a fault such as "take the message, then reset
the connection" needs the connection itself, which ASGI hides and `request.transport` gives. aiohttp is a
dependency of the providers' extra anyway, and one technology serves wire formats, scripts and pages.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from mailadapters.system import SystemClock
from mailapps.emulator import control, site
from mailapps.emulator.answering import perform
from mailapps.emulator.control import EMULATOR
from mailapps.emulator.inbox import BYTES, LETTERS, Inbox
from mailapps.emulator.layout import SEALED
from mailapps.emulator.ledger import ROWS, Ledger
from mailapps.emulator.wire import Account, Call, kind_of
from mailapps.emulator.world import Clock, Emulator, Pause

MAX_BODY = 30 * 1024 * 1024
_SHUTDOWN_S = 0.25


class EmulatorSettings(Struct, frozen=True, kw_only=True):
    """How to run the emulator.

    Attributes:
        port: 0 picks a free one.
        ledger: A file that gets a line of JSON for every request, before it is answered.
        rows: Ledger rows in memory at most; the oldest go.
        messages: Messages in the inbox at most; the oldest go.
        message_bytes: Size of all of them together at most, in bytes.
        accounts: What each provider knows of us, by the provider's name.
    """

    host: str = "127.0.0.1"
    port: int = 8025
    ledger: Path | None = None
    rows: int = ROWS
    messages: int = LETTERS
    message_bytes: int = BYTES
    accounts: dict[str, Account] = {}


_ON_A_FREE_PORT = EmulatorSettings(port=0)


class Running(Struct, frozen=True):
    """A server that runs.

    Attributes:
        url: Its address, without a slash at the end.
        emulator: What it knows, for a test in the same process to look at.
    """

    url: str
    emulator: Emulator


def emulator_app(emulator: Emulator) -> web.Application:
    """Return the application that serves an emulator's wire formats, API and pages."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[refuse_rebound])
    app.on_response_prepare.append(seal)
    app[EMULATOR] = emulator
    app.add_routes([*control.routes(), *site.routes(), web.route("*", "/{provider}/{path:.*}", answer_provider_call)])
    return app


def new_emulator(settings: EmulatorSettings, now: Clock, pause: Pause = asyncio.sleep) -> Emulator:
    """Return an emulator that knows nothing yet but its accounts.

    Raises:
        OSError: The ledger's file cannot be written.
    """
    return Emulator(
        now=now,
        pause=pause,
        ledger=Ledger(limit=settings.rows, path=settings.ledger),
        inbox=Inbox(limit=settings.messages, max_bytes=settings.message_bytes),
        accounts=dict(settings.accounts),
    )


async def seal(_: web.Request, response: web.StreamResponse) -> None:
    """Say what a browser may do with an answer: nothing, unless it is a page that says so itself."""
    for name, value in SEALED.items():
        response.headers.setdefault(name, value)


@web.middleware
async def refuse_rebound(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request that came over loopback under a foreign name.

    A page of another site can point its own name at 127.0.0.1 and would then read the inbox as its own
    (DNS rebinding); it cannot point an address or `localhost` anywhere.
    """
    here = request.transport and request.transport.get_extra_info("sockname")
    if here and ip_address(here[0]).is_loopback and not _is_local_name(request.url.host or ""):
        raise web.HTTPMisdirectedRequest(text="Over loopback the emulator answers to localhost and to addresses only.")
    return await handler(request)


def _is_local_name(host: str) -> bool:
    """Tell whether a Host means this machine, whoever says it."""
    return host == "localhost" or host.endswith(".localhost") or _is_address(host)


def _is_address(host: str) -> bool:
    """Tell whether a host is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def answer_provider_call(request: web.Request) -> web.StreamResponse:
    """Answer a request to a provider: judged, written down, then told (or not, as scripted)."""
    emulator = request.app[EMULATOR]
    kind = kind_of(request.match_info["provider"])
    if kind is None:
        raise web.HTTPNotFound(text="Nothing is emulated here: paths start with /sendgrid or /mailgun.")
    call = await _call(request, emulator)
    ruling = emulator.receive(call, kind)
    try:
        return await perform(request, ruling, emulator)
    finally:
        emulator.ledger.finish(call.seq, emulator.now())


async def _call(request: web.Request, emulator: Emulator) -> Call:
    """Return a request as a value; its path stays as it was escaped."""
    body, too_large = b"", False
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        too_large = True
    provider = request.match_info["provider"]
    return Call(
        provider=provider,
        method=request.method,
        path=request.rel_url.raw_path.removeprefix(f"/{provider}"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        now=emulator.now(),
        seq=emulator.ledger.next_seq(),
        too_large=too_large,
    )


@asynccontextmanager
async def serve(emulator: Emulator, host: str, port: int) -> AsyncGenerator[str, None]:
    """Serve an emulator for as long as the context lasts; gives the address it listens at.

    Raises:
        OSError: The address cannot be listened at.
    """
    # A caller that goes away cancels its request, so that a hang for ever ends with it.
    runner = web.AppRunner(
        emulator_app(emulator), access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield _url(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()
        emulator.ledger.close()


@asynccontextmanager
async def running_emulator(
    settings: EmulatorSettings = _ON_A_FREE_PORT, *, now: Clock | None = None, pause: Pause = asyncio.sleep
) -> AsyncGenerator[Running, None]:
    """Run an emulator for as long as the context lasts, unless told otherwise on a free port of loopback.

    Args:
        settings: How to run it.
        now: The clock; by default the host's.
        pause: How it waits that many seconds, so that a test need not.

    Raises:
        OSError: The address cannot be listened at, or the ledger's file cannot be written.
    """
    emulator = new_emulator(settings, now or SystemClock().now, pause)
    async with serve(emulator, settings.host, settings.port) as url:
        yield Running(url, emulator)


async def run(settings: EmulatorSettings, ready: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; `ready` is told the address once requests are answered.

    Raises:
        OSError: The address cannot be listened at, or the ledger's file cannot be written.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_emulator(settings) as running:
        ready(running.url)
        await stop.wait()


def _url(host: str, port: int) -> str:
    """Return the address as a browser on this machine takes it."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- compared, not bound
    return f"http://{reachable}:{port}"
