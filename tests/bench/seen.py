"""What the provider of a bench has seen."""

import asyncio
import time
from dataclasses import dataclass

import httpx

PATIENCE_S = 90.0


@dataclass(frozen=True)
class Provider:
    """A provider that takes everything after a while, as a process of its own.

    Attributes:
        url: Where it is.
    """

    url: str

    async def forget(self) -> None:
        """Begin anew."""
        await self._get("/forget")

    async def times(self) -> list[float]:
        """Return when each request came, by the monotonic clock, which all processes share."""
        found: list[float] = (await self._get("/times")).json()
        return found

    async def count(self) -> int:
        """Return how many came."""
        return int((await self._get("/seen")).json()["count"])

    async def peak(self) -> int:
        """Return how many it had at once at most."""
        return int((await self._get("/seen")).json()["peak"])

    async def until(self, count: int) -> list[float]:
        """Wait until so many came; return when each did.

        Raises:
            TimeoutError: They did not come for minutes.
        """
        end = time.monotonic() + PATIENCE_S
        while await self.count() < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{await self.count()} of {count} came")
            await asyncio.sleep(0.1)
        return await self.times()

    async def _get(self, path: str) -> httpx.Response:
        """Ask it something."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            return await http.get(path)


def steady(times: list[float]) -> float:
    """Return how many came in a second, the first tenth and the last apart: start and end are no steady state."""
    middle = times[len(times) // 10 : -len(times) // 10 or None]
    return (len(middle) - 1) / (middle[-1] - middle[0])
