"""Calls that share a flight: each has its own result, nobody waits without end, and whoever gave up is skipped."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import ref

import pytest
from tests.dst.virtual import virtually

from mailadapters.mongo.coalescing import Coalescer, Limits
from mailcore.errors import StoreUnavailableError

SOON = Limits(budget=5)


class Server:
    """A server whose answers wait until the test lets them go.

    Attributes:
        flights: What was asked for together, oldest first.
    """

    def __init__(self, *, free: bool = False) -> None:
        self.flights: list[list[str]] = []
        self._free = asyncio.Event()
        if free:
            self._free.set()

    async def __call__(self, asked: Sequence[str]) -> Sequence[str | Exception]:
        """Answer in capitals, with an error for what is wrong; or fail as a whole."""
        self.flights.append(list(asked))
        await self._free.wait()
        if "bug" in asked:
            raise LookupError
        if "alone" in asked:
            raise OverflowError
        return [KeyError(one) if one == "wrong" else one.upper() for one in asked]

    def answer(self) -> None:
        """Let answers go."""
        self._free.set()


async def begun(coalescer: Coalescer[str, str], *asked: str) -> list[asyncio.Task[str]]:
    """Ask, and wait until the first flight has left."""
    tasks = [asyncio.ensure_future(coalescer.ask(one)) for one in asked]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_an_idle_one_leaves_at_once() -> None:
    """A single caller waits for nobody who may come."""
    server = Server()
    coalescer = Coalescer("store", server, SOON)

    (task,) = await begun(coalescer, "a")

    assert server.flights == [["a"]]
    server.answer()
    assert await task == "A"


async def test_while_one_flight_is_out_the_next_gathers() -> None:
    """So that the more there is to do, the fewer round trips each costs."""
    server = Server()
    coalescer = Coalescer("store", server, SOON)
    first = await begun(coalescer, "a")
    more = await begun(coalescer, "b", "c", "d")

    server.answer()

    assert await asyncio.gather(*first, *more) == ["A", "B", "C", "D"]
    assert server.flights == [["a"], ["b", "c", "d"]]


async def test_a_flight_takes_no_more_than_its_size() -> None:
    """A flight stays small enough for one command."""
    server = Server(free=True)
    coalescer = Coalescer("store", server, Limits(budget=5, together=2))

    tasks = await begun(coalescer, "a", "b", "c", "d", "e")

    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D", "E"]
    assert server.flights == [["a", "b"], ["c", "d"], ["e"]]


async def test_each_caller_has_his_own_result() -> None:
    """What went wrong for one goes wrong for him alone."""
    coalescer = Coalescer("store", Server(free=True), SOON)

    told = await asyncio.gather(*await begun(coalescer, "a", "wrong", "b"), return_exceptions=True)

    assert [type(one) for one in told] == [str, KeyError, str]


async def test_whoever_gave_up_before_his_turn_is_skipped() -> None:
    """Nothing is done for a caller who has gone."""
    server = Server()
    coalescer = Coalescer("store", server, SOON)
    first = await begun(coalescer, "a")
    gone, stays = await begun(coalescer, "b", "c")
    gone.cancel()
    await asyncio.sleep(0)

    server.answer()

    assert await asyncio.gather(*first, stays) == ["A", "C"]
    assert server.flights == [["a"], ["c"]]


async def test_whoever_gives_up_in_flight_spoils_nothing() -> None:
    """His answer goes to nobody; the others have theirs."""
    server = Server()
    coalescer = Coalescer("store", server, SOON)
    gone, stays = await begun(coalescer, "a", "b")
    gone.cancel()
    await asyncio.sleep(0)

    server.answer()

    assert await stays == "B"


async def test_nobody_waits_for_longer_than_the_budget() -> None:
    """In flight or not: a caller is told in time that there is no answer, and the one who waited is not asked for."""
    server = Server()
    coalescer = Coalescer("store", server, Limits(budget=0.02))

    told = await asyncio.gather(*await begun(coalescer, "a"), *await begun(coalescer, "b"), return_exceptions=True)
    server.answer()
    await coalescer.aclose()

    assert [type(one) for one in told] == [StoreUnavailableError] * 2
    assert server.flights == [["a"]]


@virtually
async def test_everybody_waits_for_the_same_budget() -> None:
    """Who asked a second later is told a second later."""
    coalescer = Coalescer("store", Server(), Limits(budget=2))
    began, told = asyncio.get_running_loop().time(), list[float]()

    async def ask(one: str) -> None:
        with suppress(StoreUnavailableError):
            await coalescer.ask(one)
        told.append(asyncio.get_running_loop().time() - began)

    async with asyncio.TaskGroup() as asking:
        asking.create_task(ask("a"))
        await asyncio.sleep(1)
        asking.create_task(ask("b"))

    assert [round(when, 3) for when in told] == [2, 3]


async def test_nothing_is_kept_of_what_was_answered() -> None:
    """A message that was read may be large: it goes when its reader lets go of it."""

    class Answer(list[str]):
        """An answer that can be watched."""

    async def server(asked: Sequence[str]) -> Sequence[Answer | Exception]:
        return [Answer(asked) for _ in asked]

    coalescer: Coalescer[str, Answer] = Coalescer("store", server, SOON)

    answers = [ref(await coalescer.ask(one)) for one in "ab"]
    await asyncio.sleep(0)

    assert [answer() for answer in answers] == [None, None]


async def test_too_many_that_wait_are_turned_away_at_once() -> None:
    """Waiting is bounded: the next caller hears at once that the store does not keep up."""
    server = Server()
    coalescer = Coalescer("store", server, Limits(budget=5, capacity=2))
    tasks = await begun(coalescer, "a")
    tasks += await begun(coalescer, "b", "c")

    with pytest.raises(StoreUnavailableError, match="2 calls already wait"):
        await coalescer.ask("d")

    server.answer()
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_an_error_that_may_be_one_calls_alone_is_found_out_to_be() -> None:
    """The others of its flight are performed one by one, and only its caller hears of it."""
    server = Server(free=True)
    coalescer = Coalescer("store", server, Limits(budget=5, apart=(OverflowError,)))

    told = await asyncio.gather(*await begun(coalescer, "a", "alone", "b"), return_exceptions=True)

    assert [type(one) for one in told] == [str, OverflowError, str]
    assert server.flights == [["a", "alone", "b"], ["a"], ["alone"], ["b"]]


async def test_after_any_error_the_next_flight_leaves() -> None:
    """An error that nobody thought of goes to those of its flight, and stops nothing."""
    server = Server()
    coalescer = Coalescer("store", server, SOON)
    first = await begun(coalescer, "bug")
    second = await begun(coalescer, "a")

    server.answer()

    told = await asyncio.gather(*first, *second, return_exceptions=True)
    assert [type(one) for one in told] == [LookupError, str]


async def test_what_waits_is_done_before_it_closes() -> None:
    """Closing loses nothing that was asked for, and turns away what is asked for later."""
    server = Server(free=True)
    coalescer = Coalescer("store", server, Limits(budget=5, together=1))
    tasks = [asyncio.ensure_future(coalescer.ask(one)) for one in "abc"]
    await asyncio.sleep(0)

    await coalescer.aclose()

    assert [task.result() for task in tasks] == ["A", "B", "C"]
    with pytest.raises(StoreUnavailableError, match="closed"):
        await coalescer.ask("d")
