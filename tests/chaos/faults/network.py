"""A network that is late, silent, slow or leads nowhere: rows N1 to N4."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.faults.providers import OPEN_FOR
from tests.chaos.trial import Trial
from tests.servers.proxy import Toxic

SERVERS = ("store", "queue", "sendgrid", "mailgun")


def everywhere(at: Trial, toxic: Toxic, *servers: str) -> None:
    """Spoil every connection to these servers."""
    for server in servers or SERVERS:
        for proxy in at.rig.between(server):
            proxy.toxic = toxic


async def late(at: Trial) -> None:
    """N1: 300 ms, 200 more or less, each way and everywhere; no breaker opens over it."""
    everywhere(at, Toxic(latency=0.15, jitter=0.1))
    await at.wait(20)
    obstacles = await at.obstacles()
    at.must(set(obstacles.values()) == {None}, f"latency alone keeps mail from providers: {obstacles}")


async def silent(at: Trial, servers: Sequence[str]) -> None:
    """N2: connections stay, and nothing comes through; every deadline fires."""
    at.limits["settling"] = OPEN_FOR
    for server in servers:
        everywhere(at, Toxic(blackhole=True), server)
        await at.wait(8)
        for proxy in at.rig.between(server):
            await proxy.heal()
        await at.wait(2)


async def drip(at: Trial) -> None:
    """N3: a provider's answers come at a byte a second; a call ends at its deadline all the same (I34)."""
    at.limits["settling"] = OPEN_FOR
    everywhere(at, Toxic(rate=1), "sendgrid")
    await at.wait(8)
    everywhere(at, Toxic(), "sendgrid")
    longest = await at.longest_call()
    at.note("longest call, s", f"{longest:.2f}")
    deadline = at.rig.pace.deadline.total_seconds()
    at.must(longest <= deadline + 1, f"a call took {longest:.2f} s, and its deadline is {deadline:g} s")


async def nowhere(at: Trial) -> None:
    """N4: a provider's name leads nowhere; that is a failure and no unknown outcome, and the other one takes all."""
    await at.wait(12)
    outcomes = [
        one["outcome"]
        for email in await at.shown(60, provider="mailgun")
        for one in email["attempts"]
        if one["provider"] == "mailgun"
    ]
    at.note("attempts at a provider that is nowhere", len(outcomes))
    at.must(bool(outcomes) and set(outcomes) <= {"deferred"}, f"outcomes there: {sorted(map(str, set(outcomes)))}")


async def half_closed(at: Trial) -> None:
    """N2: servers say that they are done, on connections that go on otherwise."""
    for server in SERVERS:
        for proxy in at.rig.between(server):
            proxy.half_close()
        await at.wait(2)
