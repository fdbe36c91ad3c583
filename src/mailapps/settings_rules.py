"""What must hold between settings, each rule a function from Settings to what is wrong and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from mailapps.settings import Place, Settings, Table, is_loopback, place, shown
from mailcore.assembly import author
from mailcore.errors import SettingsError
from mailcore.secret import Secret

MARGIN: Final = timedelta(seconds=5)
"""How far the clocks of two workers may be apart, and what else a lease must outlast besides two calls."""

OFTEN: Final = 4
"""How many looks into the store fit into a lease at least, so that what a dead worker left is found soon."""

SHORTEST_KEY: Final = 24
KNOWN_KEYS: Final = (
    "changeme",
    "change-me",
    "default",
    "example",
    "secret",
    "password",
    "letmein",
    "mailcore",
    "admin",
    "key",
    "1234567890",
    "0123456789",
    "12345",
)
"""What keys are made of that anybody tries first: a key is refused that is nothing but these, joined or repeated."""

SHOWN: Final = 80
"""So much of a wrong value is repeated."""

_STORES_SAID: Final = (
    '"sqlite:///mailcore.db" (comes with mailcore-engine[embedded]) or '
    "\"mongodb://127.0.0.1:27017/mailcore\" (needs: pip install 'mailcore-engine[mongo]')"
)
_QUEUES_SAID: Final = (
    '"memory://" or "redis://127.0.0.1:6379/0" (needs: pip install \'mailcore-engine[redis]\') '
    "or \"sqs://eu-central-1\" (needs: pip install 'mailcore-engine[sqs]')"
)

_PORTS: Final = {"http": 80, "https": 443}
_KNOWN: Final = re.compile(rf"(?:(?:{'|'.join(KNOWN_KEYS)})[-_. ]*)+")
_PRETENDERS: Final = frozenset({"emulator", "console"})

Rule = Callable[[Settings], Iterator[str]]


def problems_of(settings: Settings) -> list[str]:
    """Return everything that is wrong between settings that are right one by one."""
    return [
        text
        for rule in (_places, _collector, _pair, _author, _times, _rates, _key, _some_provider, _off_loopback)
        for text in rule(settings)
    ]


def points_at_emulator(table: Table, emulator: Place) -> bool:
    """Whether a provider's `base_url` is where the emulator of this configuration listens."""
    at = _where(table)
    return at is not None and at.port == emulator.port and _same_host(at.host, emulator.host)


def _same_host(one: str, other: str) -> bool:
    """Whether two names mean the same host, as far as names tell."""
    return one == other or (is_loopback(one) and is_loopback(other))


def _is_real(table: Table) -> bool:
    """Whether mail that a provider takes leaves this machine."""
    at = _where(table)
    return str(table.get("kind")) not in _PRETENDERS and not (at and at.loopback)


def _where(table: Table) -> Place | None:
    """Return where a provider's `base_url` is; None if it has none that can be understood."""
    url = table.get("base_url")
    try:
        parts = urlsplit(url.reveal() if isinstance(url, Secret) else str(url or ""))
        return Place(parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)) if parts.hostname else None
    except ValueError:
        return None


def _places(settings: Settings) -> Iterator[str]:
    """The addresses can be listened at."""
    metrics = [("metrics.bind", settings.metrics.bind)] if settings.metrics.bind is not None else []
    for key, text in (("bind", settings.bind), ("emulator.bind", settings.emulator.bind), *metrics):
        try:
            place(text)
        except ValueError as error:
            yield f'{key}: {error}, got "{text[:40]}"'


def _collector(settings: Settings) -> Iterator[str]:
    """Traces go to a URL, and there is what sends them."""
    endpoint = settings.tracing.endpoint
    if endpoint is None:
        return
    if not re.fullmatch(r"https?://[^/@?#\s]+(/[^?#\s]*)?", endpoint):
        yield 'tracing.endpoint: expected the URL of a collector, without a key in it, such as "http://127.0.0.1:4318"'
    if find_spec("opentelemetry") is None:
        yield "tracing.endpoint: a library is missing: pip install 'mailcore-engine[otel]'"


