"""How much content a process holds at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from tests.core.test_courier import world
from tests.dst.given import email
from tests.dst.virtual import virtually

from mailcore.errors import StoreUnavailableError
from mailcore.room import PATIENCE_S, Room
from mailcore.testing import ScriptedProvider


@asynccontextmanager
async def taken(room: Room, size: int) -> AsyncGenerator[None]:
    """Hold so much of a room for as long as the context lasts."""
    await room.take(size)
    try:
        yield
    finally:
        room.give_back(size)


@virtually
async def test_what_does_not_fit_waits_for_what_has_left() -> None:
    """No more content is held than there is room for, however many e-mails are under way."""
    room, held, most = Room(bytes=100), 0, 0

    async def carry(size: int) -> None:
        nonlocal held, most
        async with taken(room, size):
            held += size
            most = max(most, held)
            await asyncio.sleep(1)
            held -= size

    await asyncio.gather(*(carry(size) for size in (60, 30, 50, 100, 1, 40, 90)))

    assert (held, most) == (0, 100)


@virtually
async def test_small_mail_flows_on_beside_large() -> None:
    """What fits goes in past what waits for more room."""
    room, order = Room(bytes=100), list[str]()

    async def carry(name: str, size: int) -> None:
        async with taken(room, size):
            order.append(name)
            await asyncio.sleep(1)

    await asyncio.gather(carry("large", 80), carry("larger", 90), carry("small", 10))

    assert order == ["large", "small", "larger"]


@virtually
async def test_large_mail_gets_its_turn_however_much_small_mail_comes() -> None:
    """What has waited for a while is passed by nothing any more."""
    room, loop = Room(bytes=100), asyncio.get_running_loop()

    async def carry_small_mail(beat: int) -> None:
        while loop.time() < 20:
            async with taken(room, 10):
                await asyncio.sleep(0.1 + beat / 100)

    small = [asyncio.ensure_future(carry_small_mail(beat)) for beat in range(12)]
    await asyncio.sleep(1)
    async with taken(room, 90):
        assert loop.time() < 3
    await asyncio.gather(*small)


@virtually
async def test_first_come_first_served() -> None:
    """Those that wait go in as they came, also where one behind would fit before."""
    room, order = Room(bytes=100), list[int]()

    async def carry(size: int) -> None:
        async with taken(room, size):
            order.append(size)
            await asyncio.sleep(3)

    waiting = [asyncio.ensure_future(carry(size)) for size in (60, 80, 50, 70)]
    await asyncio.sleep(PATIENCE_S)
    await asyncio.gather(*waiting, carry(10))

    assert order == [60, 80, 50, 70, 10]


@virtually
async def test_what_is_larger_than_the_room_goes_in_alone() -> None:
    """Nothing waits for ever."""
    room = Room(bytes=10)

    async with taken(room, 1000):
        other = asyncio.ensure_future(room.take(1))
        await asyncio.sleep(1)
        assert not other.done()

    await asyncio.wait_for(other, 1)


@virtually
async def test_whoever_gives_up_waiting_leaves_the_room_as_it_was() -> None:
    """A cancelled wait takes nothing, and a cancelled stay gives back."""
    room = Room(bytes=10)
    inside = asyncio.ensure_future(_stay(room, 10))
    waiting = asyncio.ensure_future(_stay(room, 10))
    await asyncio.sleep(1)

    await _given_up(waiting)
    await _given_up(inside)

    newcomer = asyncio.ensure_future(room.take(10))
    await asyncio.sleep(1)
    assert newcomer.done()


@virtually
async def test_whoever_gives_up_waiting_stands_in_nobodys_way() -> None:
    """Those behind go in as soon as it has gone, from wherever among those that wait it went."""
    room = Room(bytes=10)
    async with taken(room, 5):
        first, middle, last = (asyncio.ensure_future(_stay(room, size)) for size in (10, 10, 3))
        await asyncio.sleep(PATIENCE_S)
        fitting = asyncio.ensure_future(room.take(2))
        await _given_up(middle)
        await asyncio.sleep(1)
        assert not fitting.done()

        await _given_up(first)
        await asyncio.wait_for(fitting, 1)
    await _given_up(last)


@virtually
async def test_whoever_gives_up_on_the_threshold_gives_back() -> None:
    """A wait that is cancelled in the moment in which its turn comes holds nothing."""
    room = Room(bytes=10)
    async with taken(room, 10):
        waiting = asyncio.ensure_future(_stay(room, 10))
        behind = asyncio.ensure_future(room.take(10))
        await asyncio.sleep(1)
    await _given_up(waiting)

    await asyncio.sleep(1)
    assert behind.done()


@virtually
async def test_a_courier_claims_nothing_that_there_is_no_room_for() -> None:
    """A lease runs only once the content fits: waiting for room costs no attempt."""
    one = email()
    made = world(ScriptedProvider("p1"), one=replace(one, needs=replace(one.needs, bytes=100)))
    made.courier.room = Room(bytes=150)

    async with taken(made.courier.room, 100):
        waiting = asyncio.ensure_future(made.courier.attempt("em_1"))
        await asyncio.sleep(1)
        assert made.stored().attempts == ()

    await waiting
    assert made.stored().status == "sent"


@virtually
async def test_what_an_attempt_held_it_gives_back_however_it_ends() -> None:
    """A courier whose store fails in the middle leaves the room as it was."""
    one = email()
    made = world(ScriptedProvider("p1"), one=replace(one, needs=replace(one.needs, bytes=100)))
    made.courier.room = Room(bytes=100)

    def fail(point: str) -> None:
        made.store.down = made.store.down or point == "before_claim"

    made.at_point = fail
    with pytest.raises(StoreUnavailableError):
        await made.courier.attempt("em_1")

    await asyncio.wait_for(made.courier.room.take(100), 1)


async def _stay(room: Room, size: int) -> None:
    """Hold room for a long time."""
    async with taken(room, size):
        await asyncio.sleep(1000)


async def _given_up(task: asyncio.Task[None]) -> None:
    """Cancel a task, and return once it is over."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
