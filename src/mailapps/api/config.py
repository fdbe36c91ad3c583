"""What the API is told by whoever runs it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from msgspec import Struct

from mailcore.keyring import Keyring
from mailcore.metering import Rates
from mailcore.rates import RateLimit
from mailcore.secret import Secret

Probe = Callable[[], Awaitable[object]]
"""Returns if a dependency answers, and raises if it does not."""

Crash = Callable[[str, Exception], None]
"""Is told of a request, by its id, that ended in an exception nobody expected."""

_LOG = logging.getLogger("mailcore.api")


def log_crash(request_id: str, error: Exception) -> None:
    """Log where a request crashed: the frames and the class, not the text, which may quote the message."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("request %s ended in %s\n%s", request_id, type(error).__name__, frames)


class ApiConfig(Struct, frozen=True, kw_only=True):
    """How to run the API.

    Attributes:
        admin_key: What a caller must know; None for no check, which only a service on loopback may have.
        new_request_id: Makes a name for a request whose caller gave none.
        rates: Counts what each key asks.
        keyring: The keys that the store keeps; None if there can be none.
        rate_limit: How often a key may ask that says nothing else; None for as often as it likes.
        sender_limit: How many e-mails a domain sends, over all keys; None for any number.
        recipient_limit: How many e-mails a mailbox is sent, over all keys; None for any number. Needs a keyring.
        version: Of the build, as health and OpenAPI show it.
        draining: Whether the process is on its way out: readiness is false from then on.
        probes: What the API depends on, by name; one that fails is reported as degraded.
        probe_within: How long a probe may take.
        store_within: How long an answer of the store is waited for, the wake-up's budget on top of it.
        body_within: How long a caller may take to send a body.
        scrape: Reads the metrics of this process; None if the library for that is not installed.
        on_crash: Is told of exceptions that nobody expected.
    """

    admin_key: Secret | None
    new_request_id: Callable[[], str]
    rates: Rates
    keyring: Keyring | None = None
    rate_limit: RateLimit | None = None
    sender_limit: RateLimit | None = None
    recipient_limit: RateLimit | None = None
    version: str = "0"
    draining: Callable[[], bool] = lambda: False
    probes: Mapping[str, Probe] = {}
    probe_within: timedelta = timedelta(milliseconds=500)
    store_within: timedelta = timedelta(seconds=2)
    body_within: timedelta = timedelta(seconds=60)
    scrape: Callable[[], Awaitable[bytes]] | None = None
    on_crash: Crash = log_crash
