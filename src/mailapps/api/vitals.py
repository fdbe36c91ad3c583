"""The routes of health: whether the process lives, and whether it takes requests."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Literal

from litestar import Response, get
from msgspec import Struct

from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig, Probe


class Life(Struct, frozen=True):
    """That the process answers."""

    status: Literal["ok"]
    version: str


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether the process takes requests.

    Attributes:
        degraded: The dependencies that do not answer. The process is ready all the same: it says so to each
            request at once, and an orchestrator must not empty the service because the store blinked.
    """

    status: Literal["ready", "draining"]
    degraded: tuple[str, ...]
    version: str


@get("/health/live")
async def show_life(request: ApiRequest) -> Life:
    """Say that the process answers; asks nobody else."""
    config: ApiConfig = request.app.state["config"]
    return Life("ok", config.version)


@get("/health/ready")
async def show_readiness(request: ApiRequest) -> Response[Readiness]:
    """Say whether to send requests here: 503 while the process is on its way out."""
    config: ApiConfig = request.app.state["config"]
    draining = config.draining()
    failed = await asyncio.gather(*(_fails(probe, config.probe_within) for probe in config.probes.values()))
    readiness = Readiness(
        status="draining" if draining else "ready",
        degraded=tuple(name for name, down in zip(config.probes, failed, strict=True) if down),
        version=config.version,
    )
    return Response(readiness, status_code=503 if draining else 200)


async def _fails(probe: Probe, within: timedelta) -> bool:
    """Return whether a dependency does not answer in time."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            await probe()
    except Exception:  # noqa: BLE001 - whatever keeps it from answering, it does not answer
        return True
    return False


ROUTES: Final = (show_life, show_readiness)
