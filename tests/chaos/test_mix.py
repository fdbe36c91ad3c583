"""A part of the fault campaign that takes a minute and a half: one fault after the other, in an order by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.checker import judge
from tests.chaos.faults import mongo, network, processes, providers, queue_content, sqlite
from tests.chaos.faults.load import monkey
from tests.chaos.report import FLAT
from tests.chaos.rig import rig
from tests.chaos.trial import Fault, trial

pytestmark = pytest.mark.timeout(400)

SEED = 20261201
IN_PRODUCTION: Sequence[Fault] = (
    processes.kill_each_role,
    partial(mongo.lose_answers, marked=b'"status":"sent"', role="worker"),
    partial(mongo.lose_answers, marked=b"insert", role="api"),
    partial(providers.leave_open, actions=providers.resets()),
    partial(providers.leave_open, actions=providers.hangs()),
    partial(network.silent, servers=("queue",)),
    providers.fail_briefly,
    partial(queue_content.shuffle, seconds=5),
)
EMBEDDED: Sequence[Fault] = (
    partial(sqlite.kill_the_writers, kills=2),
    sqlite.hold_the_lock,
    partial(providers.leave_open, actions=providers.resets()),
)


@pytest.mark.parametrize(
    ("profile", "faults", "seconds"), [("production", IN_PRODUCTION, 75), ("embedded", EMBEDDED, 30)]
)
async def test_a_mix_of_faults_costs_no_email(
    tmp_path: Path, profile: str, faults: Sequence[Fault], seconds: float
) -> None:
    """Whatever fails in whatever order: nothing lost, unexplained, early, overlapping, unfinished or miscounted."""
    async with rig(tmp_path, profile) as place:
        outcome = await trial(place, partial(monkey, faults=faults, seconds=seconds, every=0), f"{SEED}")

    judgement = judge(outcome.history)
    assert [*judgement.lines(), *outcome.wrong] == []
    assert judgement.figures.sent > seconds
    assert outcome.memory_growth < FLAT
