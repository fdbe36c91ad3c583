"""Who may call: one admin key, or nobody but this machine."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from mailapps.api.problems import ApiCode, RefusedError
from mailcore.secret import Secret

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]
"""Async, though it waits for nothing: the framework would run a plain function in a thread."""


def guard_for(admin_key: Secret | None) -> Guard:
    """Return what stands before every route under /api."""
    return _only_local_names if admin_key is None else _only_with(admin_key)


def _only_with(admin_key: Secret) -> Guard:
    """Return a guard that lets through who knows the key."""
    expected = admin_key.reveal().encode()

    async def check(connection: Connection, _handler: BaseRouteHandler) -> None:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), expected)
        if not right or scheme.lower() != "bearer":
            detail = "send the key as Authorization: Bearer <key>"
            raise RefusedError(ApiCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})

    return check


async def _only_local_names(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuse a request under a foreign name, since nobody is asked for a key.

    A page of another site can point its own name at 127.0.0.1 and would then read our e-mails as its own
    (DNS rebinding); it cannot point an address or `localhost` anywhere.
    """
    if not is_local_name(connection.headers.get("host", "localhost")):
        raise RefusedError(ApiCode.MISDIRECTED, "without an API key only localhost and IP addresses are answered to")


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
