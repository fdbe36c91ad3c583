"""The commands of the suppression list: suppressions list, add, remove, export."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter
from msgspec import to_builtins

from mailapps.cli.asking import Limit, part, show_list
from mailapps.cli.client import Service, said_of
from mailapps.cli.exits import Exit, UsageError, exit_of, plain
from mailapps.cli.filling import COLUMNS, Filled, fill
from mailapps.cli.lines import lines_of
from mailapps.cli.options import Reach
from mailapps.cli.printing import Column, console, print_json, progress, table_of, time_of

suppressions: Final = App(name="suppressions", help="Say who must not be written to.")

Address = Annotated[str, Parameter(name="ADDRESS")]
Reason = Literal["bounced", "complained", "unsubscribed", "manual"]

_PATH: Final = "/api/suppressions"
_SUPPRESSIONS: Final = (
    Column("address", whole=True),
    Column("reason"),
    Column("until", least=80),
    Column("since", least=100),
    Column("source", least=60),
    Column("in force", least=110),
)
_WRONG: Final = (Column("line"), Column("what is wrong"))


@suppressions.command(name="list")
def list_suppressions(
    *, address: str | None = None, limit: Limit = 20, after: str | None = None, reach: Reach | None = None
) -> None:
    """List who must not be written to, by address; for a while those whose suppression has ended, too.

    Args:
        address: Only this one.
        limit: How many at most, 1 to 100.
        after: Where the list before this one ended.
    """
    wanted = {**({"address": address} if address else {}), **part(limit, after)}
    show_list(_PATH, wanted, _SUPPRESSIONS, _row, reach or Reach())


@suppressions.command
def add(
    *addresses: Address,
    reason: Reason | None = None,
    source: str | None = None,
    until: str | None = None,
    from_file: Path | None = None,
    reach: Reach | None = None,
) -> int:
    """Suppress addresses: within 5 seconds nobody writes to them any more. Again is no error: the last word holds.

    A file is .jsonl (as `export` writes it) or .csv (a head line of the columns address, reason, source, expires_at).
    Wrong lines are told and left out; the same file may be given again.

    Args:
        addresses: Who must not be written to.
        reason: Why: bounced, complained, unsubscribed or manual (the default).
        source: Who says so, for people; by default the key that this command uses.
        until: When it ends by itself, such as 2026-12-01T08:00:00Z; by default it does not.
        from_file: A file of addresses; the other options hold where a line says nothing else.
    """
    reach = reach or Reach()
    given = {"reason": reason, "source": source, "expires_at": until}
    said = {name: value for name, value in given.items() if value}
    if bool(addresses) == (from_file is not None):
        raise UsageError("suppressions add: name addresses, or give them by --from-file FILE")
    return _add_file(from_file, said, reach) if from_file else _add(addresses, said, reach)


@suppressions.command
def remove(address: Address, /, *, reach: Reach | None = None) -> None:
    """Lift a suppression: its address may be written to again. What it made fail is sent by `mailcore redrive`.

    Args:
        address: Whose suppression to lift.
    """
    reach = reach or Reach()
    with Service(reach) as service:
        lifted = service.delete(f"{_PATH}/{quote(address, safe='')}")
    if reach.json:
        print_json(lifted)
    else:
        console().print(f"{plain(lifted['address'])}: may be written to again", soft_wrap=True)


@suppressions.command
def export(*, to: Path | None = None, reach: Reach | None = None) -> None:
    """Print who must not be written to, as lines of JSON that `add --from-file` takes.

    Args:
        to: A file for it; there is none, and an old one stays, unless all of it has come.
    """
    with Service(reach or Reach()) as service:
        if to is None:
            service.copy(f"{_PATH}/export", sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            _export(service, to)


def _export(service: Service, to: Path) -> None:
    """Write all suppressions into a file that only its owner reads."""
    try:
        with NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}.", delete=False) as file:
            part_of_it = Path(file.name)
            try:
                service.copy(f"{_PATH}/export", file)
                file.close()
                part_of_it.replace(to)
            finally:
                part_of_it.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{to}: {error.strerror}") from error


def _add(addresses: Sequence[str], said: Mapping[str, Any], reach: Reach) -> int:
    """Suppress the addresses that were named: all of them or none."""
    with Service(reach) as service:
        done = service.post(_PATH, {"suppressions": [{"address": one, **said} for one in addresses]})
    if reach.json:
        print_json(done)
    else:
        console().print(f"{done['kept']} suppressed")
    return Exit.OK


def _add_file(path: Path, said: Mapping[str, Any], reach: Reach) -> int:
    """Suppress the addresses of a file, and say what came of them, however it ends."""
    total, told = sum(1 for _ in lines_of(path, COLUMNS)), Filled()
    if not total:
        raise UsageError(f"{path}: there is no address in it")
    ended = False
    try:
        with progress("suppressing", total) as step:
            asyncio.run(fill(lines_of(path, COLUMNS), said, reach, told, step))
        ended = True
    finally:
        if ended or told.kept or told.wrong:
            _told(told, reach)
    return exit_of(told.kept, len(told.wrong))


def _told(told: Filled, reach: Reach) -> None:
    """Say how many were suppressed, and each line that was not with what is wrong with it."""
    wrong = sorted(told.wrong, key=lambda one: one.line)
    if reach.json:
        print_json({"kept": told.kept, "failed": len(wrong), "errors": to_builtins(wrong)})
        return
    out = console()
    out.print(f"{told.kept} suppressed, {len(wrong)} lines failed")
    if wrong:
        rows = [(str(one.line), plain("\n".join(map(said_of, one.problems)))) for one in wrong]
        out.print(table_of(_WRONG, rows, out.width))


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    """Return a suppression's cells."""
    return (
        one["address"],
        one["reason"],
        time_of(one["expires_at"]),
        time_of(one["created_at"]),
        one["source"],
        "yes" if one["in_force"] else "no",
    )
