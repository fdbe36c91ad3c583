"""The timeline of one e-mail: every change and every attempt in order, and the reason of every choice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mailapps.cli.printing import style_of

_WORDS: Final = {
    "accepted": "accepted",
    "round_failed": "every provider failed or was passed over; waits for the next round",
    "no_provider": "no provider takes it now",
    "reserved": "its turn is reserved",
    "unknown_outcome": "nobody knows whether it was taken",
    "worker_died": "the worker died while sending it",
    "stopped": "the worker was stopped",
    "late_answer": "the answer came late",
    "resolved": "settled by a person",
    "redriven": "queued again by a person",
    "withdrawn": "withdrawn by a person",
    "rejected": "refused for good",
    "gave_up": "given up",
    "expired": "out of time",
    "suppressed": "must not be written to: lift the suppression, then redrive it",
    "crash_loop": "workers died while sending it",
    "unresolved": "nobody settled it in time",
}

Json = Mapping[str, Any]
Line = tuple[str, Text]
"""A time of day, or nothing, and what happened then."""


def timeline(email: Json) -> Group:
    """Return an e-mail's story for a terminal: times in a column of their own, whatever its width."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for clock, line in _story(email):
        grid.add_row(clock, line)
    return Group(*_head(email), Text(""), grid)


def _head(email: Json) -> Iterator[Text]:
    """Yield what it is and where it stands."""
    yield Text.assemble(
        (email["id"], "bold"), "  ", (email["status"], style_of(email["status"])), f"  {_because(email)}"
    )
    yield Text(f"  to {', '.join(email['recipients'])}; lane {email['lane']}; created {email['created_at']}")
    times = {"due": "due_at", "held until": "hold_until", "scheduled for": "scheduled_at", "expires": "expires_at"}
    said = [f"{word} {email[key]}" for word, key in times.items() if email.get(key)]
    if email["waits_for"]:
        said.append(f"waits for {', '.join(email['waits_for'])}")
    if said:
        yield Text(f"  {'; '.join(said)}")
    if doubt := _doubt(email):
        yield Text(f"  {doubt}: an attempt's outcome is unknown", style="yellow")


def _doubt(email: Json) -> str:
    """Return what may have happened; what is known to be sent can only have been sent twice."""
    if email["possible_duplicate"]:
        return "may have been sent twice"
    return "may have been sent already" if email["possibly_sent"] and email["status"] != "sent" else ""


def _because(email: Json) -> str:
    """Return a reason in words."""
    if email["status"] == "sent" and email["reason"] == "accepted":
        return "a provider took it"
    return _WORDS.get(email["reason"], str(email["reason"]))


def _story(email: Json) -> Iterator[Line]:
    """Yield what happened, in order."""
    missing = email["attempt_count"] - len(email["attempts"])
    if missing > 0:
        yield "", Text(f"({missing} earlier attempts are only counted)")
    for _, _, lines in sorted(_happenings(email), key=lambda one: one[:2]):
        yield from lines


def _happenings(email: Json) -> Iterator[tuple[str, int, Sequence[Line]]]:
    """Yield every happening with its moment; attempts come after what else happened at their moment."""
    for number, entry in enumerate(email["history"]):
        if entry["status"] != "sending":
            yield entry["at"], number, [_change(entry)]
    for attempt in email["attempts"]:
        yield attempt["started_at"], len(email["history"]) + attempt["n"], list(_attempt(attempt))


def _change(entry: Json) -> Line:
    """Return one change of status."""
    note = f": {entry['note']}" if entry["note"] else ""
    words = Text.assemble((entry["status"], style_of(entry["status"])), f"  {_because(entry)}{note}")
    return _clock(entry["at"]), words


def _attempt(attempt: Json) -> Iterator[Line]:
    """Yield one attempt: what came of it, why this provider, and why none of the others."""
    outcome, why = attempt["outcome"] or "under way", attempt["why"]
    name = f"attempt {attempt['n']} at {attempt['provider']}: "
    yield _clock(attempt["started_at"]), Text.assemble(name, (outcome, style_of(outcome)), _details(attempt))
    yield "", Text(f"why {attempt['provider']}: {why['because']} ({why['strategy']})", style="dim")
    for other in why["passed_over"]:
        yield "", Text(f"not {other['provider']}: {other['reason']}", style="dim")


def _details(attempt: Json) -> str:
    """Return what else is known of an attempt."""
    known = [
        f" in {attempt['latency_ms']} ms" if attempt["latency_ms"] is not None else "",
        f", code {attempt['code']}" if attempt["code"] else "",
        f", {attempt['detail']}" if attempt["detail"] else "",
        f", its id there {attempt['provider_id']}" if attempt["provider_id"] else "",
        ", a probe" if attempt["probe"] else "",
        ", a repeat that the provider recognises" if attempt["deduplicated"] else "",
    ]
    return "".join(known)


def _clock(at: str) -> str:
    """Return a moment's time of day, UTC."""
    return at[11:23]
