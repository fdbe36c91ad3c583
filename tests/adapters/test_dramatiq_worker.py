"""A real dramatiq worker on a real Redis: what it hands to the engine, what it drops, and how it ends."""

import asyncio
import json
import pickle
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from tests.adapters.gate import Engine, once
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

from mailadapters.dramatiq_broker import LaneBroker
from mailadapters.dramatiq_queue import DramatiqQueue, open_queue
from mailadapters.dramatiq_worker import PREFETCH
from mailadapters.redis_connection import place_of
from mailcore.assembly import SPARE
from mailcore.errors import SettingsError
from mailcore.events import Happening
from mailcore.health import Health
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.rates import RateLimit
from mailcore.testing.manual_clock import BEGINNING


@pytest.fixture(autouse=True)
def _quick_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker's threads look sooner whether they are to end."""
    monkeypatch.setattr("mailadapters.dramatiq_broker.BLOCK_S", 0.1)
    monkeypatch.setattr("mailadapters.dramatiq_worker.IDLE_MS", 50)


@pytest.fixture
def url(shared_redis: Server) -> str:
    """Return the URL of an empty deployment."""
    return fresh_url(shared_redis)


@pytest.fixture
async def queue(url: str) -> AsyncIterator[DramatiqQueue]:
    """Yield an empty queue."""
    queue = open_queue(url)
    yield queue
    await queue.aclose()


@pytest.fixture
def raw(url: str) -> RedisBroker:
    """Return dramatiq's own broker on the same queues."""
    place = place_of(url)
    return RedisBroker(url=place.url, namespace=place.prefix, middleware=[])


@asynccontextmanager
async def working(queue: DramatiqQueue, engine: Engine) -> AsyncGenerator[None]:
    """Run a worker."""
    async with queue.waking(engine.admit, engine.watch):
        yield


def sizes(raw: RedisBroker) -> list[int]:
    """Return how many messages each lane has left, under way ones included."""
    return [raw.do_qsize(f"{raw.namespace}.{lane}") for lane in Lane]


async def emptied(raw: RedisBroker) -> None:
    """Wait until nothing is left in any lane."""

    async def is_empty() -> bool:
        return not any(await asyncio.to_thread(sizes, raw))

    await once(is_empty)


