"""All workers go by the store server's time, whatever their own clocks say."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect
from tests.e2e.town import until

from mailadapters.mongo import MongoClock, clock, open_store
from mailcore.errors import StoreUnavailableError
from mailcore.ports import HasClock
from mailcore.testing import ManualClock
from mailcore.testing.contracts.examples import NOW

THERE = datetime(2031, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)


class Admin:
    """A server that tells a time, after a while.

    Attributes:
        fails: So many of the next questions it does not answer.
        often: It was asked more than five times.
    """

    def __init__(self, here: ManualClock) -> None:
        self.tells = THERE
        self.takes = 0.0
        self.asked = 0
        self.often = asyncio.Event()
        self.fails = 0
        self._here = here

    @property
    def admin(self) -> "Admin":
        """The database that commands to the server go to."""
        return self

    async def command(self, name: str) -> dict[str, Any]:
        """Answer as the driver hands an answer on."""
        assert name == "isMaster"
        self.asked += 1
        if self.asked > 5:
            self.often.set()
        if self.fails:
            self.fails -= 1
            raise AutoReconnect("gone")
        self._here.advance(self.takes)
        return {"localTime": self.tells}


@pytest.fixture
def here() -> ManualClock:
    """Return the clock of this process."""
    return ManualClock(NOW, monotonic=100.0)


@pytest.fixture
def there(here: ManualClock) -> Admin:
    """Return the server."""
    return Admin(here)


@pytest.fixture
def ours(here: ManualClock, there: Admin) -> MongoClock:
    """Return a clock that has not sampled yet."""
    return MongoClock(there, here.monotonic)  # type: ignore[arg-type] # all that it asks of a client


def test_without_a_sample_there_is_no_time(ours: MongoClock) -> None:
    """Nobody claims anything by a clock that nobody shares: no sample, no claim (I18)."""
    with pytest.raises(StoreUnavailableError):
        ours.now()


async def test_it_goes_on_from_the_servers_time(ours: MongoClock, here: ManualClock) -> None:
    """Between samples the monotonic clock tells how much time has passed."""
    await ours.sample()

    here.advance(12.3456)

    assert ours.now() == THERE + timedelta(milliseconds=12345)


async def test_a_jump_of_the_wall_clock_changes_nothing(ours: MongoClock, here: ManualClock) -> None:
    """A worker whose clock was set sends nothing early, and takes nobody's lease (I18, C1)."""
    await ours.sample()

    here.set(NOW + timedelta(days=400))

    assert ours.now() == THERE


async def test_it_is_never_ahead_of_the_server(ours: MongoClock, there: Admin) -> None:
    """The time counts from when the answer came, so that a scheduled e-mail is never early (I17)."""
    there.takes = 0.4

    await ours.sample()

    assert ours.now() == THERE


async def test_an_answer_that_took_long_does_not_count(ours: MongoClock, there: Admin) -> None:
    """What the server said long ago would set the clock back; the sample before is better."""
    await ours.sample()
    there.takes, there.tells = clock.PROMPT + 1, THERE - timedelta(hours=1)

    await ours.sample()

    assert ours.now() == THERE + timedelta(seconds=there.takes)


async def test_a_first_answer_counts_however_long_it_took(ours: MongoClock, there: Admin) -> None:
    """A slow server does not keep a process from starting."""
    there.takes = clock.PROMPT + 1

    await ours.sample()

    assert ours.now() == THERE


async def test_after_a_standstill_any_answer_counts(ours: MongoClock, there: Admin) -> None:
    """A frozen process may have had no time at all: a time that is a little behind is better than hours."""
    await ours.sample()
    there.tells, there.takes = THERE + timedelta(hours=1), clock.PROMPT * 2

    await ours.sample(however_slow=True)

    assert ours.now() == THERE + timedelta(hours=1)


async def test_the_background_samples_again_and_again(there: Admin, here: ManualClock) -> None:
    """The clock follows the server's, and while the server does not answer it goes on from the last sample (I18)."""
    ours = MongoClock(there, here.monotonic, every=0.0)  # type: ignore[arg-type] # all that it asks of a client
    await ours.sample()
    there.tells = THERE + timedelta(hours=1)

    ours.keep_sampling()
    there.fails = 2
    async with asyncio.timeout(5):
        await there.often.wait()
    await ours.aclose()

    assert ours.now() == THERE + timedelta(hours=1)


async def test_the_background_has_all_the_time_that_it_needs(mongo_url: str) -> None:
    """It begins within a call of the store, whose end is not its own: a clock that is not set again goes astray."""
    async with AsyncMongoClient[dict[str, Any]](mongo_url, tz_aware=True) as client:
        ours = MongoClock(client, lambda: 0.0, every=0.1)  # it stands still but for the samples
        await ours.sample()
        first = ours.now()

        with pymongo.timeout(0.05):
            ours.keep_sampling()

        async def is_set() -> bool:
            return ours.now() > first

        assert await until("it is set again", is_set, within_s=10)
        await ours.aclose()


async def test_the_store_lends_its_clock(mongo_url: str) -> None:
    """Whoever puts an engine together finds that this store has a clock for all, which tells the server's time."""
    store = open_store(mongo_url)
    assert isinstance(store, HasClock)

    await store.open()

    assert store.clock.now() > datetime(2020, 1, 1, tzinfo=UTC)
    await store.aclose()
