"""Logs: one line per happening, with ids and numbers, and never a word that somebody wrote."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mailapps.logs import dropped, set_up, watching
from mailapps.settings import LogSettings
from mailcore.attempt import Attempt, Why
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane
from mailcore.outcome import Verdict
from mailcore.provider import Needs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = "canary@example.com"

pytestmark = pytest.mark.usefixtures("own_logging")


def lines_of(settings: LogSettings, *events: Event) -> list[dict[str, object]]:
    """Return what a watcher logs of events, as JSON."""
    stream = io.StringIO()
    set_up(settings, stream)
    watch = watching(structlog.get_logger())
    for event in events:
        watch(event)
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def email(status: Status = Status.SENT, **changes: object) -> Email:
    """Return an e-mail full of what must not be logged."""
    needs = Needs(bytes=1, recipients=1, features=frozenset(), sender_domain=CANARY)
    whole = {
        "id": "em_1", "tenant": CANARY, "version": 1, "saved_by": CANARY, "fingerprint": CANARY, "status": status,
        "reason": Reason.ACCEPTED, "lane": Lane.BULK, "created_at": NOW, "updated_at": NOW, "series_at": NOW,
        "give_up_at": NOW, "needs": needs, "recipients": (CANARY,), "tags": (CANARY,),
    }  # fmt: skip
    return Email(**{**whole, **changes})


def attempt() -> Attempt:
    """Return an attempt whose provider quoted an address."""
    return Attempt(
        n=2,
        provider="sendgrid",
        key="em_1.0",
        round=0,
        started_at=NOW,
        why=Why(strategy="priority", because=CANARY),
        outcome=Verdict.REJECTED,
        code="400",
        detail=f"{CANARY} is no address",
        latency=timedelta(milliseconds=12),
    )


def test_an_attempt_is_one_line_with_ids_and_numbers() -> None:
    """Who reads a log sees e-mail, provider, outcome and latency."""
    event = Event(what=Happening.ATTEMPTED, email_id="em_1", email=email(), attempt=attempt())

    (line,) = lines_of(LogSettings(), event)

    assert datetime.fromisoformat(str(line.pop("timestamp"))).tzinfo
    assert line == {
        "event": "attempted",
        "level": "info",
        "email_id": "em_1",
        "n": 2,
        "provider": "sendgrid",
        "outcome": "rejected",
        "code": "400",
        "latency_ms": 12,
        "status": "sent",
        "reason": "accepted",
        "lane": "bulk",
    }


@pytest.mark.parametrize("what", list(Happening))
def test_no_happening_logs_what_somebody_wrote(what: Happening) -> None:
    """Every kind of event names the e-mail by its id alone (I40)."""
    event = Event(what=what, email_id="em_1", email=email(), attempt=attempt())

    lines = lines_of(LogSettings(level="debug"), event)

    assert [line["email_id"] for line in lines] == ["em_1"]
    assert CANARY not in json.dumps(lines)


@pytest.mark.parametrize(
    ("what", "status", "level"),
    [
        (Happening.SUBMITTED, Status.QUEUED, "info"),
        (Happening.CHANGED, Status.SENT, "info"),
        (Happening.CHANGED, Status.RETRYING, "debug"),
        (Happening.STALE_SAVE, Status.SENDING, "debug"),
        (Happening.STORE_FAILED, Status.SENDING, "warning"),
        (Happening.PROVIDER_RAISED, Status.SENDING, "warning"),
        (Happening.UNEXPECTED, Status.SENDING, "error"),
    ],
)
def test_a_failure_is_a_warning_and_a_step_in_between_is_not_told(what: Happening, status: Status, level: str) -> None:
    """At the usual level there is one line for a submission, an attempt, a settlement and a failure."""
    (line,) = lines_of(LogSettings(level="debug"), Event(what=what, email_id="em_1", email=email(status)))

    assert line["level"] == level


def test_the_level_is_a_setting() -> None:
    """With `error` a warning is not written."""
    failed = Event(what=Happening.STORE_FAILED, email_id="em_1", note="gone")

    assert lines_of(LogSettings(level="error"), failed) == []
    assert [line["note"] for line in lines_of(LogSettings(level="warning"), failed)] == ["gone"]


def test_an_exception_in_a_library_is_told_by_class_and_place_without_its_text() -> None:
    """An exception's text may quote a message; where it arose does not."""
    stream = io.StringIO()
    set_up(LogSettings(), stream)
    try:
        {}[CANARY]
    except KeyError:
        logging.getLogger("uvicorn.error").exception("it broke")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["error"]) == ("it broke", "KeyError")
    assert "test_logs.py" in line["frames"][0]
    assert CANARY not in stream.getvalue()


