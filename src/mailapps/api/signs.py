"""What health and metrics tell, whoever answers for them: the API, or the small listener of a worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Literal

from msgspec import Struct

from mailapps.api.config import ApiConfig, Probe
from mailapps.api.problems import ApiCode, RefusedError

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
"""The text form that every Prometheus of the last ten years reads; the charset comes on top."""


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


async def readiness(config: ApiConfig) -> tuple[Readiness, int]:
    """Return whether to send requests here, and the answer's status: 503 while the process is on its way out."""
    draining = config.draining()
    failed = await asyncio.gather(*(_fails(probe, config.probe_within) for probe in config.probes.values()))
    told = Readiness(
        status="draining" if draining else "ready",
        degraded=tuple(name for name, down in zip(config.probes, failed, strict=True) if down),
        version=config.version,
    )
    return told, 503 if draining else 200


async def metrics(config: ApiConfig) -> bytes:
    """Return what this process has counted and sees.

    Raises:
        RefusedError: The library for that is not installed.
    """
    if config.scrape is None:
        raise RefusedError(ApiCode.NOT_FOUND, "metrics need a library: pip install 'mailcore-engine[metrics]'")
    return await config.scrape()


async def _fails(probe: Probe, within: timedelta) -> bool:
    """Return whether a dependency does not answer in time."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            await probe()
    except Exception:  # noqa: BLE001 - whatever keeps it from answering, it does not answer
        return True
    return False
