"""The routes of the suppression list: add to it, look at it, take it away as a file, lift a suppression."""

from __future__ import annotations

import logging
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import unquote

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import Struct

from mailapps.api.access import caller_of
from mailapps.api.body import ApiRequest
from mailapps.api.filters import from_query_string
from mailapps.api.heads import request_id
from mailapps.api.problems import ApiCode, RefusedError, ShapeCode, invalid
from mailapps.api.reach import mailer_of, patience
from mailapps.api.rights import ADMIN, READ, SEND, need_of
from mailapps.api.suppression_rules import (
    MOST,
    NewSuppression,
    NewSuppressions,
    SuppressionListing,
    drafted,
    mailbox_of,
    unshortened,
)
from mailapps.api.views import Moment, maybe, moment
from mailcore.addresses import mailbox, parse
from mailcore.errors import MailError, Problem
from mailcore.suppression import Grounds, Suppression, SuppressionPage, in_force

LINES: Final = "application/x-ndjson"

_LOG = logging.getLogger("mailcore.api")
_AS_FILE: Final = {"Content-Disposition": 'attachment; filename="suppressions.jsonl"'}
_ENCODE: Final = msgspec.json.Encoder().encode_lines


class SuppressionView(Struct, frozen=True, kw_only=True):
    """An address that must not be written to.

    Attributes:
        reason: Why.
        source: Who said so.
        created_at: When it was said.
        expires_at: When it ends by itself; null if it does not.
        in_force: Whether the address must not be written to now: not once it has ended.
    """

    address: str
    reason: Grounds
    source: str
    created_at: Moment
    expires_at: Moment | None
    in_force: bool


class Suppressions(Struct, frozen=True):
    """Part of a tenant's suppressions, by address; for a while those that have ended, too."""

    data: tuple[SuppressionView, ...]
    has_more: bool
    next_cursor: str | None


class Suppressed(Struct, frozen=True):
    """What came of it.

    Attributes:
        kept: How many mailboxes are suppressed by it.
    """

    kept: int


@post("/suppressions", status_code=200, opt=SEND)
async def suppress(request: ApiRequest, data: JSONBody[NewSuppressions]) -> Suppressed:
    """Suppress addresses: within 5 seconds no process writes to them; again is no error."""
    mailer, caller = mailer_of(request), caller_of(request.scope)
    drafts = drafted(data, caller.submits_as, caller.name, mailer.ports.clock.now())
    with patience(request):
        if not caller.may(need_of(ADMIN)):
            drafts = unshortened(drafts, await _known(request, [one.mailbox for one in drafts]))
        await mailer.suppressions.add(drafts)
    _LOG.info("%s suppressed %d addresses of tenant %s", caller.name, len(drafts), caller.submits_as)
    return Suppressed(kept=len(drafts))


@get("/suppressions", opt=READ)
async def list_suppressions(request: ApiRequest) -> Suppressions:
    """List the addresses that must not be written to, by address."""
    asked = from_query_string(request.scope["query_string"], SuppressionListing)
    with patience(request):
        if asked.address is None:
            page = await _page(request, _place(asked.after), asked.limit)
        else:
            page = await _one(request, asked.address)
    now = mailer_of(request).ports.clock.now()
    return Suppressions(
        data=tuple(_view(one, now) for one in page.suppressions),
        has_more=page.after is not None,
        next_cursor=None if page.after is None else _cursor(page.after),
    )


@get("/suppressions/export", media_type=LINES, opt=READ)
async def export_suppressions(request: ApiRequest) -> Stream:
    """Export every suppression in force, a line of JSON each, as POST takes it; cut off, some are missing."""
    with patience(request):
        first = await _page(request, None, MOST)
    return Stream(_lines(request, first), media_type=LINES, headers=_AS_FILE)


