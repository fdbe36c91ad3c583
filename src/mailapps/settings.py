"""Settings: all that an operator can say, as one value, with its defaults.

Where the value comes from is in settings_sources.py; what must hold between its fields is in settings_rules.py.
docs/reference/configuration.md lists every key, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from mailcore.secret import Secret

Count = Annotated[int, Meta(ge=1)]
Table = Mapping[str, object]

BIND = "127.0.0.1:8000"
EMULATOR_BIND = "127.0.0.1:8025"


class RetrySettings(Struct, frozen=True, kw_only=True):
    """The backoff between rounds."""

    base: timedelta = timedelta(seconds=5)
    cap: timedelta = timedelta(minutes=5)
    max_rounds: Count | None = None


class UrgentSettings(Struct, frozen=True, kw_only=True):
    """The lane of one-time passwords."""

    give_up_after: timedelta = timedelta(minutes=15)


class TransactionalSettings(Struct, frozen=True, kw_only=True):
    """The usual lane."""

    give_up_after: timedelta = timedelta(hours=24)


class BulkSettings(Struct, frozen=True, kw_only=True):
    """The lane that may take its time."""

    give_up_after: timedelta = timedelta(hours=72)


class LanesSettings(Struct, frozen=True, kw_only=True):
    """What holds for the e-mails of each lane."""

    urgent: UrgentSettings = UrgentSettings()
    transactional: TransactionalSettings = TransactionalSettings()
    bulk: BulkSettings = BulkSettings()


class LogSettings(Struct, frozen=True, kw_only=True):
    """What is logged, and how: `auto` is text on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class RetentionSettings(Struct, frozen=True, kw_only=True):
    """For how long after it was settled something of an e-mail is kept."""

    content: timedelta = timedelta(days=30)
    addresses: timedelta = timedelta(days=90)
    records: timedelta = timedelta(days=365)


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """Where a worker or scheduler answers for metrics and health; an API answers `/metrics` itself."""

    bind: str | None = None


class RateLimitSettings(Struct, frozen=True, kw_only=True):
    """How often an API key may ask that says nothing else: so many times at once, and as many again in each `per`."""

    requests: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    per: timedelta = timedelta(minutes=1)


class EmailLimitSettings(Struct, frozen=True, kw_only=True):
    """How many e-mails, whoever submits them: so many at once, and as many again in each `per`."""

    emails: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    per: timedelta = timedelta(hours=1)


class TracingSettings(Struct, frozen=True, kw_only=True):
    """Where traces go, by OpenTelemetry's protocol over HTTP; nowhere by default. A share of them may do."""

    endpoint: str | None = None
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0


class EmulatorPlace(Struct, frozen=True, kw_only=True):
    """Where the emulator listens; a provider whose `base_url` is there makes `mailcore up` run it."""

    bind: str = EMULATOR_BIND


class Settings(Struct, frozen=True, kw_only=True):
    """All that an operator can say.

    Attributes:
        default_from: The author of messages that name none; resolved when a message is accepted.
        admin_key: What callers of the API must show. Off loopback there must be one.
        key_pepper: What the secrets of API keys are digested with; on loopback the store makes and keeps one.
        processes: How many processes `mailcore worker` keeps running, where the queue is one between processes.
        poll: How long an idle worker waits before it looks for due e-mails in the store again.
        sweep: The same for a scheduler, and how often one that leads wakes workers up.
        sweep_grace: What became due less than this ago is left to workers that look into the store themselves.
        sweep_page: How many e-mails of a lane a scheduler wakes up in one go.
        providers: Tables by the provider's name, in order of preference; secrets in them are Secrets.
    """

    store: str = "sqlite:///mailcore.db"
    queue: str = "memory://"
    default_from: str | None = None
    bind: str = BIND
    admin_key: Secret | None = None
    key_pepper: Secret | None = None
    rate_limit: RateLimitSettings = RateLimitSettings()
    sender_limit: EmailLimitSettings = EmailLimitSettings()
    recipient_limit: EmailLimitSettings = EmailLimitSettings()
    strategy: str = "preferred_band"
    in_flight: Count = 320
    processes: Count = 1
    bulk_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    lease: timedelta = timedelta(seconds=60)
    call_deadline: timedelta = timedelta(seconds=20)
    poll: timedelta = timedelta(milliseconds=500)
    sweep: timedelta = timedelta(seconds=5)
    sweep_grace: timedelta = timedelta(seconds=2)
    sweep_page: Count = 500
    wakeup_grace: timedelta = timedelta(seconds=10)
    max_crashes: Count = 3
    max_unknowns: Count = 4
    unknown_grace: timedelta = timedelta(seconds=30)
    hold_for: timedelta = timedelta(hours=72)
    retry: RetrySettings = RetrySettings()
    lanes: LanesSettings = LanesSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    emulator: EmulatorPlace = EmulatorPlace()
    providers: Mapping[str, Table] = field(default_factory=dict[str, Table])


class Place(Struct, frozen=True):
    """A host and a port to listen at."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """Its address as a client on this machine takes it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
        host = everywhere.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def place(text: str) -> Place:
    """Return what ``host:port`` or ``[ipv6]:port`` names.

    Raises:
        ValueError: It is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not (port.isascii() and port.isdigit()) or int(port) > 65535:  # noqa: PLR2004 - TCP
        raise ValueError('expected host:port, such as "127.0.0.1:8000" or "[::1]:8000"')
    return Place(bare, int(port))


def shown(url: str) -> str:
    """Return a URL as it may be printed: without the name and password that it may hold."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest if rest.startswith('/') else rest.rpartition('@')[2]}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
