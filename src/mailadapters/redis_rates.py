"""How often each API key has asked, counted by all processes together in Redis, by its clock.

A bucket is one number under one key, changed by one script. Without Redis each process goes on by itself from where all
of them were: nobody waits long, and the gate is never open.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, Final

import redis.asyncio

from mailadapters.reach import Reach, UnreachableError
from mailcore.metering import LocalRates
from mailcore.rates import Admission, RateLimit, told

WITHIN_S: Final = 0.1
"""How long a request may wait for its turn to be counted; the API has more to do than that."""

COUNT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = before + ARGV[1]
if after - now > tonumber(ARGV[2]) then return {0, before - now} end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, after - now}
"""
"""`mailcore.rates.full_at` in Lua: whether one more request is let in, and in how many microseconds all are again.

A key is gone once its bucket is full, which is what a key that is not there says.
"""


class RedisRates:
    """Rates that all processes on one Redis agree on.

    Attributes:
        within_s: How long a request may wait for its turn to be counted.
    """

    def __init__(self, connection: redis.asyncio.Redis, reach: Reach, prefix: str, local: LocalRates) -> None:
        self.within_s = WITHIN_S
        self._count: Any = connection.register_script(COUNT)
        self._reach = reach
        self._prefix = f"{prefix}:rate:"
        self._local = local

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        try:
            allowed, full_in_us = await self._reach.ask(partial(self._counted, name, limit), self.within_s)
        except UnreachableError:
            return await self._local.admit(name, limit)
        self._local.note(name, full_in_us)
        return told(limit, full_in_us, allowed=bool(allowed))

    async def _counted(self, name: str, limit: RateLimit) -> tuple[int, int]:
        """Have Redis count a request."""
        cost, most = limit.spacing_us, limit.spacing_us * limit.requests
        counting: Awaitable[tuple[int, int]] = self._count(keys=[self._prefix + name], args=[cost, most])
        return await counting
