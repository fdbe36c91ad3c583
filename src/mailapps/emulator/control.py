"""The emulator's own JSON API, below ``/emulator``: scripts of faults, accounts, the ledger, the inbox.

| route | does |
|---|---|
| `GET/PUT/DELETE /emulator/faults/{provider}` | the script of faults: `{"rules": [...], "seed": 0}` |
| `GET/PUT/DELETE /emulator/accounts/{provider}` | keys, verified senders and domains it knows |
| `GET/DELETE /emulator/requests` | the ledger, by `provider`, `email_id`, `verdict`, `after`, `limit` |
| `GET/DELETE /emulator/inbox` | messages, newest first, by `after`, `limit`, `q` |
| `GET /emulator/inbox/{id}` | one message; `…/attachments/{n}` downloads a file of it |

What is wrong with a request is told in a 400 that names the field. There is no CORS, so that no page of
another site can script faults or read the inbox.
"""

from __future__ import annotations

from itertools import islice
from urllib.parse import quote

import msgspec
from aiohttp import web

from mailapps.emulator.faults import Progress, read_script
from mailapps.emulator.inbox import Received
from mailapps.emulator.ledger import Wanted
from mailapps.emulator.wire import Account, Mailbox, kind_of, read_json
from mailapps.emulator.world import Emulator

EMULATOR = web.AppKey("emulator", Emulator)
_DIGITS = 18
_UNKEPT = {"Cache-Control": "no-store"}


def routes() -> list[web.RouteDef]:
    """Return the routes of the emulator's own API."""
    return [
        web.get("/emulator/faults/{provider}", show_faults),
        web.put("/emulator/faults/{provider}", put_faults),
        web.delete("/emulator/faults/{provider}", delete_faults),
        web.get("/emulator/accounts/{provider}", show_account),
        web.put("/emulator/accounts/{provider}", put_account),
        web.delete("/emulator/accounts/{provider}", delete_account),
        web.get("/emulator/requests", list_requests),
        web.delete("/emulator/requests", delete_requests),
        web.get("/emulator/inbox", list_letters),
        web.delete("/emulator/inbox", delete_letters),
        web.get("/emulator/inbox/{id}", show_letter),
        web.get("/emulator/inbox/{id}/attachments/{number}", download),
    ]


async def show_faults(request: web.Request) -> web.Response:
    """Return a provider's script and how far it has come."""
    progress = request.app[EMULATOR].scripts.get(_provider(request), Progress())
    return _json(
        {
            "rules": progress.script.rules,
            "seed": progress.script.seed,
            "seen": progress.seen,
            "used": progress.used,
        }
    )


async def put_faults(request: web.Request) -> web.Response:
    """Replace a provider's script; it begins anew."""
    provider = _provider(request)
    try:
        request.app[EMULATOR].scripts[provider] = read_script(await request.read())
    except ValueError as error:
        raise _wrong(str(error)) from error
    return await show_faults(request)


async def delete_faults(request: web.Request) -> web.Response:
    """Let a provider work again."""
    request.app[EMULATOR].scripts.pop(_provider(request), None)
    return web.Response(status=204)


async def show_account(request: web.Request) -> web.Response:
    """Return what a provider knows of us."""
    return _json(request.app[EMULATOR].accounts.get(_provider(request), Account()))


async def put_account(request: web.Request) -> web.Response:
    """Say what a provider knows of us; what is left out or null is not restricted."""
    provider = _provider(request)
    try:
        account = read_json(await request.read(), Account)
    except ValueError as error:
        raise _wrong(str(error)) from error
    request.app[EMULATOR].accounts[provider] = account
    return _json(account)


async def delete_account(request: web.Request) -> web.Response:
    """Let a provider know every key, sender and domain again."""
    request.app[EMULATOR].accounts.pop(_provider(request), None)
    return web.Response(status=204)


async def list_requests(request: web.Request) -> web.Response:
    """Return rows of the ledger, oldest first; `count` and `accepted` are of all that fit, not of a page."""
    ledger = request.app[EMULATOR].ledger
    query = request.query
    wanted = Wanted(
        provider=query.get("provider"),
        email_id=query.get("email_id"),
        verdict=query.get("verdict"),
        after=_number(request, "after", default=0),
    )
    rows = list(ledger.rows(wanted))
    page = rows[: _number(request, "limit", default=1000)]
    return _json(
        {
            "requests": page,
            "count": len(rows),
            "accepted": sum(row.verdict == "accepted" for row in rows),
            "dropped": ledger.dropped,
            "next_after": page[-1].seq if page else wanted.after,
        }
    )


