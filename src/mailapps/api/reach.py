"""What every route reaches for: the mailer, the e-mail's id, and how long the store may take."""

from __future__ import annotations

from asyncio import timeout

from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig
from mailapps.api.filters import DeadLetterListing
from mailapps.api.problems import ShapeCode, invalid
from mailapps.api.views import EmailList, page
from mailcore.errors import EmailNotFoundError, Problem
from mailcore.lifecycle import EmailId
from mailcore.mailer import Mailer
from mailcore.ports import Query
from mailcore.records import WAKE_UP_BUDGET

_ID_LENGTH = 64


def mailer_of(request: ApiRequest) -> Mailer:
    """Return the engine's front door."""
    mailer: Mailer = request.app.state["mailer"]
    return mailer


def patience(request: ApiRequest) -> float:
    """Return for how many seconds a route may wait: for the store, and for a wake-up after it."""
    config: ApiConfig = request.app.state["config"]
    return (config.store_within + WAKE_UP_BUDGET).total_seconds()


def known(email_id: str) -> EmailId:
    """Return what a path names, if an e-mail can have such an id.

    Raises:
        EmailNotFoundError: None can.
    """
    if len(email_id) > _ID_LENGTH or not (email_id.isascii() and email_id.isprintable()):
        raise EmailNotFoundError("no e-mail has such an id")
    return email_id


async def listed(request: ApiRequest, query: Query, asked: DeadLetterListing) -> EmailList:
    """Return a part of a list.

    Raises:
        RefusedError: `after` is no cursor of this list.
    """
    try:
        async with timeout(patience(request)):
            return page(await mailer_of(request).list(query, after=asked.after, limit=asked.limit))
    except ValueError as error:
        detail = "must be a next_cursor of this list, as it was given"
        raise invalid([Problem("query:after", ShapeCode.INVALID_CURSOR, detail)]) from error