@delete("/suppressions/{address:path}", status_code=200, opt=ADMIN)
async def lift_suppression(request: ApiRequest) -> SuppressionView:
    """Lift a suppression: its address may be written to again at once. It is shown as it was."""
    caller, named = caller_of(request.scope), mailbox_of(_address(request)) or ""
    mailer = mailer_of(request)
    with patience(request):
        found = (await _known(request, [named])).get(named)
        lifted = found is not None and await mailer.suppressions.lift(caller.submits_as, found.address)
    if found is None or not lifted:
        raise RefusedError(ApiCode.SUPPRESSION_NOT_FOUND, "nobody has suppressed it; GET /api/suppressions lists them")
    _LOG.info("%s lifted a suppression of tenant %s", caller.name, caller.submits_as)
    return _view(found, mailer.ports.clock.now())


def _address(request: ApiRequest) -> str:
    """Return the address in a path, as it was sent: a slash in it is one of its letters."""
    return unquote(request.scope["raw_path"].decode("latin-1").partition("/suppressions/")[2])


async def _known(request: ApiRequest, mailboxes: Sequence[str]) -> dict[str, Suppression]:
    """Return what the store has of these mailboxes, those that have ended among it."""
    caller, keeper = caller_of(request.scope), mailer_of(request).suppressions.kept
    found = await keeper.find_suppressions(caller.submits_as, mailboxes)
    return {one.mailbox: one for one in found}


async def _one(request: ApiRequest, address: str) -> SuppressionPage:
    """Return the suppression of an address, if there is one.

    Raises:
        RefusedError: It is no address.
    """
    read = parse(address, "query:address")
    if isinstance(read, Problem):
        raise invalid([read])
    return SuppressionPage(tuple((await _known(request, [mailbox(read)])).values()), after=None)


async def _page(request: ApiRequest, after: str | None, limit: int) -> SuppressionPage:
    """Return a part of the caller's list."""
    keeper = mailer_of(request).suppressions.kept
    return await keeper.list_suppressions(caller_of(request.scope).submits_as, after=after, limit=limit)


async def _lines(request: ApiRequest, page: SuppressionPage) -> AsyncIterator[bytes]:
    """Yield the lines of a page and of all behind it.

    Raises:
        MailError: The store did not answer in mid-stream; the connection is then closed.
    """
    count = 0
    while True:
        yield _encoded(page, mailer_of(request).ports.clock.now())
        count += len(page.suppressions)
        if page.after is None:
            return
        try:
            with patience(request):
                page = await _page(request, page.after, MOST)
        except (MailError, TimeoutError) as error:
            name = request_id(request.scope)
            _LOG.error("request %s: the export broke off behind %d suppressions: %s", name, count, type(error).__name__)
            raise


def _encoded(page: SuppressionPage, now: datetime) -> bytes:
    """Return a page as lines; what has ended is left out, as nobody takes it back."""
    return _ENCODE([_line(one) for one in page.suppressions if in_force(one, now)])


def _line(one: Suppression) -> NewSuppression:
    """Return a suppression as it is exported."""
    return NewSuppression(address=one.address, reason=one.reason, source=one.source, expires_at=one.expires_at)


def _view(one: Suppression, now: datetime) -> SuppressionView:
    """Return a suppression as it may be seen."""
    return SuppressionView(
        address=one.address,
        reason=one.reason,
        source=one.source,
        created_at=moment(one.created_at),
        expires_at=maybe(one.expires_at),
        in_force=in_force(one, now),
    )


def _cursor(mailbox: str) -> str:
    """Return where a part of the list ends; an address as such in a URL would be in the logs of proxies."""
    return urlsafe_b64encode(mailbox.encode()).decode()


def _place(cursor: str | None) -> str | None:
    """Return the mailbox behind which a list goes on.

    Raises:
        RefusedError: It is no cursor.
    """
    if cursor is None:
        return None
    try:
        return b64decode(cursor, altchars="-_", validate=True).decode()
    except ValueError as error:
        detail = "must be a next_cursor of this list, as it was given"
        raise invalid([Problem("query:after", ShapeCode.INVALID_CURSOR, detail)]) from error


ROUTES: Final = (suppress, list_suppressions, export_suppressions, lift_suppression)
