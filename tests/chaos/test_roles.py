"""Two APIs, two workers, two schedulers and the emulator, on MongoDB and Redis, while each of them fails in turn.

Nothing is lost, whatever may be double is recorded as such, nothing is early, and no two workers have one e-mail.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.checker import judge
from tests.chaos.faults import mongo, processes, redis
from tests.chaos.rig import rig
from tests.chaos.trial import Fault, Trial, trial

pytestmark = pytest.mark.timeout(400)


def one_after_another(*faults: Fault) -> Fault:
    """Return a fault that is several, one after the other."""

    async def act(at: Trial) -> None:
        for fault in faults:
            await fault(at)

    return act


async def test_each_role_and_each_server_may_fail(tmp_path: Path) -> None:
    """P1, P4, P6, P8, R1 to R3, M1, M2: it costs time and no e-mail; a store that is gone is told at once."""
    faults = one_after_another(
        processes.kill_each_role,
        processes.terminate_each_role,
        processes.stall_a_worker,
        redis.kill_redis,
        redis.flush_redis,
        redis.freeze_redis,
        mongo.freeze_mongo,
        mongo.kill_mongo,
    )

    async with rig(tmp_path, "production") as place:
        outcome = await trial(place, faults, "roles")

    judgement = judge(outcome.history)
    assert [*judgement.lines(), *outcome.wrong] == []
    assert judgement.figures.sent > 100
    assert judgement.figures.crashes > 0
