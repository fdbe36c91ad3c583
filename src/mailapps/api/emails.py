"""The routes of e-mails: accept, show, list, cancel, resolve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from mailapps.api.access import caller_of
from mailapps.api.answers import JsonAnswer
from mailapps.api.body import ApiRequest
from mailapps.api.caps import admit_for
from mailapps.api.filters import Listing, from_query_string, query_for
from mailapps.api.problems import ApiCode, RefusedError
from mailapps.api.reach import known, listed, mailer_of, patience, tenant_of
from mailapps.api.rights import ADMIN, CONTENT, READ, SEND, Caller
from mailapps.api.shortcut import SHORT
from mailapps.api.views import ContentView, EmailList, EmailSummary, EmailView, content, summary, view
from mailcore.addresses import parse
from mailcore.appeal import Resolution
from mailcore.errors import Problem
from mailcore.keys import allows_sender
from mailcore.lifecycle import Status
from mailcore.message import Address, Message
from mailcore.problems import line_problem

NOTE_LENGTH: Final = 500


class Settlement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"as_": "as"}):
    """How a person settles a held e-mail.

    Attributes:
        as_: What became of it, or what shall.
        note: For its history: who found out what. One line, at most 500 characters.
    """

    as_: Resolution
    note: str = ""

    def problems(self, now: datetime) -> Iterator[Problem]:  # noqa: ARG002 - as every body has it
        """Yield what is wrong with the note."""
        if wrong := line_problem(self.note, "/note", NOTE_LENGTH):
            yield wrong


@post(["/emails", "/email"], status_code=201, opt={**SEND, **SHORT})
async def submit_email(request: ApiRequest, data: JSONBody[Message]) -> Response[EmailSummary]:
    """Accept a message: once this answers 201, its e-mail is durable and will be sent."""
    mailer, caller = mailer_of(request), caller_of(request.scope)
    _must_be_allowed(caller, data.from_ or mailer.default_from)
    admit = admit_for(request.app.state["config"], caller, data)
    with patience(request):
        added = await mailer.submit(data, key=_key(request), tenant=caller.submits_as, admit=admit)
    headers = {"Location": f"/api/emails/{added.email.id}"}
    if not added.fresh:
        headers["Idempotency-Replayed"] = "true"
    return JsonAnswer(summary(added.email), 201, headers)


@get("/emails", opt=READ)
async def list_emails(request: ApiRequest) -> EmailList:
    """List e-mails, newest first."""
    asked = from_query_string(request.scope["query_string"], Listing)
    query = query_for(asked, place="query:", status=asked.status, tenant=tenant_of(request))
    return await listed(request, query, asked)


@get("/emails/{email_id:str}", opt=READ)
async def show_email(request: ApiRequest, email_id: FromPath[str]) -> EmailView:
    """Show an e-mail with its attempts and its history."""
    with patience(request):
        return view(await mailer_of(request).get(known(email_id), tenant=tenant_of(request)))


@get("/emails/{email_id:str}/content", opt=CONTENT)
async def show_content(request: ApiRequest, email_id: FromPath[str]) -> ContentView:
    """Show what was accepted: subject, bodies and attachments."""
    with patience(request):
        return content(await mailer_of(request).content(known(email_id), tenant=tenant_of(request)))


@post("/emails/{email_id:str}/cancel", status_code=200, opt=SEND)
async def cancel_email(request: ApiRequest, email_id: FromPath[str]) -> Response[EmailView]:
    """Withdraw an e-mail; 202 if it is being sent, and will be withdrawn should this attempt fail."""
    with patience(request):
        email = await mailer_of(request).cancel(known(email_id), tenant=tenant_of(request))
    return Response(view(email), status_code=200 if email.status is Status.CANCELLED else 202)


@post("/emails/{email_id:str}/resolve", status_code=200, opt=ADMIN)
async def resolve_email(request: ApiRequest, email_id: FromPath[str], data: JSONBody[Settlement]) -> EmailView:
    """Settle a held e-mail by what a person found out."""
    with patience(request):
        email = await mailer_of(request).resolve(known(email_id), data.as_, note=data.note, tenant=tenant_of(request))
    return view(email)


def _key(request: ApiRequest) -> str | None:
    """Return the caller's name for this submission; one that is sent empty is a wrong one, and not none."""
    given = request.scope["headers"]
    return next((value.decode("latin-1") for name, value in given if name == b"idempotency-key"), None)


def _must_be_allowed(caller: Caller, sender: str | Address | None) -> None:
    """Refuse an author that the caller may not write as; what is no address is not looked at here.

    Raises:
        RefusedError: It may not.
    """
    address = parse(sender, "/from") if caller.senders and sender is not None else None
    if isinstance(address, Address) and not allows_sender(caller.senders, address.email):
        raise RefusedError(ApiCode.SENDER_NOT_ALLOWED, "`from` is none of the senders of this key")


ROUTES: Final = (submit_email, list_emails, show_email, show_content, cancel_email, resolve_email)
