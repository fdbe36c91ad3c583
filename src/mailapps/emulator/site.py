"""The routes of the inbox pages, each behind headers that leave a hostile letter nothing to do."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from mailapps.emulator.control import EMULATOR, find_letter
from mailapps.emulator.layout import PAGE_POLICY, PREVIEW_POLICY
from mailapps.emulator.ledger import Wanted
from mailapps.emulator.pages import View, inbox_page, letter_page, missing_page, preview
from mailapps.emulator.request_page import requests_page

PAGE_LENGTH = 100
_STATIC = Path(__file__).parent / "static"
_TYPES = {"emulator.css": "text/css", "emulator.js": "text/javascript", "emulator.svg": "image/svg+xml"}


def routes() -> list[web.RouteDef]:
    """Return the routes of the pages and of the files they load."""
    return [
        web.get("/", show_inbox),
        web.get("/inbox/{id}", show_letter),
        web.get("/inbox/{id}/html", show_preview),
        web.get("/requests", show_requests),
        web.get("/static/{name}", show_file),
        web.get("/health/live", show_life),
    ]


async def show_inbox(request: web.Request) -> web.Response:
    """Return the list of letters."""
    emulator = request.app[EMULATOR]
    search = request.query.get("q", "")
    letters = emulator.inbox.newest(limit=PAGE_LENGTH, search=search)
    view = View(
        total=len(emulator.inbox),
        search=search,
        base=f"http://{request.host}",
        requests=emulator.ledger.seq,
        scripted={provider: len(progress.script.rules) for provider, progress in emulator.scripts.items()},
    )
    return _html(inbox_page(letters, view), PAGE_POLICY)


async def show_letter(request: web.Request) -> web.Response:
    """Return one letter."""
    try:
        received = find_letter(request)
    except web.HTTPNotFound as error:
        return _html(missing_page(error.text or ""), PAGE_POLICY, status=404)
    return _html(letter_page(received), PAGE_POLICY)


async def show_preview(request: web.Request) -> web.Response:
    """Return a letter's own HTML, harmless even when it is opened by itself."""
    return _html(preview(find_letter(request).letter), PREVIEW_POLICY)


async def show_requests(request: web.Request) -> web.Response:
    """Return the latest requests to the providers."""
    rows = list(request.app[EMULATOR].ledger.rows(Wanted()))
    return _html(requests_page(rows[: -PAGE_LENGTH - 1 : -1], total=len(rows)), PAGE_POLICY)


async def show_file(request: web.Request) -> web.Response:
    """Return one of the files that the pages load."""
    name = request.match_info["name"]
    if name not in _TYPES:
        raise web.HTTPNotFound
    headers = {"Content-Type": _TYPES[name], "Cache-Control": "no-cache"}
    return web.Response(body=(_STATIC / name).read_bytes(), headers=headers)


async def show_life(_: web.Request) -> web.Response:
    """Say that the server is up."""
    return web.json_response({"status": "ok"})


def _html(page: str, policy: str, *, status: int = 200) -> web.Response:
    """Return a page behind its headers."""
    headers = {
        "Content-Security-Policy": policy,
        "X-DNS-Prefetch-Control": "off",  # Chromium looks the hosts of links up before a click
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return web.Response(status=status, text=page, content_type="text/html", headers=headers)
