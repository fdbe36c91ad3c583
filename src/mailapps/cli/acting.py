"""The commands that change something: cancel, resolve, redrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import quote

from cyclopts import Parameter

from mailapps.cli.client import Json, RefusedError, Service
from mailapps.cli.exits import UsageError, exit_of, plain
from mailapps.cli.options import Filters, Reach, query
from mailapps.cli.printing import console, print_json

Ids = Annotated[tuple[str, ...], Parameter(name="ID")]


def cancel(
    *ids: Annotated[str, Parameter(name="ID")],
    status: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    filters: Filters | None = None,
    reach: Reach | None = None,
) -> int:
    """Withdraw e-mails that are not sent yet: those named, or those that the filters find.

    One that is being sent just now is only marked: it is withdrawn should this attempt fail.

    Args:
        ids: The e-mails' ids.
        status: Only those that are scheduled, queued, sending, retrying or held.
        dry_run: Only count what the filters find.
    """
    reach, wanted = reach or Reach(), {**query(filters or Filters()), **({"status": status} if status else {})}
    _either(ids, wanted, dry_run=dry_run)
    if not ids and not wanted:
        raise UsageError("cancel: name e-mails by their ids, em_…, or give a filter such as --tag welcome")
    if ids:
        return _each(ids, lambda service, one: service.post(f"/api/emails/{one}/cancel"), reach)
    with Service(reach) as service:
        done = service.post("/api/emails/cancel", {**_as_body(wanted), "dry_run": dry_run})
    return _cancelled(done, reach, dry_run=dry_run)


def resolve(
    email_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    as_: Annotated[Literal["sent", "retry", "failed", "cancelled"], Parameter(name="--as")],
    note: str = "",
    reach: Reach | None = None,
) -> int:
    """Settle an e-mail that is held since nobody knows whether a provider took it.

    Args:
        email_id: The e-mail's id.
        as_: What became of it, or what shall.
        note: For its history: who found out what.
    """
    reach = reach or Reach()
    settle = {"as": as_, "note": note}
    return _each((email_id,), lambda service, one: service.post(f"/api/emails/{one}/resolve", settle), reach)


def redrive(
    *ids: Annotated[str, Parameter(name="ID")],
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    filters: Filters | None = None,
    reach: Reach | None = None,
) -> int:
    """Queue dead letters again: those named, or those that the filters find.

    Args:
        ids: The e-mails' ids.
        every: All dead letters that there are; with filters, all that they find.
        dry_run: Only count what the filters find.
    """
    reach, wanted = reach or Reach(), query(filters or Filters())
    _either(ids, wanted, dry_run=dry_run)
    if ids:
        return _each(ids, lambda service, one: service.post(f"/api/dead-letters/{one}/redrive"), reach)
    if not wanted and not every and not dry_run:
        raise UsageError("redrive: name e-mails, give a filter such as --reason gave_up, or say --all")
    with Service(reach) as service:
        done = service.post("/api/dead-letters/redrive", {**_as_body(wanted), "all": not wanted, "dry_run": dry_run})
    return _redriven(done, reach, dry_run=dry_run)


def _either(ids: tuple[str, ...], wanted: dict[str, object], *, dry_run: bool) -> None:
    """Refuse what would do more than was meant: ids are done as they are named, whatever the filters say."""
    if ids and (wanted or dry_run):
        raise UsageError("name e-mails by their ids, or give filters (and --dry-run), but not both")


def _as_body(wanted: dict[str, object]) -> dict[str, object]:
    """Return filters of a query string as a JSON body has them."""
    body = {**wanted}
    if "possible_duplicate" in body:
        body["possible_duplicate"] = True
    if "metadata" in body:
        body["metadata"] = dict(str(pair).partition(":")[::2] for pair in wanted["metadata"])  # type: ignore[attr-defined] # options.py
    return body


def _redriven(done: Json, reach: Reach, *, dry_run: bool) -> int:
    """Print what came of a redrive by filters."""
    if reach.json:
        print_json(done)
    elif not done["matched"]:
        console().print("nothing to queue again: there is no such dead letter")
    else:
        was = f"queued again: {done['redriven']} of {done['matched']}"
        _counted(done, f"would be queued again: {done['matched']}" if dry_run else was)
    return exit_of(done["redriven"], len(done["errors"]))


def _cancelled(done: Json, reach: Reach, *, dry_run: bool) -> int:
    """Print what came of a cancellation by filters."""
    if reach.json:
        print_json(done)
    else:
        was = f"withdrawn: {done['cancelled']} of {done['matched']}; being sent, and marked: {done['requested']}"
        _counted(done, f"would be withdrawn: {done['matched']}" if dry_run else was)
    return exit_of(done["cancelled"] + done["requested"], len(done["errors"]))


def _counted(done: Json, told: str) -> None:
    """Print what came of many e-mails, and what did not."""
    console().print(f"{told}; of them possibly sent before: {done['possibly_sent']}")
    for one in done["errors"]:
        console().print(f"{one['id']}: {plain(one['detail'])}")


def _each(ids: tuple[str, ...], act: Callable[[Service, str], Json], reach: Reach) -> int:
    """Do something to each e-mail; say what came of each, and fail if one failed."""
    failed = 0
    with Service(reach) as service:
        for one in ids:
            try:
                _told(act(service, quote(one, safe="")), reach)
            except RefusedError as error:
                failed += 1
                console().print(plain(f"{one}: {error}"), style="red")
    return exit_of(len(ids) - failed, failed)


def _told(email: Json, reach: Reach) -> None:
    """Say what became of an e-mail."""
    if reach.json:
        print_json(email)
        return
    marked = " (asked for: it is being sent)" if email["cancel_requested"] and email["status"] == "sending" else ""
    console().print(f"{email['id']}: {email['status']}{marked}")
