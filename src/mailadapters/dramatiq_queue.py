"""Wake-ups in dramatiq's queues on Redis: written without holding up the event loop, many at a time.

Dead letters go to a stream of their own, which other systems may read:
`XREAD` or a consumer group on `<prefix>:dead-letters` gives entries with the fields `id` and `reason`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from redis.exceptions import NoScriptError

from mailadapters.documents import millis
from mailadapters.dramatiq_broker import HEARTBEAT_TIMEOUT_MS, LaneBroker
from mailadapters.dramatiq_format import MOST_IDS, octets_of, queue_name
from mailadapters.gathering import Burial, Gathering, WakeUps, by_lane
from mailadapters.reach import UnreachableError
from mailadapters.redis_connection import RedisPlace, client, place_of, reach_of
from mailadapters.redis_health import RedisHealth
from mailadapters.redis_rates import RedisRates
from mailadapters.system import new_clock, new_token
from mailcore.errors import QueueUnavailableError
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.metering import LocalRates
from mailcore.ports import Clock, Watch
from mailcore.waking import Admit

KEPT_BURIALS: Final = 100_000
"""So many dead letters stay in the stream, give or take a few; the store keeps them all."""

_DEAD_MESSAGE_TTL_MS: Final = 60_000
_MAX_UNPACK: Final = 4_000


class DramatiqQueue:
    """A WakeUpQueue whose other end is any number of dramatiq workers.

    Attributes:
        health: What all processes on this Redis know of the providers.
        rates: How often each API key has asked, counted by all processes on this Redis.
    """

    def __init__(self, place: RedisPlace, clock: Clock) -> None:
        connection = client(place)
        self._place = place
        self._clock = clock
        self._connection: Any = connection
        self._reach = reach_of(connection, clock.monotonic)
        self._dispatch: Any = _dispatch_of(place)
        self._name = f"mailcore-{new_token()}"
        self._gathering = Gathering[WakeUps | Burial](self._write)
        self.rates = RedisRates(connection, self._reach, place.prefix, LocalRates(clock.monotonic))
        self.health = RedisHealth(connection, self._reach, place.prefix, clock.monotonic)

    async def enqueue(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        if email_ids:
            await self._gathering.add(WakeUps(email_ids, lane))

    async def bury(self, email_id: EmailId, *, reason: str) -> None:
        await self._gathering.add(Burial(email_id, reason))

    async def ping(self) -> None:
        try:
            await self._reach.ask(self._connection.ping)
        except UnreachableError as error:
            raise QueueUnavailableError(str(error)) from error

    @asynccontextmanager
    async def waking(self, admit: Admit, watch: Watch) -> AsyncGenerator[None]:
        from mailadapters.dramatiq_worker import working

        async with working(self._place, admit, self.enqueue, watch):
            yield

    async def aclose(self) -> None:
        await self._gathering.aclose()
        await self.health.aclose()
        await self._reach.aclose()
        await self._connection.aclose()

    async def _write(self, what: Sequence[WakeUps | Burial]) -> None:
        """Write all of it in one round trip."""
        await self._reach.ask(partial(self._sent, self._commands(what)))

    def _commands(self, what: Sequence[WakeUps | Burial]) -> list[tuple[Any, ...]]:
        """Return the commands that write all of it, as few messages as may be."""
        now = millis(self._clock.now())
        commands = [_burial(self._place.prefix, one) for one in what if isinstance(one, Burial)]
        for lane, parts in by_lane(what, MOST_IDS).items():
            name = queue_name(self._place.prefix, lane)
            commands += [self._message(name, part, now) for part in parts]
        return commands

    def _message(self, name: str, email_ids: Sequence[EmailId], now: int) -> tuple[Any, ...]:
        """Return the command that puts a message into a queue, by the script of dramatiq's own broker."""
        message_id = new_token()
        octets = octets_of(name, email_ids, message_id, now)
        settings = (now, name, self._name, HEARTBEAT_TIMEOUT_MS, _DEAD_MESSAGE_TTL_MS, 0, _MAX_UNPACK)
        return ("EVALSHA", self._dispatch.sha, 1, self._place.prefix, "enqueue", *settings, message_id, octets)

    async def _sent(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in one round trip; twice if Redis has forgotten the script, as after a restart."""
        try:
            await self._piped(commands)
        except NoScriptError:
            await self._connection.script_load(self._dispatch.script)
            await self._piped(commands)

    async def _piped(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in one round trip."""
        pipeline = self._connection.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        await pipeline.execute()


def _dispatch_of(place: RedisPlace) -> Any:
    """Return the script that dramatiq's broker keeps its queues by; nothing connects for that."""
    broker: Any = LaneBroker(place, lambda _queue: None)
    return broker.scripts["dispatch"]


def _burial(prefix: str, burial: Burial) -> tuple[Any, ...]:
    """Return the command that tells of a dead letter."""
    limit = ("MAXLEN", "~", KEPT_BURIALS)
    return ("XADD", f"{prefix}:dead-letters", *limit, "*", "id", burial.email_id, "reason", burial.reason)


def open_queue(url: str) -> DramatiqQueue:
    """Return the queue on the Redis that a URL names; nothing connects before its first use.

    Raises:
        SettingsError: The URL names none.
    """
    return DramatiqQueue(place_of(url), new_clock())
