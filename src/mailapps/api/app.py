"""The HTTP API as one Litestar application around a Mailer."""

from __future__ import annotations

from litestar import Router
from litestar.datastructures import State

from mailapps.api import pages, vitals
from mailapps.api.access import gate_for
from mailapps.api.body import JsonRequest
from mailapps.api.config import ApiConfig
from mailapps.api.heads import dress
from mailapps.api.metrics import metrics_router
from mailapps.api.refusals import answer_refusal
from mailapps.api.routes import ROUTES
from mailapps.api.shortcut import Api
from mailcore.mailer import Mailer
from mailcore.records import WAKE_UP_BUDGET
from mailcore.waiting import TimeLimit


def create_app(mailer: Mailer, config: ApiConfig) -> Api:
    """Return the API; it holds no connection of its own, so there is nothing to open or close."""
    gate = gate_for(config)
    api = Router(
        "/api",
        route_handlers=ROUTES,
        before_request=gate,
    )
    return Api(
        route_handlers=[api, metrics_router(gate), *vitals.ROUTES, *pages.ROUTES],
        request_class=JsonRequest,
        exception_handlers={Exception: answer_refusal},
        before_send=[dress],
        state=State({"mailer": mailer, "config": config, **_limits(config)}, deep_copy=False),
        openapi_config=None,
        logging_config=None,
    )


def _limits(config: ApiConfig) -> dict[str, TimeLimit]:
    """Return how long a route waits for the store with a wake-up after it, and for a body."""
    return {
        "patience": TimeLimit((config.store_within + WAKE_UP_BUDGET).total_seconds()),
        "body_patience": TimeLimit(config.body_within.total_seconds()),
    }
