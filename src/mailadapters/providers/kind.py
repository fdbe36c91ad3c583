"""ProviderKind: all that makes one sort of provider, as a value that a plug-in exposes."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import asdict

from mailcore.outcome import Outcome
from mailcore.provider import Capabilities, HttpRequest, HttpResponse, Send
from mailcore.secret import Secret

Settings = TypeVar("Settings", bound=Struct)


class KeyState(StrEnum):
    """What a probe says of an account's key."""

    WORKS = "works"
    REFUSED = "refused"
    UNCLEAR = "unclear"


class KeyCheck(Struct, frozen=True):
    """What became of a probe.

    Attributes:
        reason: Why the key is refused, or why nobody can tell; in the provider's words where it has any.
    """

    state: KeyState
    reason: str = ""


class Probe(Struct, Generic[Settings], frozen=True, kw_only=True):
    """A request that asks whether the key works and can never send mail, and how to read its answer.

    Attributes:
        build: Makes the request. Pure.
        parse: Tells what an answer means. Pure; takes any bytes and never raises.
    """

    build: Callable[[Settings], HttpRequest]
    parse: Callable[[HttpResponse], KeyCheck]


class ProviderKind(Struct, Generic[Settings], frozen=True, kw_only=True):
    """A sort of provider. `connector` makes of it what an entry point of the group ``mailcore.providers`` names.

    Attributes:
        name: The word by which a configuration names it (`kind = "…"`).
        settings: What it needs to know of an account; keys are of type Secret.
        build: Makes the request of one attempt. Pure; equal sends make equal bytes.
        parse: Tells what an answer means. Pure; takes any bytes and never raises.
        emulator_path: Where the emulator speaks its wire format, to be appended to the emulator's own URL
            for a `base_url`; None if the emulator does not know it.
        probe: How to ask whether a key works; None if the provider has no call that only asks.
    """

    name: str
    settings: type[Settings]
    capabilities: Capabilities
    build: Callable[[Send, Settings], HttpRequest]
    parse: Callable[[HttpResponse], Outcome]
    emulator_path: str | None = None
    probe: Probe[Settings] | None = None


def checked_base_url(url: str) -> str:
    """Return an HTTP base URL without its last slash.

    Raises:
        ValueError: It is no such URL, or carries a user, a query or a fragment.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError(f"not an http(s) URL: {parts.scheme}://{parts.hostname or ''}")
    if parts.username is not None or parts.query or parts.fragment or " " in url:
        raise ValueError("a base_url has no user, query, fragment or space: the key goes into api_key")
    return url.rstrip("/")


def secrets_of(settings: Struct) -> tuple[str, ...]:
    """Return the text of every secret in a provider's settings."""
    return tuple(value.reveal() for value in asdict(settings).values() if isinstance(value, Secret))
