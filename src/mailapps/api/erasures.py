"""The route that erases what is known of one person: content, addresses and metadata of all e-mails to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from mailapps.api.body import ApiRequest
from mailapps.api.filters import LONGEST, Filters, query_for
from mailapps.api.problems import ShapeCode, invalid
from mailapps.api.reach import PART, NotDone, attempted, mailer_of, patience, tenant_of
from mailapps.api.rights import ADMIN
from mailcore.addresses import parse
from mailcore.errors import Problem
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.retention import Retention, retaining
from mailcore.stored import Page


class Erase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose e-mails to erase.

    Attributes:
        recipient: The person's address; whatever went to others, too, is erased with it.
        cancel_unfinished: Withdraw those that are still on their way, so that they are erased as well.
        dry_run: Only find them.
        limit: How many e-mails are looked at; ask again with `after` for the rest.
        after: The `next_cursor` of the erasure before.
    """

    recipient: Annotated[str, Meta(max_length=998)]
    cancel_unfinished: bool = False
    dry_run: bool = False
    limit: Annotated[int, Meta(ge=1, le=LONGEST)] = LONGEST
    after: Annotated[str, Meta(max_length=256)] | None = None

    def problems(self, now: datetime) -> Iterator[Problem]:  # noqa: ARG002 - as every body has it
        """Yield what is no address."""
        address = parse(self.recipient, "/recipient")
        if isinstance(address, Problem):
            yield address


class Erasure(Struct, frozen=True, kw_only=True):
    """What came of an erasure.

    Attributes:
        matched: E-mails to this person that were looked at.
        erased: How many have neither content nor addresses nor metadata any more; 0 in a dry run.
        unfinished: Those that are still on their way, and were left alone: erase again once they are settled.
        errors: Those that could not be erased, each with its reason.
        next_cursor: Send it back as `after` to go on; null if all were looked at.
    """

    matched: int
    erased: int
    unfinished: tuple[EmailId, ...]
    errors: tuple[NotDone, ...]
    next_cursor: str | None


@post("/erasures", status_code=200, opt=ADMIN)
async def erase_person(request: ApiRequest, data: JSONBody[Erase]) -> Erasure:
    """Erase content, addresses and metadata of the settled e-mails to a person; what became of them stays."""
    matched, erased, unfinished, errors = 0, 0, list[EmailId](), list[NotDone]()
    after, left = data.after, data.limit
    while left > 0:
        page = await _page(request, data, after, min(PART, left))
        settled, others = await _sorted(request, page, data)
        failures = await _erased(request, settled, data)
        matched, left, after = matched + len(page.emails), left - len(page.emails), page.after
        erased += 0 if data.dry_run else len(settled) - len(failures)
        errors += failures
        unfinished += others
        if after is None:
            break
    return Erasure(
        matched=matched, erased=erased, unfinished=tuple(unfinished), errors=tuple(errors), next_cursor=after
    )


async def _page(request: ApiRequest, data: Erase, after: str | None, limit: int) -> Page:
    """Return some of the e-mails to a person.

    Raises:
        RefusedError: `after` is no cursor.
    """
    query = query_for(Filters(to=data.recipient), place="/", tenant=tenant_of(request))
    try:
        with patience(request):
            return await mailer_of(request).list(query, after=after, limit=limit)
    except ValueError as error:
        detail = "must be a next_cursor of this erasure, as it was given"
        raise invalid([Problem("/after", ShapeCode.INVALID_CURSOR, detail)]) from error


async def _sorted(request: ApiRequest, page: Page, data: Erase) -> tuple[list[Email], list[EmailId]]:
    """Return what can be erased, and the ids of what is still on its way, withdrawn if that is asked for."""
    settled = [email for email in page.emails if email.settled]
    rest = [email for email in page.emails if not email.settled]
    if data.dry_run or not data.cancel_unfinished:
        return settled, [email.id for email in rest]
    results = await attempted(request, rest, mailer_of(request).cancel)
    withdrawn = [one for one in results if isinstance(one, Email) and one.status is Status.CANCELLED]
    gone = {email.id for email in withdrawn}
    return settled + withdrawn, [email.id for email in rest if email.id not in gone]


async def _erased(request: ApiRequest, settled: Sequence[Email], data: Erase) -> list[NotDone]:
    """Erase e-mails, unless they are only to be found; return those that could not be."""
    if data.dry_run:
        return []
    mailer = mailer_of(request)
    retention = Retention(store=retaining(mailer.ports.store), records=mailer.records)
    results = await attempted(request, settled, retention.erase)
    return [one for one in results if isinstance(one, NotDone)]


ROUTES: Final = (erase_person,)
