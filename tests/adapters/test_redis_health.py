"""The providers' health over several processes: agreed, exact where it must be, and there without Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.core.test_health import REPORTS
from tests.servers.redis_world import Worker, fresh_url, workers
from tests.servers.running import Server

from mailadapters.reach import REST_S
from mailadapters.redis_connection import LIMIT_S
from mailadapters.redis_health import FRESH_FOR
from mailadapters.redis_records import Record, octets_of, record_of
from mailcore.breaker import Breaker, State, outstanding
from mailcore.health import (
    Admission,
    Health,
    HealthRules,
    Mode,
    Obstacle,
    Override,
    Report,
    Start,
    admit,
    reported,
    standing,
)
from mailcore.outcome import Verdict
from mailcore.retry import RetryBudget
from mailcore.testing import MemoryHealth
from mailcore.testing.manual_clock import BEGINNING as NOW

RULES = HealthRules()
SECOND = timedelta(seconds=1)
PATIENCE_S = 10
HALF_OPEN = Health(breaker=Breaker(state=State.HALF_OPEN, generation=2, opened_at=NOW - SECOND, openings=1))
OPEN = Health(breaker=Breaker(state=State.OPEN, generation=3, opened_at=NOW, reopens_at=NOW + 15 * SECOND, openings=1))


@pytest.fixture
async def pair(shared_redis: Server) -> AsyncIterator[tuple[Worker, Worker]]:
    """Yield two processes of one deployment."""
    async with workers(shared_redis, 2) as (one, other):
        yield one, other


def told(token: str, verdict: Verdict = Verdict.DEFERRED, generation: int = 0) -> Report:
    """Return how an attempt ended."""
    latency = timedelta(milliseconds=100)
    return Report(token=token, email_id=token, generation=generation, verdict=verdict, latency=latency, u=0.5)


def failing(count: int) -> Callable[[Health], Health]:
    """Return the change that so many failures of as many e-mails make."""

    def change(health: Health) -> Health:
        for n in range(count):
            health = reported(health, told(f"t{n}", generation=health.breaker.generation), RULES, NOW)
        return health

    return change


async def asked(worker: Worker, start: Start) -> Admission:
    """Ask for an attempt, as the roster does."""
    answers: list[Admission] = []

    def change(health: Health) -> Health:
        changed, answer = admit(health, start, RULES, NOW)
        answers.append(answer)
        return changed

    await worker.health.update("p", change)
    return answers[-1]


async def seen(worker: Worker, holds: Callable[[Health], bool]) -> Health:
    """Return what a process knows of the provider once something holds of it; its clock stands still but for that."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            worker.clock.advance(FRESH_FOR)
            known = (await worker.health.load()).get("p", Health())
            if holds(known):
                return known
            await asyncio.sleep(0.01)


async def back(worker: Worker) -> None:
    """Wait until a process has found out that Redis answers again."""
    async with asyncio.timeout(PATIENCE_S):
        while worker.reach.down:
            worker.clock.advance(REST_S)
            worker.reach.look()
            await asyncio.sleep(0.01)


# Agreed


async def test_what_one_process_did_the_other_sees(pair: tuple[Worker, Worker]) -> None:
    """A copy is at most 250 ms old."""
    one, other = pair
    await other.health.load()
    await one.health.update("p", lambda _: OPEN)

    before = await other.health.load()
    other.clock.advance(FRESH_FOR)
    after = await other.health.load()

    assert before == {}
    assert after == {"p": OPEN}


async def test_reports_are_seen_by_others_within_a_moment(pair: tuple[Worker, Worker]) -> None:
    """What can wait is written four times a second, all of it together."""
    one, other = pair
    for n in range(5):
        await one.health.update("p", failing(1) if n else failing(2), at_once=False)

    known = await seen(other, lambda health: health.breaker.streak == 6)

    assert known.breaker.streak == 6


async def test_an_opening_is_written_at_once(pair: tuple[Worker, Worker]) -> None:
    """Others must not go on sending for another moment to a provider that this process has closed the way to."""
    one, other = pair
    loop = asyncio.get_running_loop()
    began = loop.time()
    await one.health.update("p", failing(8), at_once=False)

    known = await seen(other, lambda health: health.breaker.state is State.OPEN)

    assert known.breaker.generation == 1
    assert loop.time() - began < FRESH_FOR


async def test_reports_of_many_processes_are_all_counted(shared_redis: Server) -> None:
    """A write that others were faster than is decided again from theirs, so that nothing is lost."""
    success = partial(reported, report=told("t", verdict=Verdict.ACCEPTED), rules=RULES, now=NOW)
    async with workers(shared_redis, 5) as made:
        for _ in range(4):
            await asyncio.gather(*(worker.health.update("p", success) for worker in made for _ in range(5)))

        known = await seen(made[0], lambda _: True)

    assert known.score.successes == pytest.approx(100)


# Exact


