"""What every route reaches for: the mailer, the e-mail's id, and how long the store may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from mailapps.api.access import caller_of
from mailapps.api.body import ApiRequest
from mailapps.api.filters import DeadLetterListing
from mailapps.api.problems import ApiCode, ShapeCode, invalid
from mailapps.api.refusals import refusal
from mailapps.api.views import EmailList, page
from mailcore.errors import EmailNotFoundError, MailError, Problem
from mailcore.lifecycle import Email, EmailId
from mailcore.mailer import Mailer
from mailcore.ports import Query
from mailcore.waiting import Limited, TimeLimit

T = TypeVar("T")

PART: Final = 100
"""So many e-mails are dealt with side by side."""

_ID_LENGTH = 64


class NotDone(Struct, frozen=True, kw_only=True):
    """An e-mail with which it could not be done."""

    id: EmailId
    code: ApiCode
    detail: str


def mailer_of(request: ApiRequest) -> Mailer:
    """Return the engine's front door."""
    mailer: Mailer = request.app.state["mailer"]
    return mailer


def tenant_of(request: ApiRequest) -> str | None:
    """Return whose e-mails the caller reaches; None for all."""
    return caller_of(request.scope).tenant


def patience(request: ApiRequest) -> Limited:
    """Return what limits how long a route may wait: for the store, and for a wake-up after it."""
    limit: TimeLimit = request.app.state["patience"]
    return limit()


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
        with patience(request):
            return page(await mailer_of(request).list(query, after=asked.after, limit=asked.limit))
    except ValueError as error:
        detail = "must be a next_cursor of this list, as it was given"
        raise invalid([Problem("query:after", ShapeCode.INVALID_CURSOR, detail)]) from error


async def parts(request: ApiRequest, query: Query, limit: int) -> AsyncIterator[Sequence[Email]]:
    """Yield what a query finds part by part, each e-mail once, up to a limit."""
    after, left = None, limit
    while left > 0:
        with patience(request):
            part = await mailer_of(request).list(query, after=after, limit=min(PART, left))
        yield part.emails
        after, left = part.after, left - len(part.emails)
        if after is None:
            return


async def attempted(
    request: ApiRequest, emails: Sequence[Email], act: Callable[[EmailId], Awaitable[T]]
) -> Sequence[T | NotDone]:
    """Do something with e-mails side by side; return what came of each, in their order."""

    async def attempt(email: Email) -> T | NotDone:
        try:
            with patience(request):
                return await act(email.id)
        except (MailError, TimeoutError) as error:
            told = refusal(error)
            return NotDone(id=email.id, code=told.code, detail=told.detail)

    return await asyncio.gather(*map(attempt, emails))
