"""The fault matrix: each row with its number in the requirements, what it does, and on what it is run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from tests.chaos.client import RATE
from tests.chaos.faults import clocks, load, mongo, network, processes, providers, queue_content, redis, sqlite
from tests.chaos.settings import QUICK, USUAL, Pace
from tests.chaos.trial import Fault

PRODUCTION = ("production",)
EMBEDDED = ("embedded",)
BOTH = ("production", "embedded")

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Row(Struct, frozen=True, kw_only=True):
    """One fault.

    Attributes:
        id: As in the requirements, with a letter where one row is several.
        pace: `usual` keeps every default of the product.
        rate: Submissions a second.
        minutes: About how long it takes, for what takes long: it begins first.
        client: Options of the client.
        limits: What it is judged by, where that is not the usual.
        warm_s: After so long under load the memory that it takes is compared with.
        environ: Variables of the processes of a role, or of one by its name; made for the folder of the run.
        addresses: Where providers are that are not at the emulator.
    """

    id: str
    what: str
    fault: Fault
    profiles: Sequence[str] = PRODUCTION
    pace: Pace = QUICK
    rate: float = RATE
    minutes: float = 1.0
    client: Mapping[str, Any] = NOTHING
    warm_s: float = 3.0
    limits: Mapping[str, Any] = NOTHING
    environ: Mapping[str, Mapping[str, str]] = NOTHING
    addresses: Mapping[str, str] = NOTHING


class NotRun(Struct, frozen=True):
    """A row that cannot be run here, and why."""

    id: str
    what: str
    why: str


FEW: Mapping[str, Any] = MappingProxyType({"plain": True})
"""Nothing is scheduled or cancelled, since the fault looks at single e-mails."""
JUMPS = Path(os.environ.get("TMPDIR", "/tmp")) / f"faketime-{os.getpid()}"

PROCESSES = (
    Row(id="P1", what="kill -9 of a worker every 3 to 8 s, 20 times", fault=partial(processes.kill_workers, kills=20),
        pace=USUAL, minutes=8),
    Row(id="P1e", what="the same on SQLite, 8 times", profiles=EMBEDDED,
        fault=partial(processes.kill_workers, kills=8)),
    Row(id="P2", what="kill -9 of a worker at each named point", fault=processes.crash_points, profiles=BOTH, rate=0.01,
        client=FEW),
    Row(id="P3", what="kill -9 of an API after commit, and after the wake-up", fault=processes.crash_the_api,
        profiles=BOTH),
    Row(id="P4", what="kill -9 of the leading scheduler, 10 times", fault=partial(processes.kill_the_leader, kills=10),
        profiles=BOTH, minutes=4),
    Row(id="P5", what="kill -9 of supervised workers and of supervisors", fault=processes.kill_supervisors),
    Row(id="P6", what="SIGSTOP of a worker beyond its lease", fault=processes.stall_a_worker, pace=USUAL),
    Row(id="P6e", what="the same on SQLite", fault=processes.stall_a_worker, profiles=EMBEDDED),
    Row(id="P7", what="SIGSTOP of the leading scheduler", fault=processes.stall_the_leader, profiles=BOTH),
    Row(id="P8", what="SIGTERM of each role under load", fault=processes.terminate_each_role, profiles=BOTH,
        limits={"doubts": 0}),
    Row(id="P9", what="rolling change between an earlier state and this one, 3 rounds", fault=processes.roll,
        minutes=8),
    Row(id="P10", what="an e-mail over which every worker dies", fault=processes.poison, profiles=BOTH, rate=2,
        client=FEW),
)  # fmt: skip
REDIS = (
    Row(id="R1", what="SIGKILL and restart, 5 times", fault=redis.kill_often),
    Row(id="R2", what="FLUSHALL", fault=redis.flush_redis),
    Row(id="R3", what="SIGSTOP for 30 s", fault=partial(redis.freeze_redis, seconds=30)),
    Row(id="R3l", what="SIGSTOP for 120 s", fault=partial(redis.freeze_redis, seconds=120), minutes=3),
    Row(id="R4", what="down", fault=redis.stay_down),
    Row(id="R5", what="restart while e-mails are retrying", fault=redis.restart_while_retrying),
    Row(id="R6", what="out of memory; a replica that takes no writes", fault=redis.refuse_writes),
    Row(id="R7", what="every tenth answer lost", fault=redis.lose_answers),
)
MONGO = (
    Row(id="M1", what="SIGKILL and restart", fault=mongo.kill_mongo, pace=USUAL),
    Row(id="M2", what="SIGSTOP for 20 s", fault=partial(mongo.freeze_mongo, seconds=20), pace=USUAL),
    Row(id="M3", what="answers to inserts lost", fault=partial(mongo.lose_answers, marked=b"insert", role="api"),
        limits={"copies": 0}),
    Row(id="M4", what="answers to claims lost", limits={"copies": 0},
        fault=partial(mongo.lose_answers, marked=b'"status":"sending"', role="worker")),
    Row(id="M5", what="answers to the saving of outcomes lost", limits={"copies": 0},
        fault=partial(mongo.lose_answers, marked=b'"status":"sent"', role="worker")),
)  # fmt: skip
NETWORK = (
    Row(id="N1", what="300 ms late, 200 more or less, everywhere", fault=network.late, rate=10),
    Row(id="N2", what="connections that swallow everything", fault=partial(network.silent, servers=network.SERVERS)),
    Row(id="N2h", what="connections that are half closed", fault=network.half_closed),
    Row(id="N3", what="answers of a byte a second", fault=network.drip, profiles=BOTH),
    Row(id="N4", what="a provider whose name leads nowhere", fault=network.nowhere, profiles=BOTH,
        addresses={"mailgun": "http://mailgun.invalid:80"}),
    Row(id="N4b", what="a provider behind an IPv6 black hole", fault=network.nowhere, profiles=EMBEDDED,
        addresses={"mailgun": "http://[100::1]:80"}),
)  # fmt: skip
PROVIDERS = (
    Row(id="V1", what="429 with every kind of Retry-After", fault=providers.throttle, profiles=BOTH),
    Row(id="V2", what="503 to everything for 40 s", fault=providers.fail, profiles=BOTH),
    Row(id="V3", what="503 to 40 % for 5 min", fault=partial(providers.brown_out, seconds=300), profiles=BOTH,
        minutes=6),
    Row(id="V4", what="hangs, before and after the message was taken", profiles=BOTH,
        fault=partial(providers.leave_open, actions=providers.hangs())),
    Row(id="V5", what="resets, before and after the message was taken", profiles=BOTH,
        fault=partial(providers.leave_open, actions=providers.resets())),
    Row(id="V6", what="successes that cannot be read", profiles=BOTH,
        fault=partial(providers.leave_open, actions=providers.garbage())),
    Row(id="V7", what="401, then 403", fault=providers.forget_us, profiles=BOTH),
    Row(id="V8", what="400 for some messages only", fault=providers.refuse_one, profiles=BOTH, client=FEW),
    Row(id="V9", what="no provider works for 10 min", fault=partial(providers.all_out, seconds=600), minutes=12,
        rate=2),  # the stand-in for MongoDB reads through all that it has for every look at what is due
    Row(id="V9e", what="the same on SQLite", fault=partial(providers.all_out, seconds=600), minutes=12,
        profiles=EMBEDDED),
)  # fmt: skip
CLOCKS = (
    Row(id="C1", what="one worker 5 min ahead, another 5 min behind", fault=clocks.wait_it_out,
        environ={"worker-1": clocks.skewed(300), "worker-2": clocks.skewed(-300)}),
    Row(id="C2", what="the time of day jumps by an hour, forth and back", fault=partial(clocks.jump, file=JUMPS),
        environ=dict.fromkeys(("api", "worker", "scheduler"), clocks.told_by(JUMPS))),
    Row(id="C3", what="strange dates", fault=clocks.strange_times, profiles=BOTH),
)  # fmt: skip
SQLITE = (
    Row(id="Q1", what="a full disk", fault=sqlite.fill_the_disk, profiles=EMBEDDED),
    Row(id="Q2", what="another writer holds the lock for 10 s", fault=sqlite.hold_the_lock, profiles=EMBEDDED),
    Row(id="Q3", what="kill -9 of whoever writes, 200 times", fault=partial(sqlite.kill_the_writers, kills=200),
        profiles=EMBEDDED, minutes=12),
)  # fmt: skip
QUEUE = (
    Row(id="K1", what="wake-ups lost, repeated and shuffled", fault=queue_content.shuffle),
    Row(id="K2", what="litter in the queue", fault=queue_content.litter),
    Row(id="K3", what="100 000 wake-ups for one e-mail", fault=queue_content.crowd, client=FEW),
)
MONKEY_EMBEDDED: Sequence[Fault] = (
    processes.kill_each_role,
    processes.terminate_each_role,
    processes.stall_a_worker,
    sqlite.hold_the_lock,
    partial(sqlite.kill_the_writers, kills=2),
    partial(providers.leave_open, actions=providers.resets()),
    partial(providers.leave_open, actions=providers.hangs()),
    providers.fail_briefly,
)
MONKEY: Sequence[Fault] = (
    processes.kill_each_role,
    processes.terminate_each_role,
    redis.kill_redis,
    redis.flush_redis,
    partial(redis.freeze_redis, seconds=5),
    partial(mongo.freeze_mongo, seconds=2),
    partial(mongo.lose_answers, marked=b'"status":"sent"', role="worker"),
    partial(providers.leave_open, actions=providers.resets()),
    partial(network.silent, servers=("queue",)),
    providers.fail_briefly,
)
SOAK_S = 1800.0
LOAD = (
    Row(id="L1", what="ten times as much for 20 s", fault=partial(load.overload, seconds=20)),  # as with V9
    Row(id="L1e", what="the same on SQLite, for 60 s", fault=partial(load.overload, seconds=60), profiles=EMBEDDED,
        minutes=3),
    Row(id="L2", what="soak: something fails every 20 s, for 30 min", rate=5, warm_s=60, minutes=33,
        fault=partial(load.monkey, faults=MONKEY, seconds=SOAK_S)),
    Row(id="L2e", what="the same on SQLite, of 36 000 e-mails", warm_s=60, minutes=33, profiles=EMBEDDED,
        fault=partial(load.monkey, faults=MONKEY_EMBEDDED, seconds=SOAK_S)),
)  # fmt: skip

ROWS: Sequence[Row] = (
    *PROCESSES, *REDIS, *MONGO, *NETWORK, *PROVIDERS, *CLOCKS, *SQLITE, *QUEUE, *LOAD,
)  # fmt: skip

NOT_RUN: Sequence[NotRun] = (
    NotRun("M6", "write errors", "the stand-in for MongoDB injects none; "
           "tests/adapters/test_mongo_faults.py has each"),
    NotRun("M7", "write concern and retryable writes", "tests/adapters/test_mongo_commands.py sees them on every "
           "command; the stand-in has no majority to lose, so that a failover of MongoDB is asserted and not tried"),
    NotRun("P9e", "the same on SQLite", "a file of a newer release is refused by an older one, on purpose"),
    NotRun("V4a, V5a", "hangs and resets at a provider that recognises repeats", "neither of the two providers does"),
    NotRun("V10", "webhooks of providers", "there are none yet"),
    NotRun("V11", "TLS: expired, wrong host, nobody's signature", "tests/adapters/providers/test_transport.py does it "
           "over real TLS; the processes take the usual certificates alone, and no test may add one"),
    NotRun("Q4", "a read-only file, an I/O error", "the tests may run as root, whom no mode of a file stops; "
           "tests/adapters/test_sqlite_faults.py injects both"),
)  # fmt: skip