async def test_a_task_that_nobody_waited_for_does_not_quote_its_exception() -> None:
    """The loop's own words hold the exception's repr; only their first line is passed on."""
    stream = io.StringIO()
    set_up(LogSettings(), stream)

    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(CANARY), "note": CANARY}
    )

    assert "never retrieved" in stream.getvalue()
    assert CANARY not in stream.getvalue()


async def test_a_complaint_of_the_loop_without_an_exception_is_told() -> None:
    """A task that is forgotten while it waits is told of; there is no exception to name."""
    stream = io.StringIO()
    set_up(LogSettings(), stream)

    asyncio.get_running_loop().call_exception_handler({"message": "Task was destroyed but it is pending!"})

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "Task was destroyed but it is pending!"


@pytest.mark.parametrize(
    ("level", "words", "values", "told"),
    [
        (25, "a level of its own", (), ("info", "a level of its own")),
        (60, "beyond all levels", (), ("critical", "beyond all levels")),
        (logging.ERROR, "%d of %d", ("one",), ("error", "a line whose values do not fit its words")),
        (logging.ERROR, "/spool/%s", ("\udcff",), ("error", "/spool/\udcff")),
    ],
)
def test_whoever_logs_amiss_is_not_punished(level: int, words: str, values: tuple[str, ...], told: object) -> None:
    """A line of a library raises nothing into it: strange levels, words and bytes are written as well as can be."""
    stream = io.StringIO()
    set_up(LogSettings(format="json"), stream)

    logging.getLogger("a.library").log(level, words, *values)

    line = json.loads(stream.getvalue())
    assert (line["level"], line["event"]) == told


@given(st.text(st.characters(exclude_categories=())))
def test_any_note_stays_on_its_line(note: str) -> None:
    """Nobody can forge a line of the log."""
    (line,) = lines_of(LogSettings(), Event(what=Happening.STORE_FAILED, email_id="em_1", note=note))

    assert line["event"] == "store_failed"


def test_on_a_terminal_lines_are_for_people() -> None:
    """`text` is not JSON, and without colours it is plain."""
    stream = io.StringIO()
    set_up(LogSettings(format="text"), stream, color=False)

    watching(structlog.get_logger())(Event(what=Happening.SUBMITTED, email_id="em_1", email=email(Status.QUEUED)))

    assert "submitted" in stream.getvalue()
    assert "email_id=em_1" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def full_disk() -> TextIO:
    """Return a file whose disk has no room left."""
    return Path("/dev/full").open("w", encoding="utf-8")


def lost_pipe() -> TextIO:
    """Return a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", encoding="utf-8")


def closed_file() -> TextIO:
    """Return a file that is closed."""
    with Path(os.devnull).open("w", encoding="utf-8") as file:
        return file


@pytest.fixture(params=[full_disk, lost_pipe, closed_file])
def dead_end(request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """Give a stream that takes nothing."""
    made: Callable[[], TextIO] = request.param
    stream = made()
    yield stream
    with contextlib.suppress(OSError):  # what it could not write it tries once more
        stream.close()


@pytest.mark.parametrize("what", list(Happening))
def test_an_event_that_cannot_be_written_is_dropped(dead_end: TextIO, what: Happening) -> None:
    """A log is no reason to stop mail: whoever tells an event goes on, and may tell the next one."""
    set_up(LogSettings(level="debug", format="json"), dead_end)
    watch = watching(structlog.get_logger())

    for _ in range(2):
        watch(Event(what=what, email_id="em_1", email=email(), attempt=attempt()))

    assert dropped() == 2


def test_a_line_of_a_library_that_cannot_be_written_is_dropped(dead_end: TextIO) -> None:
    """Whoever logs in the midst of its own answer to a failure ends that answer."""
    set_up(LogSettings(format="json"), dead_end)

    for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logging.getLogger("mailadapters.reach").log(level, "away")

    assert dropped() == 4


def test_what_is_said_after_the_disk_had_no_room_is_written() -> None:
    """A stream that could not be written to once is tried again with the next line."""
    stream = Filling()
    set_up(LogSettings(), stream)
    watch = watching(structlog.get_logger())

    for note in ("before", "lost", "after"):
        stream.full = note == "lost"
        watch(Event(what=Happening.STORE_FAILED, email_id="em_1", note=note))

    assert [json.loads(line)["note"] for line in stream.getvalue().splitlines()] == ["before", "after"]


class Filling(io.StringIO):
    """A file whose disk can be full for a while."""

    full = False

    def write(self, text: str) -> int:
        """Take a text while there is room."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)
