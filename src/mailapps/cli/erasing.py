"""The command erase: what is known of one person goes."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from mailapps.cli.client import Json, Service
from mailapps.cli.exits import Exit, plain
from mailapps.cli.options import Reach
from mailapps.cli.printing import console, print_json


def erase(
    recipient: Annotated[str, Parameter(name="ADDRESS")],
    /,
    *,
    cancel_unfinished: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    reach: Reach | None = None,
) -> int:
    """Erase content, addresses and metadata of all e-mails to a person; what became of them stays.

    E-mails that are still on their way are listed and left alone, and the exit code is then 1.

    Args:
        recipient: The person's address.
        cancel_unfinished: Withdraw what is still on its way, so that it is erased as well.
        dry_run: Only find them.
    """
    reach = reach or Reach()
    wanted = {"recipient": recipient, "cancel_unfinished": cancel_unfinished, "dry_run": dry_run}
    told: dict[str, Any] = {"matched": 0, "erased": 0, "unfinished": [], "errors": []}
    after: str | None = None
    with Service(reach) as service:
        while True:
            part = service.post("/api/erasures", {**wanted, "after": after})
            told = {key: told[key] + part[key] for key in told}
            after = part["next_cursor"]
            if after is None:
                break
    _print(told, reach, dry_run=dry_run)
    return Exit.FAILED if told["errors"] or (told["unfinished"] and not dry_run) else Exit.OK


def _print(told: Json, reach: Reach, *, dry_run: bool) -> None:
    """Say what came of it."""
    if reach.json:
        print_json(told)
        return
    out = console()
    verb = f"found: {told['matched']}" if dry_run else f"erased: {told['erased']} of {told['matched']}"
    out.print(f"{verb}; still on their way: {len(told['unfinished'])}")
    for email_id in told["unfinished"]:
        out.print(f"{plain(email_id)}: not settled yet; erase again later, or with --cancel-unfinished")
    for one in told["errors"]:
        out.print(f"{one['id']}: {plain(one['detail'])}")
