"""Logs: one line per attempt, settlement or failure, with ids and numbers, never with addresses or content (I40).

What is logged is chosen field by field here; nothing that a caller or a provider wrote is passed on. Lines go to
standard error, so that what a command prints as its result stays apart. A line that cannot be written there (the disk
is full, the reader of a pipe has gone) is dropped: no log is a reason to stop mail, nor to deny what is done already.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, TextIO

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from mailapps.settings import LogSettings
from mailcore.attempt import Attempt
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email
from mailcore.ports import Watch

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_USUAL: Final = frozenset({Happening.SUBMITTED, Happening.ATTEMPTED, Happening.CHANGED, Happening.SWEPT})
"""What happens to every e-mail that goes well; told at `info` and below."""

_STEP: Final = logging.INFO - logging.DEBUG
_MILLISECONDS: Final = 1000
_QUIET: Final = ("uvicorn.access", "httpx", "httpcore", "aiohttp.access")


def set_up(settings: LogSettings, stream: TextIO = sys.stderr, *, color: bool = False) -> None:
    """Send our own lines, and those of the libraries, to a stream.

    Args:
        settings: From which level on, and in which form.
        stream: Where to.
        color: Whether the text form may use colours.
    """
    text = settings.format == "text" or (settings.format == "auto" and stream.isatty())
    level = LEVELS[settings.level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_text(color=color) if text else _json()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Lines(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [Libraries(level)]
    root.setLevel(max(level, logging.INFO))
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


@dataclass
class Lines:
    """Writes lines to a stream, and drops those that it does not take.

    Attributes:
        dropped: How many it did not take.
    """

    stream: TextIO
    dropped: int = 0
    _writer: structlog.WriteLogger = field(init=False)

    def __post_init__(self) -> None:
        """Let the library write, which keeps lines of several threads apart."""
        self._writer = structlog.WriteLogger(self.stream)

    def __call__(self, *_: object) -> Lines:
        """Return what writes the lines of a logger: there is one for all."""
        return self

    def msg(self, line: str) -> None:
        """Write a line."""
        try:
            self._writer.msg(line)
        except (OSError, ValueError):  # a closed file's error is a ValueError
            self.dropped += 1

    debug = info = warning = error = critical = msg


def dropped() -> int:
    """Return how many lines this process has dropped."""
    lines = structlog.get_config()["logger_factory"]
    return lines.dropped if isinstance(lines, Lines) else 0


def _json() -> list[Processor]:
    """Return how a line becomes JSON."""
    return [structlog.processors.JSONRenderer(serializer=_as_json)]


def _as_json(line: object, **_: object) -> str:
    """Return a line as JSON."""
    try:
        return msgspec.json.encode(line).decode()
    except UnicodeEncodeError:  # half a character, as in the name of a file that is not UTF-8
        return json.dumps(line)


def _text(*, color: bool) -> list[Processor]:
    """Return how a line becomes text for people."""
    return [structlog.dev.ConsoleRenderer(colors=color, pad_event_to=12)]


class Libraries(logging.Handler):
    """Passes the lines of libraries on: their words, and of an exception only its class and where it arose."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        error = _where(*record.exc_info) if record.exc_info else {}
        level = min(record.levelno // _STEP * _STEP, logging.CRITICAL)  # a library may have levels in between
        structlog.get_logger().log(level, _words(record), logger=record.name, **error)


def _words(record: logging.LogRecord) -> str:
    """Return the words of a record."""
    try:
        words = record.getMessage()
    except Exception:  # noqa: BLE001 - whatever its values raise: whoever logs amiss goes on
        return "a line whose values do not fit its words"
    if record.name.startswith("mailcore."):
        return words
    return words.partition("\n")[0]  # below it asyncio quotes the exception


def _where(
    kind: type[BaseException] | None, _error: BaseException | None, trace: TracebackType | None
) -> dict[str, object]:
    """Return an exception's class and frames; its text may quote a message."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-8:]]
    return {"error": kind.__name__ if kind else "", "frames": frames}


def watching(log: FilteringBoundLogger) -> Watch:
    """Return a watcher that logs what happens."""
    log = log.bind()  # once: the lazy logger would be set up anew for every event
    unsaid = frozenset[Happening]() if log.is_enabled_for(logging.INFO) else _USUAL

    def watch(event: Event) -> None:
        if event.what not in unsaid:
            _tell(log, event)

    return watch


def _tell(log: FilteringBoundLogger, event: Event) -> None:
    """Log an event."""
    match event.what:
        case Happening.ATTEMPTED:
            log.info("attempted", email_id=event.email_id, **_attempt(event.attempt), **_state(event.email))
        case Happening.SUBMITTED:
            log.info("submitted", email_id=event.email_id, **_state(event.email))
        case Happening.CHANGED if event.email and event.email.settled:
            log.info("settled", email_id=event.email_id, **_state(event.email))
        case Happening.CHANGED | Happening.SETTLED_LATE | Happening.STALE_SAVE:
            log.debug(str(event.what), email_id=event.email_id, **_state(event.email))
        case Happening.SWEPT:
            log.debug("swept", email_id=event.email_id, note=event.note)
        case Happening.UNEXPECTED:
            log.error("unexpected", email_id=event.email_id, note=event.note)
        case _:
            log.warning(str(event.what), email_id=event.email_id, note=event.note)


def _state(email: Email | None) -> dict[str, object]:
    """Return where an e-mail is."""
    if email is None:
        return {}
    return {"status": str(email.status), "reason": str(email.reason), "lane": str(email.lane)}


def _attempt(attempt: Attempt | None) -> dict[str, object]:
    """Return how an attempt ended; not the outcome's text, which is the provider's own and may quote an address."""
    if attempt is None:
        return {}
    return {
        "n": attempt.n,
        "provider": attempt.provider,
        "outcome": str(attempt.outcome),
        "code": attempt.code,
        "latency_ms": round(attempt.latency.total_seconds() * _MILLISECONDS) if attempt.latency else None,
    }