async def delete_requests(request: web.Request) -> web.Response:
    """Forget the ledger's rows."""
    request.app[EMULATOR].ledger.clear()
    return web.Response(status=204)


async def list_letters(request: web.Request) -> web.Response:
    """Return letters in short, newest first."""
    inbox = request.app[EMULATOR].inbox
    after = _number(request, "after", default=0) or None
    limit = _number(request, "limit", default=50)
    found = inbox.newest(after=after, limit=limit, search=request.query.get("q", ""))
    return _json({"messages": [_summary(one) for one in found], "count": len(inbox), "dropped": inbox.dropped})


async def delete_letters(request: web.Request) -> web.Response:
    """Empty the inbox."""
    request.app[EMULATOR].inbox.clear()
    return web.Response(status=204)


async def show_letter(request: web.Request) -> web.Response:
    """Return a letter in full, its files as metadata."""
    return _json(_full(find_letter(request)))


async def download(request: web.Request) -> web.Response:
    """Return a file as bytes to save; never as something that a browser would show."""
    files = find_letter(request).letter.files
    file = next(islice(files, _in_path(request, "number"), None), None)
    if file is None:
        raise web.HTTPNotFound(text="This message has no such file.")
    headers = {
        **_UNKEPT,
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return web.Response(body=file.content, headers=headers)


def find_letter(request: web.Request) -> Received:
    """Return the letter that the path names.

    Raises:
        web.HTTPNotFound: There is none (any more).
    """
    received = request.app[EMULATOR].inbox.get(_in_path(request, "id"))
    if received is None:
        raise web.HTTPNotFound(text="There is no such message (any more).")
    return received


def _summary(received: Received) -> dict[str, object]:
    """Return a letter as the list shows it."""
    letter = received.letter
    return {
        "id": received.id,
        "received_at": received.received_at,
        "provider": received.provider,
        "message_id": received.message_id,
        "email_id": letter.email_id,
        "from": _mailbox(letter.from_),
        "to": [_mailbox(one) for one in letter.to],
        "subject": letter.subject,
        "attachments": len(letter.files),
        "size": received.size,
    }


def _full(received: Received) -> dict[str, object]:
    """Return a letter with all that is known of it."""
    letter = received.letter
    return _summary(received) | {
        "cc": [_mailbox(one) for one in letter.cc],
        "bcc": [_mailbox(one) for one in letter.bcc],
        "reply_to": [_mailbox(one) for one in letter.reply_to],
        "text": letter.text,
        "html": letter.html,
        "headers": dict(letter.headers),
        "tags": letter.tags,
        "metadata": dict(letter.metadata),
        "attachments": [
            {
                "filename": file.filename,
                "content_type": file.content_type,
                "content_id": file.content_id,
                "size": len(file.content),
                "url": f"/emulator/inbox/{received.id}/attachments/{number}",
            }
            for number, file in enumerate(letter.files)
        ],
    }


def _mailbox(mailbox: Mailbox) -> dict[str, str]:
    """Return an address as JSON."""
    return {"email": mailbox.email, "name": mailbox.name}


def _provider(request: web.Request) -> str:
    """Return the provider that the path names, which must be of a kind that is spoken here."""
    provider = request.match_info["provider"]
    if kind_of(provider) is None:
        raise _wrong(f"provider: {provider[:64]!r} is not sendgrid or mailgun (a label may follow: sendgrid-eu)")
    return provider


def _in_path(request: web.Request, name: str) -> int:
    """Return a number of the path; what is none names nothing that exists."""
    text = request.match_info[name]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 1 << 62


def _number(request: web.Request, name: str, *, default: int) -> int:
    """Return a number of the query, 0 or more."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise _wrong(f"{name}: a whole number of 0 or more is expected")
    return int(text)


def _wrong(text: str) -> web.HTTPBadRequest:
    """Return the answer to a request that cannot be meant so."""
    return web.HTTPBadRequest(text=msgspec.json.encode({"error": text}).decode(), content_type="application/json")


def _json(content: object) -> web.Response:
    """Return content as JSON."""
    return web.Response(body=msgspec.json.encode(content), content_type="application/json", headers=_UNKEPT)