def _pair(settings: Settings) -> Iterator[str]:
    """Store and queue go together."""
    store, queue = (url.partition(":")[0] for url in (settings.store, settings.queue))
    for key, url, such in (("store", settings.store, _STORES_SAID), ("queue", settings.queue, _QUEUES_SAID)):
        if url.partition(":")[0] not in _offered(f"mailcore.{key}s"):
            yield f"{key}: there is no {key} for {_given(url)}; it may be {such}"
    if store == "sqlite" and queue in _offered("mailcore.queues") - {"memory"}:
        yield (
            'queue: with SQLite it is "memory://", since its workers look into the file themselves; '
            f"{queue}:// goes with a store that several machines can reach, mongodb://…"
        )


def _given(url: str) -> str:
    """Return a URL as an error may repeat it: its options may be secret as well as who logs in."""
    return f'"{shown(url).partition("?")[0][:SHOWN]}"' if "://" in url else "a text without a scheme"


@cache
def _offered(group: str) -> frozenset[str]:
    """Return the names that this and other distributions offer in a group."""
    return frozenset(entry_points(group=group).names)


def _author(settings: Settings) -> Iterator[str]:
    """The author of messages that name none is an address."""
    try:
        author(settings.default_from)
    except SettingsError as error:
        yield str(error)


def _times(settings: Settings) -> Iterator[str]:
    """A lease outlasts two calls, and lapsed ones are found soon."""
    least = 2 * settings.call_deadline + MARGIN
    if settings.lease < least:
        yield (
            f"lease: must be at least twice call_deadline and {MARGIN.seconds} s more, "
            f"{least.total_seconds():g}s, or two workers may send the same e-mail; "
            f"it is {settings.lease.total_seconds():g}s"
        )
    for key, every in (("sweep", settings.sweep), ("poll", settings.poll)):
        if every * OFTEN > settings.lease:
            yield f"{key}: must be at most a quarter of lease, {settings.lease.total_seconds() / OFTEN:g}s"
    if settings.retry.base > settings.retry.cap:
        yield "retry.base: must be at most retry.cap"


def _rates(settings: Settings) -> Iterator[str]:
    """A rate limit is over a day at most."""
    limits = (
        ("rate_limit", settings.rate_limit.per),
        ("sender_limit", settings.sender_limit.per),
        ("recipient_limit", settings.recipient_limit.per),
    )
    for key, per in limits:
        if per > timedelta(days=1):
            yield f"{key}.per: must be at most a day, 24h"


def _key(settings: Settings) -> Iterator[str]:
    """Neither the admin key nor the pepper is anybody's first guess."""
    for name, secret in (("admin_key", settings.admin_key), ("key_pepper", settings.key_pepper)):
        text = None if secret is None else secret.reveal().lower()
        if text is not None and _KNOWN.fullmatch(text):
            yield f"{name}: this is a known default; make one by: openssl rand -base64 32"
        elif text is not None and len(text) < SHORTEST_KEY:
            yield f"{name}: must have at least {SHORTEST_KEY} characters; make one by: openssl rand -base64 32"


def _some_provider(settings: Settings) -> Iterator[str]:
    """There is somebody to hand mail to."""
    if not settings.providers:
        yield (
            "providers: there is none; add a table such as [providers.sendgrid] with "
            'kind = "sendgrid" and api_key = { env = "SENDGRID_API_KEY" }'
        )


def _off_loopback(settings: Settings) -> Iterator[str]:
    """Who is reachable by others asks for a key, and sends real mail."""
    try:
        here, emulator = place(settings.bind), place(settings.emulator.bind)
    except ValueError:
        return
    if here.loopback:
        return
    if settings.admin_key is None:
        yield (
            f'bind: "{settings.bind}" can be reached by others, so the API needs a key: '
            "set MAILCORE_ADMIN_KEY or MAILCORE_ADMIN_KEY_FILE, or bind to 127.0.0.1"
        )
    if settings.recipient_limit.emails is not None and settings.key_pepper is None:
        yield (
            "recipient_limit: off loopback it needs a pepper, so that nobody can guess whose mailbox is counted: "
            "set MAILCORE_KEY_PEPPER or MAILCORE_KEY_PEPPER_FILE"
        )
    if settings.providers and not any(_is_real(table) for table in settings.providers.values()):
        yield (
            f'providers: off loopback (bind is "{settings.bind}") at least one must be real, '
            "and none is: each has a base_url on this machine, so nothing would ever leave it"
        )
    for name, table in settings.providers.items():
        if points_at_emulator(table, emulator) or str(table.get("kind")) in _PRETENDERS:
            yield f"providers.{name}: an emulator sends nothing, so off loopback it is refused: remove the table"
