"""What a provider is to the core: what it can carry, what it is handed, and what is known of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from mailcore.health import Standing
from mailcore.message import Lane, Message


class Feature(StrEnum):
    """Something a message may need that not every provider can express."""

    ATTACHMENTS = "attachments"
    INLINE = "inline"
    UNICODE_FILENAME = "unicode_filename"
    TAGS = "tags"
    MANY_TAGS = "many_tags"
    UNICODE_TAGS = "unicode_tags"
    HEADERS = "headers"
    METADATA = "metadata"
    REPLY_TO = "reply_to"
    REPLY_TO_MANY = "reply_to_many"
    UNICODE_LOCAL = "unicode_local"
    WITHOUT_TO = "without_to"
    TEXT_ONLY = "text_only"


class Needs(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message needs of a provider; lets a choice be made without its content.

    Attributes:
        bytes: Size of bodies and decoded attachments together, in bytes.
        recipients: How many addresses must get it.
        features: What the provider must be able to express.
        sender_domain: The domain of its From, in lower case.
        headers: The names of its extra headers, in lower case.
        metadata_bytes: Size of its metadata, keys and values, in bytes of UTF-8.
    """

    bytes: int
    recipients: int
    features: frozenset[Feature]
    sender_domain: str
    headers: frozenset[str] = frozenset()
    metadata_bytes: int = 0


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a provider can carry, as declared by its module.

    Attributes:
        max_bytes: Largest message, measured as `Needs.bytes` is.
        dedupe_window: How long a repeat with the same key is sure to be recognised, even if a recipient who was
            suppressed meanwhile is missing in it; None if never.
    """

    max_bytes: int
    max_recipients: int
    features: frozenset[Feature]
    refused_headers: frozenset[str] = frozenset()
    max_metadata_bytes: int | None = None
    dedupe_window: timedelta | None = None


def lacks(capabilities: Capabilities, needs: Needs) -> str | None:
    """Return why a provider cannot carry a message, as a phrase for people, or None if it can."""
    if missing := needs.features - capabilities.features:
        return f"cannot express {', '.join(sorted(missing))}"
    if refused := needs.headers & capabilities.refused_headers:
        return f"refuses the header {', '.join(sorted(refused))}"
    if needs.bytes > capabilities.max_bytes:
        return f"takes {capabilities.max_bytes} bytes, the message has {needs.bytes}"
    if needs.recipients > capabilities.max_recipients:
        return f"takes {capabilities.max_recipients} recipients, the message has {needs.recipients}"
    if capabilities.max_metadata_bytes is not None and needs.metadata_bytes > capabilities.max_metadata_bytes:
        return f"takes {capabilities.max_metadata_bytes} bytes of metadata, the message has {needs.metadata_bytes}"
    return None


BULK_SLOTS: Final = 0.75
"""The share of a provider's slots that bulk may hold: with all, urgent mail would wait while the others are out."""


class ProviderView(Struct, frozen=True, kw_only=True):
    """One configured provider as a decision sees it.

    Attributes:
        weight: The operator's preference, above 0; shares follow it while providers are healthy.
        max_per_second: The configured pace of starts over all processes; None for no limit.
        in_flight: Attempts that this process has under way there.
        bulk: Those of them that are of the bulk lane.
        slots: How many this process may have under way there before the ramp's share is applied.
    """

    name: str
    capabilities: Capabilities
    standing: Standing
    weight: float = 1.0
    max_per_second: float | None = None
    in_flight: int = 0
    bulk: int = 0
    slots: int = 256

    def free(self, lane: Lane) -> int:
        """Return how many more of a lane this process may begin there: fewer on the ramp, and of bulk."""
        slots = max(1, int(self.slots * self.standing.share))
        free = slots - self.in_flight
        if lane is Lane.BULK:
            free = min(free, max(1, int(slots * BULK_SLOTS)) - self.bulk)
        return max(0, free)


class Send(Struct, frozen=True, kw_only=True):
    """What a provider is handed for one attempt.

    Attributes:
        message: A checked message.
        email_id: Our id, for the provider's metadata, so that the message can be found again.
        key: Constant over the attempts of one series; a provider that deduplicates does so by it.
        deadline: How long the whole call may take.
    """

    message: Message
    email_id: str
    key: str
    deadline: timedelta


class HttpRequest(Struct, frozen=True, kw_only=True):
    """A request as a provider's module builds it. Headers carry secrets, so neither has a telling repr."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        """Return method and URL only: headers hold keys and the body holds the message."""
        return f"HttpRequest({self.method} {self.url})"


class HttpResponse(Struct, frozen=True, kw_only=True):
    """An answer as a provider's module reads it.

    Attributes:
        headers: By lower-case name.
        body: At most 64 KiB, decoded from any content encoding.
        truncated: There was more.
        received_at: When it came, so that dates and epochs in headers can be turned into durations.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False
    received_at: datetime

    def __repr__(self) -> str:
        """Return status and size only: providers quote addresses and keys."""
        return f"HttpResponse({self.status}, {len(self.body)} bytes)"
