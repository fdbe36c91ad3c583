"""The commands that look: list, show, dead-letters, providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from mailapps.cli.client import Service
from mailapps.cli.options import Filters, Reach, query
from mailapps.cli.printing import Column, cleaned, console, print_json, table_of, time_of
from mailapps.cli.switching import said
from mailapps.cli.timeline import timeline

Row = Callable[[Mapping[str, Any]], Sequence[str]]
"""Returns the cells of something that is listed."""

Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=100))]

_EMAILS: Final = (
    Column("id", whole=True),
    Column("status"),
    Column("reason", least=70),
    Column("created", least=100),
    Column("to", least=55),
    Column("provider", least=120),
    Column("tries", least=110),
)
_PROVIDERS: Final = (
    Column("name", whole=True),
    Column("takes mail"),
    Column("score"),
    Column("weight", least=60),
    Column("per second", least=90),
    Column("under way", least=80),
    Column("again at", least=100),
    Column("by hand", least=110),
)


def list_emails(
    *,
    status: str | None = None,
    limit: Limit = 20,
    after: str | None = None,
    filters: Filters | None = None,
    reach: Reach | None = None,
) -> None:
    """List e-mails, newest first.

    Args:
        status: Where they are: scheduled, queued, sending, retrying, held, sent, failed or cancelled.
        limit: How many at most, 1 to 100.
        after: Where the list before this one ended.
    """
    wanted = {**query(filters or Filters()), **({"status": status} if status else {})}
    show_list("/api/emails", {**wanted, **part(limit, after)}, _EMAILS, _email_row, reach or Reach())


def dead_letters(
    *, limit: Limit = 20, after: str | None = None, filters: Filters | None = None, reach: Reach | None = None
) -> None:
    """List the e-mails that failed for good, newest first.

    Args:
        limit: How many at most, 1 to 100.
        after: Where the list before this one ended.
    """
    wanted = {**query(filters or Filters()), **part(limit, after)}
    show_list("/api/dead-letters", wanted, _EMAILS, _email_row, reach or Reach())


def show(email_id: Annotated[str, Parameter(name="ID")], /, *, reach: Reach | None = None) -> None:
    """Show what happened to an e-mail: every attempt in order, why it went where it went, and who was passed over.

    Args:
        email_id: The e-mail's id, em_….
    """
    reach = reach or Reach()
    with Service(reach) as service:
        email = service.get(f"/api/emails/{quote(email_id, safe='')}")
    if reach.json:
        print_json(email)
    else:
        console().print(timeline(cleaned(email)))


def providers(*, reach: Reach | None = None) -> None:
    """Show how every configured provider stands, as the process behind the API sees it."""
    reach = reach or Reach()
    with Service(reach) as service:
        found = service.get("/api/providers")
    if reach.json:
        print_json(found)
        return
    out = console()
    out.print(table_of(_PROVIDERS, [_provider_row(cleaned(one)) for one in found["data"]], out.width))


def part(limit: int, after: str | None) -> Mapping[str, object]:
    """Return which part of a list is asked for."""
    return {"limit": limit, **({"after": after} if after else {})}


def show_list(path: str, wanted: Mapping[str, object], columns: Sequence[Column], row: Row, reach: Reach) -> None:
    """Print a part of a list."""
    with Service(reach) as service:
        found = service.get(path, wanted)
    if reach.json:
        print_json(found)
        return
    out = console()
    if not found["data"]:
        out.print("none")
        return
    out.print(table_of(columns, [row(cleaned(one)) for one in found["data"]], out.width))
    if found["has_more"]:
        out.print(Text(f"more: --after {found['next_cursor']}", style="dim"), soft_wrap=True)


def _email_row(email: Mapping[str, Any]) -> Sequence[str]:
    """Return an e-mail's cells."""
    more = len(email["recipients"]) - 1
    to = f"{email['recipients'][0]}{f' +{more}' if more > 0 else ''}" if email["recipients"] else ""
    return (
        email["id"],
        email["status"],
        email["reason"],
        time_of(email["created_at"]),
        to,
        email["provider"] or "",
        str(email["attempt_count"]),
    )


def _provider_row(one: Mapping[str, Any]) -> Sequence[str]:
    """Return a provider's cells."""
    takes = one["obstacle"] or ("a few, to try it out" if one["probing"] else "yes")
    return (
        one["name"],
        takes,
        f"{one['score']:.2f}",
        f"{one['weight']:g}",
        f"{one['max_per_second']:g}" if one["max_per_second"] else "",
        f"{one['in_flight']} of {one['slots']}",
        time_of(one["available_at"]),
        said(one["override"]) if one["override"] else "",
    )
