"""The commands of stop switches: pause, resume, provider-mode, switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import Parameter

from mailapps.cli.client import Json, Service
from mailapps.cli.options import Reach
from mailapps.cli.printing import Column, cleaned, console, print_json, table_of, time_of

Lane = Annotated[Literal["urgent", "transactional", "bulk", "all"], Parameter(name="LANE")]

_SWITCHES: Final = (
    Column("what", whole=True),
    Column("mode"),
    Column("in force"),
    Column("by", least=60),
    Column("since", least=100),
    Column("until", least=80),
    Column("reason", least=70),
)


def pause(
    lane: Lane, /, *, reason: str = "", until: str | None = None, by: str = "cli", reach: Reach | None = None
) -> None:
    """Begin nothing new in a lane; its e-mails stay due, and what is under way ends. All workers obey in 5 seconds.

    Args:
        lane: urgent, transactional, bulk, or all.
        reason: Why, for others who see it.
        until: When it ends by itself, such as 2026-12-01T08:00:00Z; by default not before it is resumed.
        by: Who says it.
    """
    _turn(f"/api/lanes/{lane}/pause", {"paused": True, "reason": reason, "until": until, "by": by}, reach)


def resume(lane: Lane, /, *, reason: str = "", by: str = "cli", reach: Reach | None = None) -> None:
    """Let a paused lane go on.

    Args:
        lane: urgent, transactional, bulk, or all. A lane goes on once neither it nor all of them are paused.
        reason: Why, for others who see it.
        by: Who says it.
    """
    _turn(f"/api/lanes/{lane}/pause", {"paused": False, "reason": reason, "by": by}, reach)


def provider_mode(
    name: Annotated[str, Parameter(name="NAME")],
    mode: Annotated[Literal["auto", "stopped", "forced"], Parameter(name="MODE")],
    /,
    *,
    reason: str = "",
    until: str | None = None,
    by: str = "cli",
    reach: Reach | None = None,
) -> None:
    """Stop a provider, force it past its circuit breaker, or leave it to itself. All workers obey in 5 seconds.

    Args:
        name: The provider's.
        mode: stopped: it gets no new attempt; forced: its breaker is not asked; auto: neither.
        reason: Why, for others who see it.
        until: When it ends by itself, such as 2026-12-01T08:00:00Z.
        by: Who says it.
    """
    path = f"/api/providers/{quote(name, safe='')}/mode"
    _turn(path, {"mode": mode, "reason": reason, "until": until, "by": by}, reach)


def switches(*, reach: Reach | None = None) -> None:
    """Show what was switched by hand, by whom, why and until when; the latest word on each."""
    reach = reach or Reach()
    with Service(reach) as service:
        found = service.get("/api/switches")
    if reach.json:
        print_json(found)
        return
    out = console()
    rows = [_row(cleaned(one)) for one in found["data"]]
    out.print(table_of(_SWITCHES, rows, out.width) if rows else "none")


def _turn(path: str, word: Json, reach: Reach | None) -> None:
    """Say a word, and print what is kept of it."""
    reach = reach or Reach()
    with Service(reach) as service:
        kept = service.put(path, word)
    if reach.json:
        print_json(kept)
    else:
        console().print(f"{kept['kind']} {said(cleaned(kept))}", soft_wrap=True)


def said(switch: Mapping[str, Any]) -> str:
    """Return a switch in one line: what, until when, by whom and why."""
    until = f" until {time_of(switch['until'])}" if switch["until"] else ""
    why = f": {switch['reason']}" if switch["reason"] else ""
    return f"{switch['name']}: {switch['mode']}{until} by {switch['by']}{why}"


def _row(switch: Mapping[str, Any]) -> Sequence[str]:
    """Return a switch's cells."""
    return (
        f"{switch['kind']} {switch['name']}",
        switch["mode"],
        "yes" if switch["in_force"] else "no",
        switch["by"],
        time_of(switch["since"]),
        time_of(switch["until"]),
        switch["reason"],
    )
