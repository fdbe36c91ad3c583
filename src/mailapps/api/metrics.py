"""The route of the metrics: on the API behind its key, and beside workers and schedulers on an address of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar import Response, Router, get

from mailapps.api.access import Gate
from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig
from mailapps.api.problems import ApiCode, RefusedError
from mailapps.api.rights import OPERATE

CONTENT_TYPE = "text/plain; version=0.0.4"
"""The text form that every Prometheus of the last ten years reads; the framework adds the charset."""

Scraper = Callable[[], Awaitable[bytes]]
"""Reads all metrics of this process."""


@get("/metrics", include_in_schema=False, opt=OPERATE)
async def show_metrics(request: ApiRequest) -> Response[bytes]:
    """Return what this process has counted and sees."""
    config: ApiConfig = request.app.state["config"]
    if config.scrape is None:
        raise RefusedError(ApiCode.NOT_FOUND, "metrics need a library: pip install 'mailcore-engine[metrics]'")
    return Response(await config.scrape(), media_type=CONTENT_TYPE)


def metrics_router(gate: Gate | None) -> Router:
    """Return the route, behind a gate if there is one."""
    return Router("/", route_handlers=[show_metrics], before_request=gate)
