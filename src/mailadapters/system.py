"""The only clock, the only dice and the only source of ids."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import uuid_utils

from mailcore.identity import base32hex
from mailcore.keys import KEY_PREFIX, NAME_LENGTH, SECRET_BYTES, base62
from mailcore.lifecycle import EmailId

SAMPLED_EVERY: Final = 30.0
"""Seconds for which one sample of the wall clock is believed."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SystemClock:
    """The host's time, sampled every 30 s and advanced by the monotonic clock in between.

    So a wall clock that jumps and jumps back, or is set while an attempt runs, changes nothing for a while,
    and then all comparisons at once. All processes on a host share it.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._told = _EPOCH
        self._told_until = float("-inf")
        self._sample()

    def now(self) -> datetime:
        at = self._monotonic()
        if at >= self._told_until:  # asked six times for each e-mail: one moment is made for a millisecond of them
            self._tell(at)
        return self._told

    def _tell(self, at: float) -> None:
        """Make the moment to tell from now on, and note until when."""
        since = at - self._sampled_at
        if since >= SAMPLED_EVERY:
            self._sample()
            since = 0.0
        millis = int((self._sampled + since) * 1000)
        self._told = _EPOCH + timedelta(milliseconds=millis)
        self._told_until = self._sampled_at + min((millis + 1) / 1000 - self._sampled, SAMPLED_EVERY)

    def monotonic(self) -> float:
        return self._monotonic()

    def _sample(self) -> None:
        """Look at the wall clock."""
        self._sampled = self._wall()
        self._sampled_at = self._monotonic()


def new_clock() -> SystemClock:
    """Return a clock that starts from the host's time now."""
    return SystemClock()


draw: Final[Callable[[], float]] = random.Random().random  # noqa: S311 - jitter and weights, no secrets
"""Draws uniformly from [0, 1), from dice that the system seeded: a draw per decision must not cost a system call."""


def new_email_id() -> EmailId:
    """Return an id that nobody has: `em_` and a UUIDv7, so that ids sort as they were made."""
    return f"em_{base32hex(uuid_utils.uuid7().bytes)}"


def new_request_id() -> str:
    """Return a name for one request: `req_` and a UUIDv7."""
    return f"req_{uuid_utils.uuid7().hex}"


def new_key_id() -> str:
    """Return a name for an API key: `key_` and 8 digits and letters, drawn by the system's own dice."""
    return f"{KEY_PREFIX}{base62(secrets.token_bytes(NAME_LENGTH), NAME_LENGTH)}"


def new_key_secret() -> bytes:
    """Return as many random octets as make an API key, drawn by the system's own dice."""
    return secrets.token_bytes(SECRET_BYTES)


def new_pepper() -> str:
    """Return what a store digests the secrets of API keys with."""
    return base62(secrets.token_bytes(SECRET_BYTES), SECRET_BYTES)


def new_token() -> str:
    """Return a text that no other call returns, here or elsewhere; it is no secret."""
    return uuid_utils.uuid7().hex
