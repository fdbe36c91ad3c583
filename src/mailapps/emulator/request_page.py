"""The ledger as a web page: what came, what was said to it, and why nothing arrived."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from mailapps.emulator.layout import moment_told, page
from mailapps.emulator.ledger import Row

_MAIN = Template("""<main class="requests">
<p class="bar"><span>$count</span></p>
$body
</main>
""")
_EMPTY = """<section class="empty">
<h1>No request yet</h1>
<p>Every request to an emulated provider stands here with its verdict: also those that were refused, and those
that met a scripted fault.</p>
</section>"""
_ROW = Template("""<li>
<span class="who">$recipients</span>
<span class="subject"><span class="badge $verdict">$verdict</span> $told</span>
<span class="meta"><span class="badge">$provider</span><time datetime="$iso">$time</time></span>
<span class="detail">$detail</span>
</li>
""")


def requests_page(rows: Sequence[Row], *, total: int) -> str:
    """Return the list of requests.

    Args:
        rows: Those to show, the newest first.
        total: How many the ledger holds.
    """
    body = f'<ol class="letters">{"".join(map(_row, rows))}</ol>' if rows else _EMPTY
    shown = "" if len(rows) == total else f"{len(rows)} of "
    count = f"{shown}{total} request{'' if total == 1 else 's'}" if total else ""
    return page("Requests", _MAIN.substitute(count=count, body=body))


def _row(row: Row) -> str:
    """Return a request's line in the list."""
    told = [str(row.status) if row.status else "no answer", *((f"(scripted: {row.fault})",) if row.fault else ())]
    return _ROW.substitute(
        recipients=escape(", ".join(row.recipients)) or "–",
        verdict=escape(row.verdict),
        told=escape(" ".join(told)),
        provider=escape(row.provider),
        iso=row.received_at.isoformat(),
        time=moment_told(row.received_at),
        detail=escape(" · ".join(part for part in (row.email_id, row.message_id, row.detail) if part)),
    )
