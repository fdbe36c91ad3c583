"""How soon a provider hears of what an idle service was given."""

import time

import httpx
from tests.bench.load import BODY
from tests.bench.processes import ADMIN_KEY
from tests.bench.seen import Provider

COLD = 20
"""So many are left out at first."""


async def heard(url: str, provider: Provider, count: int = 200) -> list[float]:
    """Return how long each of some e-mails took from its POST to its request at the provider, in ms, one at a time."""
    await provider.forget()
    posted: list[float] = []
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=url, trust_env=False, headers=headers) as http:
        for number in range(COLD + count):
            posted.append(time.monotonic())
            await http.post("/api/emails", content=BODY)
            await provider.until(number + 1)
    came = await provider.times()
    return [(at - began) * 1000 for began, at in zip(posted, came, strict=True)][COLD:]
