"""Under which names a service on loopback answers to those of whom it asks no key."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from mailapps.api.problems import ApiCode, RefusedError


def check_local_name(host: bytes) -> None:
    """Refuse a request under a foreign name, since nobody is asked for a key.

    A page of another site can point its own name at 127.0.0.1 and would then read our e-mails as its own
    (DNS rebinding); it cannot point an address or `localhost` anywhere.

    Args:
        host: What the request's Host says; one that has none is let through.

    Raises:
        RefusedError: The name is foreign.
    """
    if not is_local_name((host or b"localhost").decode("latin-1")):
        raise RefusedError(ApiCode.MISDIRECTED, "without an API key only localhost and IP addresses are answered to")


@lru_cache(256)
def is_local_name(host: str) -> bool:
    """Return whether a Host header means this machine, whoever says it."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    return name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    """Return whether a name is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
