"""What every page of the emulator shares: its frame, its policies, and how values are written on it.

A letter's own HTML is never part of a page: it is a document of its own behind `PREVIEW_POLICY`, shown in a
frame without any permission. Source of the policies: OWASP, and the sandbox directive of CSP 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from string import Template

_KIB = 1024
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
SEALED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer says that does not say it otherwise."""

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="/static/emulator.css">
<link rel="icon" href="/static/emulator.svg" type="image/svg+xml">
<script src="/static/emulator.js" defer></script>
</head>
<body>
<header>
<a class="brand" href="/">
<img src="/static/emulator.svg" alt="" width="24" height="24"> mailcore emulator
</a>
<nav><a href="/">Inbox</a> <a href="/requests">Requests</a></nav>
<form action="/" method="get" role="search">
<input type="search" name="q" value="$search" placeholder="Search subject, address, id" aria-label="Search">
</form>
</header>
$main
</body>
</html>
""")


def page(title: str, main: str, *, search: str = "") -> str:
    """Return a whole page.

    Args:
        title: As text.
        main: As HTML, every stranger's word in it escaped.
        search: What was searched for, as text.
    """
    return _PAGE.substitute(title=escape(f"{title} – mailcore emulator"), main=main, search=escape(search))


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the inside of a definition list."""
    return (
        "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs) or "<dt>None</dt><dd></dd>"
    )


def size_told(count: int) -> str:
    """Return a number of bytes as people say it."""
    return f"{count} bytes" if count < _KIB else f"{count / _KIB:,.1f} KiB"


def moment_told(moment: datetime) -> str:
    """Return a moment to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
