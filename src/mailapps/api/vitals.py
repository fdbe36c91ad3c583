"""The routes of health: whether the process lives, and whether it takes requests."""

from __future__ import annotations

from typing import Final

from litestar import Response, get

from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig
from mailapps.api.signs import Life, Readiness, readiness


@get("/health/live")
async def show_life(request: ApiRequest) -> Life:
    """Say that the process answers; asks nobody else."""
    config: ApiConfig = request.app.state["config"]
    return Life("ok", config.version)


@get("/health/ready")
async def show_readiness(request: ApiRequest) -> Response[Readiness]:
    """Say whether to send requests here: 503 while the process is on its way out."""
    told, status = await readiness(request.app.state["config"])
    return Response(told, status_code=status)


ROUTES: Final = (show_life, show_readiness)
