"""Too much, and for long: rows L1 and L2."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle

from tests.chaos.checker import percentile
from tests.chaos.history import Kind
from tests.chaos.trial import Fault, Trial


async def overload(at: Trial, times: int = 10, seconds: float = 20.0) -> None:
    """L1: ten times as many submissions; what is accepted is kept, and accepted in time."""
    began = at.now()
    usual, at.client.rate = at.client.rate, at.client.rate * times
    await at.wait(seconds)
    at.client.rate = usual
    answers = at.answers(began)
    p99 = percentile([one.took for one in answers if one.kind is Kind.OK]).total_seconds()
    at.note("POSTs a second", f"{len(answers) / seconds:.0f}")
    at.note("p99 of accepted POSTs, ms", f"{p99 * 1000:.0f}")
    at.must(p99 <= 1, f"p99 of accepted POSTs is {p99:.2f} s")


async def monkey(at: Trial, faults: Sequence[Fault], seconds: float, every: float = 20.0) -> None:
    """L2: something fails every so often, for a long time; each fault in turn, in an order by chance."""
    began = time.monotonic()
    for fault in cycle(at.dice.sample(faults, len(faults))):
        started = time.monotonic()
        if started - began > seconds:
            return
        await fault(at)
        await at.rig.heal()
        await asyncio.sleep(max(0.0, every - (time.monotonic() - started)))
