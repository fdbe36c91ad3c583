"""The small listener of a process that has no API: metrics and health, on an address of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from errno import EADDRINUSE
from typing import Any

from mailapps.api.config import ApiConfig
from mailapps.api.listener import Listener
from mailapps.api.server import serve
from mailapps.settings import Place


@asynccontextmanager
async def exposing(config: ApiConfig, at: Place, processes: int) -> AsyncGenerator[str]:
    """Serve metrics and health for as long as the context lasts; gives their address.

    Args:
        config: What to tell.
        at: Where to listen. Of several processes each takes the first port from there on that is free.
        processes: How many there are.

    Raises:
        OSError: All of these ports are taken, or the host is none of ours.
    """
    app, stop = Listener(config=config, loopback=at.loopback), asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.get_running_loop().create_task(_first_free(app, at, processes, ready, stop))
    first: set[asyncio.Future[Any]] = {serving, ready}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        yield ready.result()
    finally:
        stop.set()
        await asyncio.gather(serving, return_exceptions=True)


async def _first_free(
    app: Listener, at: Place, processes: int, ready: asyncio.Future[str], stop: asyncio.Event
) -> None:
    """Serve on the first port that is free."""
    for port in range(at.port, at.port + processes):
        try:
            await serve(app, at.host, port, ready=ready.set_result, stop=stop)
        except OSError as error:
            if error.errno != EADDRINUSE or port == at.port + processes - 1:
                raise
        else:
            return
