"""The routes of dead letters: list them, and queue them again, one or many."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from mailapps.api.body import ApiRequest
from mailapps.api.filters import DeadLetterListing, Redrive, from_query_string, query_for
from mailapps.api.reach import NotDone, attempted, known, listed, mailer_of, parts, patience, tenant_of
from mailapps.api.rights import ADMIN, READ
from mailapps.api.views import EmailList, EmailView, view
from mailcore.lifecycle import Status


class Redriven(Struct, frozen=True, kw_only=True):
    """What came of a redrive.

    Attributes:
        matched: Dead letters that the filters found when it began, beyond `limit` too.
        redriven: How many were queued again; 0 in a dry run.
        possibly_sent: How many of those that it came to may have been sent before.
        errors: Those that were not, each with its reason.
    """

    matched: int
    redriven: int
    possibly_sent: int
    errors: tuple[NotDone, ...]


@get("/dead-letters", opt=READ)
async def list_dead_letters(request: ApiRequest) -> EmailList:
    """List the e-mails that failed for good, newest first."""
    asked = from_query_string(request.scope["query_string"], DeadLetterListing)
    query = query_for(asked, place="query:", status=Status.FAILED, tenant=tenant_of(request))
    return await listed(request, query, asked)


@post("/dead-letters/{email_id:str}/redrive", status_code=200, opt=ADMIN)
async def redrive_one(request: ApiRequest, email_id: FromPath[str]) -> EmailView:
    """Queue a dead letter again, as a new series of attempts."""
    with patience(request):
        return view(await mailer_of(request).redrive(known(email_id), tenant=tenant_of(request)))


@post("/dead-letters/redrive", status_code=200, opt=ADMIN)
async def redrive_many(request: ApiRequest, data: JSONBody[Redrive]) -> Redriven:
    """Queue the dead letters again that the filters find; those that a former request queued are none any more."""
    mailer = mailer_of(request)
    query = query_for(data, place="/", status=Status.FAILED, tenant=tenant_of(request))
    with patience(request):
        matched = await mailer.count(query)
    redriven, possibly_sent, errors = 0, 0, list[NotDone]()
    async for part in parts(request, query, data.limit):
        possibly_sent += sum(email.possibly_sent for email in part)
        if not data.dry_run:
            results = await attempted(request, part, mailer.redrive)
            failures = [one for one in results if isinstance(one, NotDone)]
            redriven += len(part) - len(failures)
            errors += failures
    return Redriven(matched=matched, redriven=redriven, possibly_sent=possibly_sent, errors=tuple(errors))


ROUTES: Final = (list_dead_letters, redrive_one, redrive_many)