@pytest.mark.parametrize("processes", [1, 4])
async def test_no_more_probes_than_permits_over_all_processes(shared_redis: Server, processes: int) -> None:
    """B4, I29: however many ask at the same time and wherever, three permits are granted."""
    async with workers(shared_redis, processes) as made:
        await made[0].health.update("p", lambda _: HALF_OPEN)

        answers = await asyncio.gather(
            *(asked(worker, Start(token=f"{n}.{m}")) for n, worker in enumerate(made) for m in range(20))
        )
        known = await seen(made[-1], lambda health: len(health.breaker.permits) > 2)

    assert sum(answer.granted for answer in answers) == RULES.breaker.probes
    assert len(outstanding(known.breaker, RULES.breaker, NOW)) == RULES.breaker.probes


async def test_a_probe_asked_for_twice_is_one_permit(pair: tuple[Worker, Worker]) -> None:
    """R7: whoever did not hear the answer asks again, and holds one permit."""
    one, other = pair
    await one.health.update("p", lambda _: HALF_OPEN)

    first, again = [await asked(worker, Start(token="t")) for worker in (one, other)]

    assert first.granted
    assert again.granted
    assert len((await seen(other, lambda health: bool(health.breaker.permits))).breaker.permits) == 1


async def test_a_write_whose_answer_was_lost_is_not_made_twice(pair: tuple[Worker, Worker]) -> None:
    """R7: the record remembers who wrote it, so that nothing is counted twice."""
    one, other = pair
    swap, calls = one.health._replace, []

    async def losing(**arguments: object) -> bytes | None:
        calls.append(await swap(**arguments))
        if len(calls) == 1:
            await other.health.update("p", failing(1))
            answer: bytes | None = await swap(**arguments)
            return answer
        return calls[-1]

    one.health._replace = losing
    await one.health.update("p", failing(1))

    assert (await seen(other, lambda _: True)).breaker.streak == 2


async def test_a_budget_that_many_spend_is_spent_once_each(shared_redis: Server) -> None:
    """G3: a hundred and twenty repeats over four processes take a hundred tokens, and no token twice."""
    async with workers(shared_redis, 4) as made:
        await made[0].health.update("p", lambda _: Health(budget=RetryBudget(balance=100.0, at=NOW)))

        answers = await asyncio.gather(
            *(asked(worker, Start(token=f"{n}.{m}", repeat=True)) for n, worker in enumerate(made) for m in range(30))
        )
        known = await seen(made[0], lambda _: True)

    assert sum(answer.granted for answer in answers) == 100
    assert known.budget.balance == pytest.approx(-20)
    assert known.budget.tokens == 0


async def test_a_pace_holds_over_all_processes(shared_redis: Server) -> None:
    """Ten a second is ten a second, wherever the attempts start."""
    async with workers(shared_redis, 3) as made:
        starts = [Start(token=f"{n}", max_per_second=10) for n in range(30)]
        answers = await asyncio.gather(*(asked(made[n % 3], start) for n, start in enumerate(starts)))

    turns = sorted(answer.reserved_at or NOW for answer in answers)
    assert turns == [NOW + n * SECOND / 10 for n in range(30)]


@given(trace=st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1.0, 16.0]), REPORTS), max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_trace_leads_to_the_same_health_as_in_memory(
    shared_redis: Server, trace: list[tuple[bool, float, Report]]
) -> None:
    """B11: Redis and memory agree on every trace of admissions and reports, whichever of two processes sees them."""
    memory, now = MemoryHealth(runs=1), NOW
    async with workers(shared_redis, 2) as made:
        for n, (starts, after_s, report) in enumerate(trace):
            now += after_s * SECOND
            start = Start(token=report.token, repeat=True)
            change = (
                partial(_admitted, start=start, now=now)
                if starts
                else partial(reported, report=report, rules=RULES, now=now)
            )
            expected = await memory.update("p", change)
            assert await made[n % 2].health.update("p", change) == expected


def _admitted(health: Health, start: Start, now: object) -> Health:
    """Return the health after a start was asked for."""
    return admit(health, start, RULES, now)[0]


# Without Redis


async def test_a_frozen_redis_is_waited_for_once(own_redis: Server) -> None:
    """Whoever comes first waits 200 ms; all others, and all reports, go by what this process knows."""
    async with workers(own_redis, 1) as (worker,):
        await worker.health.update("p", failing(1))
        own_redis.freeze()
        worker.clock.advance(FRESH_FOR)
        loop = asyncio.get_running_loop()
        began = loop.time()

        await worker.health.load()
        first = loop.time() - began
        for _ in range(100):
            await worker.health.load()
            await worker.health.update("p", failing(1), at_once=False)
            await asked(worker, Start(token="t"))
        rest = loop.time() - began - first
        own_redis.thaw()

    assert LIMIT_S * 0.9 <= first < 2 * LIMIT_S
    assert rest < LIMIT_S


