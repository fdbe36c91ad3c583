"""The route of the metrics on the API, behind its key; workers and schedulers have a listener of their own."""

from __future__ import annotations

from litestar import Response, Router, get

from mailapps.api.access import Gate
from mailapps.api.body import ApiRequest
from mailapps.api.rights import OPERATE
from mailapps.api.signs import CONTENT_TYPE, metrics


@get("/metrics", include_in_schema=False, opt=OPERATE)
async def show_metrics(request: ApiRequest) -> Response[bytes]:
    """Return what this process has counted and sees."""
    return Response(await metrics(request.app.state["config"]), media_type=CONTENT_TYPE)


def metrics_router(gate: Gate) -> Router:
    """Return the route behind its gate."""
    return Router("/", route_handlers=[show_metrics], before_request=gate)
