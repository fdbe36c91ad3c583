"""The routes of providers: how they stand, and which one would take a message."""

from __future__ import annotations

from asyncio import timeout
from typing import Final

from litestar import get, post
from litestar.params import JSONBody

from mailapps.api.body import ApiRequest
from mailapps.api.reach import mailer_of, patience
from mailapps.api.views import ProviderList, standing
from mailcore.mailer import Explanation
from mailcore.message import Message


@get("/providers")
async def list_providers(request: ApiRequest) -> ProviderList:
    """List the configured providers and how they stand, as the answering process sees them."""
    async with timeout(patience(request)):
        return ProviderList(tuple(map(standing, await mailer_of(request).providers())))


@post("/route/explain", status_code=200)
async def explain_route(request: ApiRequest, data: JSONBody[Message]) -> Explanation:
    """Say which provider would take a message now, and why not the others; nothing is stored or sent."""
    async with timeout(patience(request)):
        return await mailer_of(request).explain(data)


ROUTES: Final = (list_providers, explain_route)