async def test_without_redis_the_same_rules_hold_here(own_redis: Server) -> None:
    """A breaker opens, and permits are counted, by what this process sees."""
    async with workers(own_redis, 1) as (worker,):
        await worker.health.update("p", failing(1))
        own_redis.kill()

        opened = await worker.health.update("p", failing(8))
        refused = await asked(worker, Start(token="t"))
        await worker.health.update("q", lambda _: HALF_OPEN)
        permits = [(await _probe(worker, f"{n}")).granted for n in range(5)]

    assert opened.breaker.state is State.OPEN
    assert refused.standing.obstacle is Obstacle.OPEN
    assert permits == [True, True, True, False, False]


async def _probe(worker: Worker, token: str) -> Admission:
    """Ask for a probe at the other provider."""
    answers: list[Admission] = []

    def change(health: Health) -> Health:
        changed, answer = admit(health, Start(token=token), RULES, NOW)
        answers.append(answer)
        return changed

    await worker.health.update("q", change)
    return answers[-1]


async def test_when_redis_is_back_the_worse_state_wins(own_redis: Server) -> None:
    """What a process has learnt while it was alone is told to all others."""
    async with workers(own_redis, 2) as (one, other):
        await one.health.update("p", failing(1))
        own_redis.freeze()
        one.clock.advance(FRESH_FOR)
        await one.health.load()
        alone = await one.health.update("p", failing(8), at_once=False)
        own_redis.thaw()

        await back(one)
        await seen(one, lambda _: True)
        known = await seen(other, lambda health: health.breaker.state is State.OPEN)

    assert alone.breaker.state is State.OPEN
    assert known.breaker == alone.breaker


async def test_a_write_that_redis_did_not_take_is_made_up_for(own_redis: Server) -> None:
    """What a process was about to write when Redis died is written once it is back, though nothing more happens."""
    async with workers(own_redis, 2) as (one, other):
        await one.health.update("p", failing(1))
        await asyncio.to_thread(own_redis.kill)
        alone = await one.health.update("p", failing(8))
        await asyncio.to_thread(own_redis.restart)

        await back(one)
        await seen(one, lambda _: True)
        known = await seen(other, lambda health: health.breaker.state is State.OPEN)

    assert known.breaker == alone.breaker


async def test_a_flushed_redis_learns_again_what_processes_know(pair: tuple[Worker, Worker]) -> None:
    """R2: an open breaker and the operator's word outlive FLUSHALL, as long as any process lives."""
    one, other = pair
    stopped = Override(mode=Mode.STOPPED, by="ann")
    await one.health.update("p", lambda _: replace(OPEN, override=stopped))
    await one.connection.delete(f"{one.place.prefix}:health")
    one.clock.advance(FRESH_FOR)

    kept = (await one.health.load())["p"]
    known = await seen(other, lambda health: health.override is not None)

    assert kept.override == known.override == stopped
    assert known.breaker == OPEN.breaker


async def test_a_write_into_a_flushed_redis_forgets_nothing(pair: tuple[Worker, Worker]) -> None:
    """R2: the first write after FLUSHALL brings what its process knew along."""
    one, other = pair
    await one.health.update("p", failing(3))
    await one.connection.delete(f"{one.place.prefix}:health")

    after = await one.health.update("p", failing(1))

    assert after.breaker.streak == 4
    assert (await seen(other, lambda health: health.breaker.streak > 0)).breaker.streak == 4


async def test_with_nobody_left_a_flushed_redis_starts_closed(shared_redis: Server) -> None:
    """Without a copy anywhere a provider is new."""
    url = fresh_url(shared_redis)
    async with workers(shared_redis, 1, url) as (one,):
        await one.health.update("p", lambda _: OPEN)
        await one.connection.delete(f"{one.place.prefix}:health")
    async with workers(shared_redis, 1, url) as (two,):
        assert await two.health.load() == {}


async def test_a_record_of_a_newer_release_is_left_alone(pair: tuple[Worker, Worker]) -> None:
    """I42: what is not understood is counted, not overwritten; this process goes by its own counts."""
    one, _ = pair
    strange = b"x\n\xc1"
    await one.connection.hset(f"{one.place.prefix}:health", "p", strange)

    assert await one.health.load() == {}
    alone = await one.health.update("p", failing(8))

    assert alone.breaker.state is State.OPEN
    assert one.health.unreadable >= 2
    assert await one.connection.hget(f"{one.place.prefix}:health", "p") == strange


async def test_what_waits_is_written_at_the_end(shared_redis: Server) -> None:
    """A process that ends politely tells the others what it has seen."""
    url = fresh_url(shared_redis)
    async with workers(shared_redis, 1, url) as (one,):
        await one.health.update("p", failing(2), at_once=False)

    async with workers(shared_redis, 1, url) as (two,):
        known = await two.health.load()

    assert known["p"].breaker.streak == 2


def test_a_record_comes_back() -> None:
    """What is written is read, with the tokens of its latest writes, the oldest forgotten."""
    record = Record()
    for n in range(50):
        record = record.followed(OPEN, f"{n:024d}")

    again = record_of(octets_of(record))

    assert again == record
    assert again.token == f"{49:024d}"
    assert len(again.writes) == 32
    assert standing(again.health, RULES, NOW).obstacle is Obstacle.OPEN
