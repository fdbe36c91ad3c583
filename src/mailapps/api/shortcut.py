"""A short way to a route that is asked for thousands of times in a second.

On its own way to a route the framework looks for what none of ours has: a cache, dependencies, cookies, hooks after
the answer, a signature by which to check once more what was decoded into its type. For one POST that takes as long as
all of mailcore's checks. Here the route's own function is called at once, behind the same gate and with the same
refusals. The framework knows the route all the same, and takes whatever is out of the ordinary about a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeGuard, cast

from litestar import Litestar, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import (
    ASGIApp,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)

from mailapps.api.answers import JsonAnswer
from mailapps.api.body import JsonRequest
from mailapps.api.heads import dress, dressed_for, header
from mailapps.api.refusals import answer_refusal

SHORT: Final = {"short": True}
"""The option of a route that is reached the short way: `fn(request, data)`, at a path without parameters."""

_PLAIN_HOST: Final = re.compile(rb"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
"""Any other is the framework's to judge."""


class Api(Litestar):
    """Litestar, with a short way to the routes that ask for it."""

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Answer a request."""
        handler = self._handler(scope)
        if handler is None:
            await super().__call__(scope, receive, send)
        else:
            await self._answer(handler, cast("HTTPScope", scope), cast("Receive", receive), cast("Send", send))

    def _handler(self, scope: Scope | LifeSpanScope) -> HTTPRouteHandler | None:
        """Return the route that a request goes to the short way; None if it is for the framework."""
        if not _is_http(scope):
            return None
        handler = self._short.get((scope["method"], scope["path"]))
        ordinary = handler and not scope["root_path"] and _PLAIN_HOST.fullmatch(header(scope, b"host"))
        return handler if ordinary else None

    async def _answer(self, handler: HTTPRouteHandler, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Call a route's gate and its function, and send what comes of it."""
        scope["app"] = scope["litestar_app"] = self
        scope["route_handler"], scope["path_template"] = handler, scope["path"]
        cast("dict[str, Any]", scope).setdefault("state", {})  # as the framework does: not every server has one
        request = JsonRequest(scope, receive, send)
        try:
            if gate := handler.resolve_before_request():
                await gate(request)
            answer: Response[Any] = await handler.fn(request, await request.json())
        except Exception as error:  # noqa: BLE001 - as on the framework's way, each becomes an answer
            answer = answer_refusal(request, error)
        if isinstance(answer, JsonAnswer):
            await _send_plainly(answer, scope, send)
        else:
            await _sending(answer, request)(scope, receive, _dressing(scope, send))

    @cached_property
    def _short(self) -> Mapping[tuple[str, str], HTTPRouteHandler]:
        """The routes that are reached the short way, by method and path."""
        routes = (route for route in self.routes if isinstance(route, HTTPRoute))
        known = ((route.path, handler) for route in routes for handler in route.route_handlers)
        short = ((path, handler) for path, handler in known if handler.opt.get("short"))
        return {(method, path): handler for path, handler in short for method in handler.http_methods}


def _is_http(scope: Scope | LifeSpanScope) -> TypeGuard[HTTPScope]:
    """Whether it is a request."""
    return scope["type"] == ScopeType.HTTP


async def _send_plainly(answer: JsonAnswer[Any], scope: HTTPScope, send: Send) -> None:
    """Send an answer of our own with what every answer says."""
    head, body = answer.events()
    head["headers"] = dressed_for(scope, head["headers"])
    await send(head)
    await send(body)


def _sending(answer: Response[Any], request: JsonRequest) -> ASGIApp:
    """Return what sends an answer."""
    return answer.to_asgi_response(None, request)  # pyright: ignore[reportUnknownMemberType] - left open there


def _dressing(scope: HTTPScope, send: Send) -> Send:
    """Return what sends an answer with what every answer says."""

    async def send_dressed(message: Message) -> None:
        await dress(message, scope)
        await send(message)

    return send_dressed
