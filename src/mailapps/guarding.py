"""What guards the API of a process: the keys that its store keeps, and how often each may ask."""

from __future__ import annotations

from typing import cast

from msgspec import Struct

from mailadapters import system
from mailapps.settings import EmailLimitSettings, Settings, place
from mailcore.errors import SettingsError
from mailcore.keyring import KeepsKeys, Keyring
from mailcore.metering import LocalRates, Rates, SharesRates
from mailcore.ports import Ports
from mailcore.rates import RateLimit


class Guard(Struct, frozen=True, kw_only=True):
    """What guards an API.

    Attributes:
        keyring: The keys that the store keeps; None if there can be none.
        rates: Counts what each key asks.
        rate_limit: How often a key may ask that says nothing else; None for as often as it likes.
        sender_limit: How many e-mails a domain sends; None for any number.
        recipient_limit: How many e-mails a mailbox is sent; None for any number.
    """

    keyring: Keyring | None
    rates: Rates
    rate_limit: RateLimit | None
    sender_limit: RateLimit | None
    recipient_limit: RateLimit | None


def must_ask(settings: Settings) -> None:
    """Return if the API asks for a key, or may do without: in the embedded form, on loopback.

    Raises:
        SettingsError: It must ask, and there is none.
    """
    embedded = settings.store.startswith("sqlite:") and place(settings.bind).loopback
    if settings.admin_key is None and not embedded:
        raise SettingsError(
            "admin_key: only the embedded form, on loopback with SQLite, does without: "
            "set MAILCORE_ADMIN_KEY or MAILCORE_ADMIN_KEY_FILE for mailcore api"
        )


def guard_of(settings: Settings, ports: Ports) -> Guard:
    """Return what guards the API of a process."""
    limit = settings.rate_limit
    shared = ports.queue.rates if isinstance(ports.queue, SharesRates) else LocalRates(ports.clock.monotonic)
    return Guard(
        keyring=_keyring(settings, ports),
        rates=shared,
        rate_limit=None if limit.requests is None else RateLimit(requests=limit.requests, per=limit.per),
        sender_limit=_limit(settings.sender_limit),
        recipient_limit=_limit(settings.recipient_limit),
    )


def _limit(settings: EmailLimitSettings) -> RateLimit | None:
    """Return a limit of e-mails; None if there is none."""
    return None if settings.emails is None else RateLimit(requests=settings.emails, per=settings.per)


def _keyring(settings: Settings, ports: Ports) -> Keyring | None:
    """Return the keys; None off loopback without a pepper, since whoever writes to the store could make keys."""
    if settings.key_pepper is None and not place(settings.bind).loopback:
        return None
    pepper = None if settings.key_pepper is None else settings.key_pepper.reveal().encode()
    return Keyring(
        store=cast("KeepsKeys", ports.store), clock=ports.clock, dice=system, pepper=pepper, watch=ports.watch
    )
