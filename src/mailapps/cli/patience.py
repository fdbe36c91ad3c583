"""How long a service that is busy or away is asked about one line of a file. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import httpx

from mailadapters.providers.retry_after import delay
from mailapps.cli.client import RefusedError

TRIES: Final = 4
PAUSE_S: Final = 0.5

LONGEST_S: Final = 60.0
"""A wish of Retry-After beyond this is cut."""

IN_ALL_S: Final = 300.0
"""So long is waited for one line, over all its tries."""

_CAPS: Final = frozenset({"daily_cap", "sender_cap", "recipient_cap"})
"""Refusals that may last until tomorrow."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Failed = httpx.TransportError | RefusedError


@dataclass
class Patience:
    """What is left of the tries for one line, and what they may have done.

    Attributes:
        tries: How many failed; being asked to slow down is none.
        waited_s: How long was waited between them.
        unsure: One of them may have been accepted: its answer was lost, or was a 5xx.
    """

    tries: int = 0
    waited_s: float = 0.0
    unsure: bool = False

    def wait_s(self, error: Failed, now: datetime) -> float | None:
        """Take note of a try that failed, and return the seconds to wait for the next; None if it was the last.

        Args:
            error: What came of it.
            now: When, for a Retry-After that is a date.
        """
        wait = max(PAUSE_S * (1 << self.tries), asked_s(error, now))
        self.unsure = self.unsure or _may_be_done(error)
        self.tries += _code_of(error) != "rate_limited"
        if not _again(error) or self.tries >= TRIES or self.waited_s + wait > IN_ALL_S:
            return None
        self.waited_s += wait
        return wait


def asked_s(error: Failed, now: datetime) -> float:
    """Return the seconds that a service which is busy asks for by Retry-After, a minute at most; 0 without it."""
    if not isinstance(error, RefusedError):
        return 0.0
    if error.status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return 0.0
    wish = delay(error.retry_after, now)
    return min(wish.total_seconds(), LONGEST_S) if wish else 0.0


def _again(error: Failed) -> bool:
    """Whether the same request may succeed soon."""
    return not isinstance(error, RefusedError) or (error.retryable and _code_of(error) not in _CAPS)


def _may_be_done(error: Failed) -> bool:
    """Whether the service may have accepted the message all the same."""
    if isinstance(error, RefusedError):
        return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return not isinstance(error, _NOT_SENT)


def _code_of(error: Failed) -> str:
    """Return the API's code of a refusal; empty for anything else."""
    return str(error.problems[0].get("code", "")) if isinstance(error, RefusedError) else ""
