"""The timeline of an e-mail: in order, with every reason, and safe on a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mailapps.cli.exits import plain
from mailapps.cli.printing import Column, cleaned, table_of
from mailapps.cli.timeline import _WORDS, timeline
from mailcore.lifecycle import Reason

Json = dict[str, Any]


def at(second: int) -> str:
    """Return a moment as the API writes it."""
    return f"2026-01-01T10:00:{second:02}.000Z"


def attempt(n: int, second: int, provider: str, outcome: str | None, **more: object) -> Json:
    """Return an attempt as the API shows it."""
    why = {"strategy": "priority", "because": f"first of {n}", "passed_over": []}
    whole: Json = {
        "n": n, "provider": provider, "outcome": outcome, "code": None, "detail": "", "provider_id": None, "why": why,
        "started_at": at(second), "finished_at": None, "latency_ms": None, "probe": False, "deduplicated": False,
    }  # fmt: skip
    return {**whole, **more}


def entry(second: int, status: str, reason: str, note: str = "") -> Json:
    """Return a line of a history as the API shows it."""
    return {"at": at(second), "status": status, "reason": reason, "note": note}


def email(*attempts: Json, history: list[Json], **more: object) -> Json:
    """Return an e-mail as the API shows it."""
    whole: Json = {
        "id": "em_1", "status": "sent", "reason": "accepted", "lane": "urgent", "recipients": ["ann@example.com"],
        "created_at": at(0), "due_at": None, "hold_until": None, "scheduled_at": None, "expires_at": None,
        "waits_for": [], "possible_duplicate": False, "possibly_sent": False, "attempt_count": len(attempts),
        "attempts": list(attempts), "history": history,
    }  # fmt: skip
    return {**whole, **more}


def shown(story: Json, width: int = 120) -> list[str]:
    """Return what a terminal shows, line by line."""
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(timeline(story))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_on_a_narrow_terminal_the_times_keep_their_column() -> None:
    """Long lines go on below themselves, and nothing is cut off."""
    story = email(
        attempt(1, 1, "one", "deferred", detail="come back later " * 5), history=[entry(0, "queued", "accepted")]
    )

    lines = shown(story, width=40)
    told = lines[next(number for number, line in enumerate(lines) if line.startswith("10:00:01")) :]

    assert max(map(len, told)) <= 40
    assert [line[:14].strip() for line in told] == ["10:00:01.000", *[""] * (len(told) - 1)]
    assert " ".join(line[14:] for line in told).count("later") == 5


def test_a_failover_is_told_in_order_with_the_reason_of_every_choice() -> None:
    """Who reads it knows why each provider was tried, and why not the others."""
    over = {
        "strategy": "priority",
        "because": "next",
        "passed_over": [{"provider": "one", "reason": "tried in this round"}],
    }
    story = email(
        attempt(1, 1, "one", "deferred", code="503", detail="come back later", latency_ms=40),
        attempt(2, 2, "two", "accepted", why=over, provider_id="x7", latency_ms=9),
        history=[
            entry(0, "queued", "accepted"),
            entry(1, "sending", "attempt", "one"),
            entry(2, "sending", "failover", "two"),
            entry(3, "sent", "accepted", "two"),
        ],
    )

    assert shown(story) == [
        "em_1  sent  a provider took it",
        "  to ann@example.com; lane urgent; created 2026-01-01T10:00:00.000Z",
        "",
        "10:00:00.000  queued  accepted",
        "10:00:01.000  attempt 1 at one: deferred in 40 ms, code 503, come back later",
        "              why one: first of 1 (priority)",
        "10:00:02.000  attempt 2 at two: accepted in 9 ms, its id there x7",
        "              why two: next (priority)",
        "              not one: tried in this round",
        "10:00:03.000  sent  a provider took it: two",
    ]


@pytest.mark.parametrize(
    ("status", "twice", "said"),
    [
        ("held", False, "may have been sent already"),
        ("failed", False, "may have been sent already"),
        ("sent", False, ""),
        ("sent", True, "may have been sent twice"),
    ],
)
def test_what_is_settled_as_sent_is_in_doubt_no_more(status: str, twice: bool, said: str) -> None:
    """Once somebody found out that it was sent, nobody is told that it may have been."""
    story = email(history=[], status=status, reason="resolved", possibly_sent=True, possible_duplicate=twice)

    told = [line for line in shown(story) if "may have been" in line]

    assert [line.strip().partition(":")[0] for line in told] == ([said] if said else [])


def test_what_an_email_waits_for_is_said() -> None:
    """Due, held, scheduled, expiring, and the providers that it waits for."""
    story = email(
        attempt(1, 1, "one", None),
        history=[entry(0, "queued", "accepted")],
        status="retrying", reason="no_provider", due_at=at(9), expires_at=at(50), waits_for=["one", "two"],
        possibly_sent=True, possible_duplicate=True, attempt_count=70,
    )  # fmt: skip

    told = "\n".join(shown(story))

    assert f"due {at(9)}; expires {at(50)}; waits for one, two" in told
    assert "may have been sent twice: an attempt's outcome is unknown" in told
    assert "(69 earlier attempts are only counted)" in told
    assert "attempt 1 at one: under way" in told


def test_what_is_suppressed_says_what_to_do() -> None:
    """Who finds it among the dead letters learns what lets it go on."""
    left = "left out, as suppressed: /to/0; nobody else is written to"
    story = email(
        attempt(1, 1, "one", "rejected", code="suppressed", detail=left),
        history=[entry(0, "queued", "accepted"), entry(1, "failed", "suppressed", left)],
        status="failed",
        reason="suppressed",
    )

    told = shown(story, width=200)

    assert told[0] == "em_1  failed  must not be written to: lift the suppression, then redrive it"
    assert any(line.endswith(f"then redrive it: {left}") for line in told)


def test_every_reason_has_words() -> None:
    """No reason reaches a person as a bare code, unless it says itself."""
    speaking = {Reason.ATTEMPT, Reason.FAILOVER}

    assert {str(reason) for reason in Reason if reason not in speaking} <= set(_WORDS)


@given(st.text())
def test_no_text_moves_the_cursor(text: str) -> None:
    """What a provider or a caller wrote cannot draw on a person's terminal."""
    shown = plain(text)

    assert all(one.isprintable() or one == "\n" for one in shown)
    assert len(shown) == len(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_an_answer_is_cleaned_all_the_way_down(value: object) -> None:
    """Nothing hides in a list in an object."""
    shown = cleaned({"it": value})

    assert cleaned(shown) == shown
    assert str(shown).isprintable()


@pytest.mark.parametrize("width", [20, 44, 80, 200])
def test_a_table_shows_the_columns_that_fit(width: int) -> None:
    """A column comes with the width that it needs."""
    columns = (Column("id", whole=True), Column("status", least=40), Column("rest", least=100))

    table = table_of(columns, [("em_1", "sent", "x")], width)

    assert [column.header for column in table.columns] == [one.title for one in columns if one.least <= width]
