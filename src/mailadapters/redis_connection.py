"""A Redis server as adapters see it: where it is, and how long it may take.

redis-py's own defaults would hold a caller for more than 40 s.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
import redis.asyncio
from msgspec import Struct
from redis import retry as redis_retry
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mailadapters.reach import Reach, Server
from mailcore.errors import SettingsError

LIMIT_S: Final = 0.2
"""How long anything may take; the API promises an answer 250 ms after its commit."""

BLOCK_S: Final = 1.0
"""How long a thread of a worker waits for a wake-up before it looks whether it is to end."""

MOST_CONNECTIONS: Final = 64
"""So many connections does a process have at most, but for those of its workers' threads."""

FAULTS: Final = (redis.RedisError, OSError, TimeoutError)
"""All that redis-py raises for what a server or a network does."""

SCHEMES: Final = ("redis", "rediss")
DEFAULT_PREFIX: Final = "mailcore"
_PREFIX: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


class RedisPlace(Struct, frozen=True):
    """Where a deployment's keys are.

    Attributes:
        url: As redis-py takes it; may hold a password.
        prefix: Begins all of the deployment's keys, so that several may share a server, each by its own ACL.
    """

    url: str
    prefix: str


def place_of(url: str) -> RedisPlace:
    """Return what ``redis://host:port/db?prefix=name`` names; ``rediss`` is with TLS.

    Raises:
        SettingsError: The URL is none of Redis, or its prefix is no name.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = query.pop("prefix", DEFAULT_PREFIX)
    if parts.scheme not in SCHEMES or not _PREFIX.fullmatch(prefix):
        raise SettingsError(
            'queue: expected a URL such as "redis://127.0.0.1:6379/0", or with "?prefix=shop" at its end '
            "for a deployment that shares a Redis; a prefix is up to 40 letters, digits, - and _"
        )
    place = RedisPlace(urlunsplit(parts._replace(query=urlencode(query))), prefix)
    try:
        pool: Any = client(place).connection_pool
        pool.make_connection()  # connects to nothing, but looks at the options
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"queue: {type(error).__name__} in the URL of Redis: check host, port and options"
        ) from None
    return place


class _Connection(redis.asyncio.Connection):
    """A connection that was reset while idle is lost on uvloop, too: redis-py repeats the command on a new one.

    uvloop raises a RuntimeError for a write to it, asyncio an OSError: https://github.com/MagicStack/uvloop/issues/506
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise redis.ConnectionError("the connection was lost while it was idle") from error


class _EncryptedConnection(_Connection, redis.asyncio.SSLConnection):
    """The same with TLS."""


def client(place: RedisPlace) -> redis.asyncio.Redis:
    """Return a client; it connects with its first command. A command that may have been done is repeated once."""
    made = redis.asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - redis-py leaves options untyped
        place.url,
        socket_timeout=LIMIT_S,
        socket_connect_timeout=LIMIT_S,
        retry=Retry(NoBackoff(), 1),
        max_connections=MOST_CONNECTIONS,
    )
    encrypted = issubclass(made.connection_pool.connection_class, redis.asyncio.SSLConnection)
    made.connection_pool.connection_class = _EncryptedConnection if encrypted else _Connection
    return made


def blocking_client(place: RedisPlace) -> redis.Redis:
    """Return a client for threads, which may wait `BLOCK_S` for something to arrive."""
    return redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - as above
        place.url,
        socket_timeout=BLOCK_S + LIMIT_S,
        socket_connect_timeout=LIMIT_S,
        retry=redis_retry.Retry(NoBackoff(), 0),
    )


def reach_of(connection: redis.asyncio.Redis, monotonic: Callable[[], float]) -> Reach:
    """Return whether the server at the other end answers."""
    server = Server(
        name="Redis", ping=partial(_ping, connection), faults=FAULTS, busy=(redis.MaxConnectionsError,), limit_s=LIMIT_S
    )
    return Reach(server, monotonic)


def _ping(connection: Any) -> Awaitable[object]:
    """Return the answer to PING, which redis-py types as if it might come without a wait."""
    answer: Awaitable[object] = connection.ping()
    return answer
