"""Who may call: one admin key, or nobody but this machine."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from litestar.types import ASGIApp, Receive, Scope, Send

from mailapps.api.heads import header
from mailapps.api.problems import ApiCode, RefusedError
from mailcore.secret import Secret

Check = Callable[[Scope], None]
"""Raises RefusedError if a request may not go on."""


def gate_for(admin_key: Secret | None) -> Callable[[ASGIApp], ASGIApp]:
    """Return what stands before every route under /api.

    It is a middleware and no guard of the framework, which copies the route for each guard and request.
    """
    check = check_local_name if admin_key is None else _check_of(admin_key)

    def gate(app: ASGIApp) -> ASGIApp:
        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            check(scope)
            await app(scope, receive, send)

        return checked

    return gate


def _check_of(admin_key: Secret) -> Check:
    """Return a check that lets through who knows the key."""
    expected = admin_key.reveal().encode()

    def check(scope: Scope) -> None:
        scheme, _, given = header(scope, b"authorization").partition(b" ")
        right = hmac.compare_digest(given.strip(), expected)
        if not right or scheme.lower() != b"bearer":
            detail = "send the key as Authorization: Bearer <key>"
            raise RefusedError(ApiCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})

    return check


def check_local_name(scope: Scope) -> None:
    """Refuse a request under a foreign name, since nobody is asked for a key.

    A page of another site can point its own name at 127.0.0.1 and would then read our e-mails as its own
    (DNS rebinding); it cannot point an address or `localhost` anywhere.
    """
    if not is_local_name((header(scope, b"host") or b"localhost").decode("latin-1")):
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
