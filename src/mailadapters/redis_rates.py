"""How often each API key has asked, and how many e-mails each mailbox was sent, by all processes together.

They count in Redis, by its clock. A bucket is one number under one key; one script changes several, all or none.
Without Redis each process goes on by itself from where all of them were: nobody waits long, and the gate is never open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Final

import redis.asyncio

from mailadapters.reach import Reach, UnreachableError
from mailcore.metering import LocalRates
from mailcore.rates import Admission, Bucket, RateLimit, full_at, told

WITHIN_S: Final = 0.1
"""How long a request may wait for its turn to be counted; the API has more to do than that."""

TURNS: Final = 32
"""So many requests are counted at the same time: each takes a connection, and wake-ups need some as well."""

COUNT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local after, answer = {}, {1}
for i, key in ipairs(KEYS) do
  local before = math.max(tonumber(redis.call('GET', key) or 0), now)
  after[i] = before + ARGV[2 * i - 1]
  answer[i + 1] = before - now
  if after[i] - now > tonumber(ARGV[2 * i]) then answer[1] = 0 end
end
if answer[1] == 0 then return answer end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', after[i]), 'PX', math.ceil((after[i] - now) / 1000))
  answer[i + 1] = after[i] - now
end
return answer
"""
"""`mailcore.rates.full_at` in Lua: whether one more is let into every bucket, and in how many
microseconds each is full.

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
        self._turns = asyncio.Semaphore(TURNS)

    async def admit(self, name: str, limit: RateLimit) -> Admission:
        return (await self.admit_together([Bucket(name, limit)]))[0]

    async def admit_together(self, buckets: Sequence[Bucket]) -> Sequence[Admission]:
        try:
            allowed, *full_in_us = await self._asked(buckets)
        except (UnreachableError, TimeoutError):
            return await self._local.admit_together(buckets)
        stands = list(zip(buckets, full_in_us, strict=True))
        for one, left in stands:
            self._local.note(one.name, left)
        return [told(one.limit, left, allowed=bool(allowed) or _has_room(one, left)) for one, left in stands]

    async def _asked(self, buckets: Sequence[Bucket]) -> Sequence[int]:
        """Have Redis count in its turn; a time that is over because it was spent waiting for one says nothing of Redis.

        Raises:
            UnreachableError: Redis did not answer in time.
            TimeoutError: The turn came too late.
        """
        ask = partial(self._reach.ask, partial(self._counted, buckets), self.within_s)
        if not self._turns.locked():
            async with self._turns:
                return await ask()
        async with asyncio.timeout(self.within_s), self._turns:
            return await ask()

    async def _counted(self, buckets: Sequence[Bucket]) -> Sequence[int]:
        """Have Redis count one in each bucket."""
        spacings = [(one.limit.spacing_us, one.limit.spacing_us * one.limit.requests) for one in buckets]
        args = [number for pair in spacings for number in pair]
        counting: Awaitable[Sequence[int]] = self._count(keys=[self._prefix + one.name for one in buckets], args=args)
        return await counting


def _has_room(bucket: Bucket, full_in_us: int) -> bool:
    """Whether a bucket would let one more in."""
    return full_at(full_in_us, bucket.limit, 0) is not None
