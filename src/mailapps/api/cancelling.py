"""The route that withdraws many e-mails: those that the filters find and that are not settled yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from mailapps.api.body import ApiRequest
from mailapps.api.filters import LONGEST, Filters, filter_problems, filterless, query_for
from mailapps.api.reach import NotDone, attempted, mailer_of, parts, patience, tenant_of
from mailapps.api.rights import ADMIN
from mailcore.errors import Problem
from mailcore.lifecycle import SETTLED, Email, Status

OPEN: Final = tuple(status for status in Status if status not in SETTLED)


class Cancel(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which e-mails to withdraw; at least one filter must be given.

    Attributes:
        status: Only those in this status.
        dry_run: Only count them.
        limit: How many at most; ask again for the rest.
    """

    status: Status | None = None
    dry_run: bool = False
    limit: Annotated[int, Meta(ge=1, le=LONGEST)] = LONGEST

    def problems(self, now: datetime) -> Iterator[Problem]:  # noqa: ARG002 - as every body has it
        """Yield what is wrong with the filters, or that there is none."""
        yield from filterless(self, "created_before finds everything up to a time")
        yield from filter_problems(self, "/")


class Cancelled(Struct, frozen=True, kw_only=True):
    """What came of a cancellation.

    Attributes:
        matched: E-mails that the filters found when it began, beyond `limit` too.
        cancelled: How many were withdrawn; 0 in a dry run.
        requested: How many are being sent, and are withdrawn should this attempt fail.
        possibly_sent: How many of those that it came to may have been sent before.
        errors: Those that were not, each with its reason.
    """

    matched: int
    cancelled: int
    requested: int
    possibly_sent: int
    errors: tuple[NotDone, ...]


@post("/emails/cancel", status_code=200, opt=ADMIN)
async def cancel_many(request: ApiRequest, data: JSONBody[Cancel]) -> Cancelled:
    """Withdraw the e-mails that the filters find; those that are settled by then are left alone."""
    matched, left, done, came_to, errors = 0, data.limit, list[Email](), list[Email](), list[NotDone]()
    for status in OPEN if data.status is None else (data.status,) if data.status in OPEN else ():
        query = query_for(data, place="/", status=status, tenant=tenant_of(request))
        with patience(request):
            matched += await mailer_of(request).count(query)
        async for part in parts(request, query, left):
            came_to += part
            left -= len(part)
            if not data.dry_run:
                results = await attempted(request, part, mailer_of(request).cancel)
                done += [one for one in results if isinstance(one, Email)]
                errors += [one for one in results if isinstance(one, NotDone)]
    return _told(matched, done, came_to, errors)


def _told(matched: int, done: Sequence[Email], came_to: Sequence[Email], errors: Sequence[NotDone]) -> Cancelled:
    """Return what came of it."""
    cancelled = sum(email.status is Status.CANCELLED for email in done)
    return Cancelled(
        matched=matched,
        cancelled=cancelled,
        requested=len(done) - cancelled,
        possibly_sent=sum(email.possibly_sent for email in came_to),
        errors=tuple(errors),
    )


ROUTES: Final = (cancel_many,)
