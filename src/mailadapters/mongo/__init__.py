"""The store for many machines: one MongoDB database, any number of processes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from mailadapters.mongo.access import Access
from mailadapters.mongo.clock import MongoClock
from mailadapters.mongo.provider_health import MongoHealth
from mailadapters.mongo.schema import Client
from mailadapters.mongo.store import MongoStore
from mailadapters.system import SystemClock, new_token
from mailcore.errors import SettingsError

__all__ = ["MongoClock", "MongoHealth", "MongoStore", "open_store"]

BUDGET_MS: Final = 2000
"""Milliseconds in which a call has its answer; the API promises one in that time. `timeoutMS` in the URL is instead."""
REQUIRED: Final[Mapping[str, Any]] = {"w": "majority", "journal": True, "retryWrites": True, "retryReads": True}
"""What the promise rests on; a URL may not say otherwise."""
USUAL: Final[Mapping[str, Any]] = {
    "timeoutMS": BUDGET_MS,
    "connectTimeoutMS": BUDGET_MS,
    "serverSelectionTimeoutMS": BUDGET_MS,
    "maxPoolSize": 32,
    "appname": "mailcore",
}
"""What a URL may say otherwise."""


def open_store(url: str, **options: Any) -> MongoStore:
    """Return the store in a database; the server is reached by the first call.

    Args:
        url: `mongodb://host:port/database`, with further hosts, user, password and options as MongoDB writes them.
        options: Further options of the driver, such as event listeners for tests.

    Raises:
        SettingsError: The URL names no database, cannot be read, or gives up what durability needs.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if not database:
        raise SettingsError("store: the URL names no database: write mongodb://HOST:PORT/mailcore")
    said = {name.lower(): value for name, value in parse_qsl(parts.query)}
    _must_be_durable(said)
    usual = {name: value for name, value in USUAL.items() if name.lower() not in said}
    return _store(_client(url, {**usual, **REQUIRED, **options}), database)


def _client(url: str, options: Mapping[str, Any]) -> Client:
    """Return the driver's client.

    Raises:
        SettingsError: It does not take the URL, or an option in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # options that the driver does not know
            return AsyncMongoClient(url, tz_aware=True, **options)
    except UserWarning as error:
        named = ", ".join(name for name, _ in parse_qsl(urlsplit(url).query))  # the driver does not always say which
        raise SettingsError(f"store: the driver refuses an option in the URL, of {named}: {error}") from error
    except (PyMongoError, BSONError, ValueError, TypeError) as error:  # its text may hold a part of the password
        raise SettingsError(
            "store: the driver refuses the URL: write mongodb://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, "
            f"with a % escape for each special character in user and password ({type(error).__name__})"
        ) from None


def _store(client: Client, database: str) -> MongoStore:
    """Return the store on a client."""
    monotonic = SystemClock().monotonic
    clock = MongoClock(client, monotonic)
    access = Access(client, database, clock, budget=client.options.timeout or BUDGET_MS / 1000)
    return MongoStore(access, MongoHealth(access, monotonic), clock, new_token)


def _must_be_durable(said: Mapping[str, str]) -> None:
    """Refuse options that would let an e-mail be lost after its 201.

    Raises:
        SettingsError: One is not as it must be.
    """
    for name, value in REQUIRED.items():
        if said.get(name.lower(), str(value)).lower() != str(value).lower():
            raise SettingsError(f"store: {name}={said[name.lower()]} in the URL could lose e-mails: leave it out")