async def test_wake_ups_of_every_lane_reach_the_engine(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """What was enqueued is handed over in its lane, once, and acknowledged."""
    engine = Engine()
    wanted = {(lane, f"em_{lane}_{n}") for lane in Lane for n in range(120)}

    async with working(queue, engine):
        for lane in Lane:
            await queue.enqueue([one for of, one in sorted(wanted) if of is lane], lane=lane)
        await engine.until(lambda: len(engine.taken) >= len(wanted))
        await emptied(raw)

    assert set(engine.taken) == wanted
    assert len(engine.taken) == len(wanted)


async def test_a_message_of_dramatiqs_own_is_read(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """The format is dramatiq's: what its own broker writes is a wake-up here."""
    engine, name = Engine(), f"{raw.namespace}.urgent"
    raw.declare_queue(name)
    message: Any = dramatiq.Message(name, name, (["em_a"],), {}, {})

    async with working(queue, engine):
        await asyncio.to_thread(raw.enqueue, message)
        await engine.until(lambda: bool(engine.taken))

    assert engine.taken == [(Lane.URGENT, "em_a")]


async def test_dramatiqs_own_worker_reads_our_messages(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """The format is dramatiq's: a worker without a line of ours in it runs its actor with the ids."""
    found: list[list[str]] = []
    name = f"{raw.namespace}.bulk"
    dramatiq.actor(broker=raw, actor_name=name, queue_name=name)(found.append)
    worker = dramatiq.Worker(raw, worker_timeout=20, worker_threads=1)

    await queue.enqueue(["em_a", "em_b"], lane=Lane.BULK)
    worker.start()
    await emptied(raw)
    await asyncio.to_thread(worker.stop)

    assert found == [["em_a", "em_b"]]


GARBAGE: dict[str, Callable[[str], bytes]] = {
    "no_json": lambda _: b"{",
    "nothing": lambda _: b"",
    "pickle": lambda _: pickle.dumps({"queue_name": "urgent"}),
    "five_megabytes": lambda _: b"x" * 5_000_000,
    "five_megabytes_of_json": lambda name: proper(name, args=[["x" * 5_000_000]]),
    "deep": lambda _: b"[" * 100_000,
    "another_actor": lambda name: proper(name, actor_name="drop_tables"),
    "another_queue": lambda name: proper(name, queue_name="elsewhere"),
    "no_ids": lambda name: proper(name, args=[]),
    "no_list": lambda name: proper(name, args=["em_a"]),
    "an_empty_list": lambda name: proper(name, args=[[]]),
    "a_number": lambda name: proper(name, args=[[1]]),
    "more_arguments": lambda name: proper(name, args=[["em_a"], "x"]),
    "keywords": lambda name: proper(name, kwargs={"x": 1}),
    "delayed": lambda name: proper(name, options={"redis_message_id": "m", "eta": 4_000_000_000_000}),
    "no_message_id": lambda name: proper(name, options={}),
    "a_list_for_an_id": lambda name: proper(name, message_id=[]),
    "no_object": lambda _: b"[1, 2]",
}


def proper(name: str, **wrong: object) -> bytes:
    """Return a message as it should be, but for some fields."""
    fields = {
        "queue_name": name,
        "actor_name": name,
        "args": [["em_x"]],
        "kwargs": {},
        "options": {"redis_message_id": "m"},
        "message_id": "m",
        "message_timestamp": 1,
    }
    return json.dumps({**fields, **wrong}).encode()


@pytest.mark.parametrize("kind", GARBAGE)
async def test_what_is_no_wake_up_is_acknowledged_and_told(queue: DramatiqQueue, raw: RedisBroker, kind: str) -> None:
    """K2: garbage raises nothing, is counted, leaves the queue, and those behind it are served (I26)."""
    engine, name = Engine(), f"{raw.namespace}.urgent"

    async with working(queue, engine):
        await asyncio.to_thread(raw.do_enqueue, name, "m", GARBAGE[kind](name))
        await queue.enqueue(["em_behind"], lane=Lane.URGENT)
        await engine.until(lambda: bool(engine.taken) and bool(engine.told))
        await emptied(raw)

    assert engine.taken == [(Lane.URGENT, "em_behind")]
    assert [event.what for event in engine.told] == [Happening.STRANGE_WAKE_UP]
    assert name in engine.told[0].note


async def test_what_the_engine_has_no_slots_for_stays_in_redis(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """A busy process holds a few messages of each lane, and the others are there for other workers."""
    engine = Engine()
    engine.gate.clear()

    async with working(queue, engine):
        for n in range(3 * PREFETCH):
            await queue.enqueue([f"em_{n}"], lane=Lane.BULK)
        await engine.until(lambda: len(engine.asked) >= PREFETCH)
        waiting = await asyncio.to_thread(raw.client.llen, f"{raw.namespace}:{raw.namespace}.bulk")
        await queue.enqueue(["em_urgent"], lane=Lane.URGENT)
        await engine.until(lambda: (Lane.URGENT, "em_urgent") in engine.asked)
        asked = len(engine.asked)
        engine.gate.set()
        await engine.until(lambda: len(engine.taken) == 3 * PREFETCH + 1)

    assert waiting == 2 * PREFETCH
    assert asked == PREFETCH + 1


async def test_what_was_not_taken_goes_back_at_a_polite_end(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """A worker that ends leaves its wake-ups to the others, whether it waited for slots or had not begun."""
    first, second = Engine(), Engine()
    first.gate.clear()
    wanted = [f"em_{n}" for n in range(3 * PREFETCH)]

    async with working(queue, first):
        for one in wanted:
            await queue.enqueue([one], lane=Lane.TRANSACTIONAL)
        await first.until(lambda: len(first.asked) >= PREFETCH)
    async with working(queue, second):
        await second.until(lambda: len(second.taken) >= len(wanted))
        await emptied(raw)

    assert first.taken == []
    assert sorted({one for _, one in second.taken}) == sorted(wanted)


async def test_what_goes_back_is_not_fetched_again(queue: DramatiqQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends does not take up what it has just put back."""
    engine, put_back, enqueue = Engine(), list[EmailId](), queue.enqueue
    engine.gate.clear()
    for n in range(PREFETCH):
        await queue.enqueue([f"em_{n}"], lane=Lane.BULK)

    async def counting(email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        put_back.extend(email_ids)
        await enqueue(email_ids, lane=lane)

    monkeypatch.setattr(queue, "enqueue", counting)
    async with working(queue, engine):
        await engine.until(lambda: len(engine.asked) >= PREFETCH)

    assert sorted(put_back) == [f"em_{n}" for n in range(PREFETCH)]


async def test_a_consumer_that_is_closed_keeps_nothing(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """What was fetched and not handed on goes back to its queue."""
    name, broker = f"{raw.namespace}.urgent", LaneBroker(queue._place, print)
    for n in range(3):
        await queue.enqueue([f"em_{n}"], lane=Lane.URGENT)
    consumer = broker.consume(name, prefetch=3)
    handed_on = next(consumer)

    consumer.close()

    assert handed_on is not None
    others = raw.consume(name, prefetch=9, timeout=1)
    assert [next(others).args, next(others).args] == [(["em_1"],), (["em_2"],)]
    broker.close()


async def test_a_lane_that_waits_holds_up_no_other(queue: DramatiqQueue) -> None:
    """However much bulk waits for slots, there is a thread for what is urgent."""
    engine = Engine()
    engine.gate.clear()

    async with working(queue, engine):
        for lane in (Lane.BULK, Lane.TRANSACTIONAL):
            await asyncio.gather(*(queue.enqueue([f"em_{n}"] * 50, lane=lane) for n in range(100)))
        await engine.until(lambda: {Lane.BULK, Lane.TRANSACTIONAL} <= {lane for lane, _ in engine.asked})
        await queue.enqueue(["em_urgent"], lane=Lane.URGENT)
        await engine.until(lambda: (Lane.URGENT, "em_urgent") in engine.asked)
        taken = list(engine.taken)

    assert taken == []  # the others waited all the while


async def test_the_documented_user_of_redis_is_enough(own_redis: Server) -> None:
    """Whoever follows the how-to gives mailcore no more rights than it needs, and no fewer."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "run-on-redis-and-dramatiq.md"
    (command,) = re.findall(r"^ACL SETUSER .*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    with redis.Redis.from_url(own_redis.url) as root:
        root.execute_command(*command.split())
    engine, queue = Engine(), open_queue(own_redis.url.replace("//", "//mailcore:PASSWORD@"))

    async with working(queue, engine):
        await queue.ping()
        await queue.bury("em_a", reason="rejected")
        counted = await queue.rates.admit("key_1", RateLimit(requests=9, per=timedelta(hours=1)))
        await queue.health.update("p", lambda _: Health(not_before=BEGINNING))
        await queue.enqueue(["em_a"], lane=Lane.BULK)
        await engine.until(lambda: bool(engine.taken))
    with redis.Redis.from_url(own_redis.url) as root:
        refused = root.acl_log()
    await queue.aclose()

    assert refused == []
    assert counted.remaining == 8


async def test_messages_hold_ids_and_nothing_else(queue: DramatiqQueue, raw: RedisBroker) -> None:
    """I41: of an e-mail nothing but its id is in Redis."""
    await queue.enqueue(["em_a"], lane=Lane.URGENT)

    (octets,) = raw.client.hvals(f"{raw.namespace}:{raw.namespace}.urgent.msgs")

    found = json.loads(octets)
    assert found["args"] == [["em_a"]]
    assert found.keys() == set(dramatiq.Message("q", "a", (), {}, {}).asdict())
    assert found["kwargs"] == {}
    assert found["options"].keys() == {"redis_message_id"}


async def test_another_encoder_than_json_is_refused(queue: DramatiqQueue) -> None:
    """Whoever could write pickled messages would run code in the worker."""
    dramatiq.set_encoder(dramatiq.PickleEncoder())
    try:
        with pytest.raises(SettingsError, match="JSONEncoder"):
            async with working(queue, Engine()):
                pass
    finally:
        dramatiq.set_encoder(dramatiq.JSONEncoder())


async def test_a_worker_outlives_a_restart_of_redis(own_redis: Server) -> None:
    """What a new Redis takes is picked up by the workers of the old one."""
    engine, queue = Engine(), open_queue(fresh_url(own_redis))

    async with working(queue, engine):
        await queue.enqueue(["em_before"], lane=Lane.URGENT)
        await engine.until(lambda: bool(engine.taken))
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.restart)
        await tried(queue, "em_after")
        await engine.until(lambda: len(engine.taken) > 1)
    await queue.aclose()

    assert (Lane.URGENT, "em_after") in engine.taken


async def test_a_worker_ends_though_redis_is_frozen(own_redis: Server) -> None:
    """R3, I37: nobody waits for Redis at the end; what was fetched and not begun is found in the store."""
    engine, queue, loop = Engine(), open_queue(fresh_url(own_redis)), asyncio.get_running_loop()
    engine.gate.clear()

    async with working(queue, engine):
        for n in range(2 * PREFETCH):
            await queue.enqueue([f"em_{n}"], lane=Lane.BULK)
        await engine.until(lambda: len(engine.asked) >= PREFETCH)
        own_redis.freeze()
        began = loop.time()
    await queue.aclose()
    took = loop.time() - began
    own_redis.thaw()

    assert took < SPARE.total_seconds()
    assert engine.taken == []


async def test_what_a_killed_worker_had_fetched_comes_back(
    queue: DramatiqQueue, raw: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead worker's messages go to the living, once it has not been heard of for long enough."""
    engine, name = Engine(), f"{raw.namespace}.urgent"
    await queue.enqueue(["em_a"], lane=Lane.URGENT)
    raw.declare_queue(name)
    assert next(raw.consume(name)) is not None  # it is never acknowledged
    monkeypatch.setattr("mailadapters.dramatiq_broker.HEARTBEAT_TIMEOUT_MS", 1)
    monkeypatch.setattr("mailadapters.dramatiq_broker.MAINTENANCE_CHANCE", 1_000_000)

    async with working(queue, engine):
        await engine.until(lambda: bool(engine.taken))

    assert engine.taken == [(Lane.URGENT, "em_a")]


async def tried(queue: DramatiqQueue, email_id: EmailId) -> None:
    """Enqueue again and again until Redis takes it."""

    async def attempt() -> bool:
        try:
            await queue.enqueue([email_id], lane=Lane.URGENT)
        except Exception:  # noqa: BLE001 - that is what is waited out
            return False
        return True

    await once(attempt)
