"""A scrape: all metrics in the text form, gauges as they are at that moment, and labels that cannot grow."""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count

import pytest
from msgspec.structs import replace
from tests.apps.api.world import World, message
from tests.apps.metrics.numbers import Numbers, labels, numbers, total

from mailapps.logs import set_up
from mailapps.metrics.catalogue import CATALOGUE
from mailapps.metrics.counting import Tally
from mailapps.metrics.gauges import Stocktaker
from mailapps.metrics.scraping import Scrape
from mailapps.settings import LogSettings
from mailcore.breaker import Breaker, State
from mailcore.events import Event, Happening
from mailcore.health import Health
from mailcore.lifecycle import Status
from mailcore.message import Lane
from mailcore.retry import RetryBudget
from mailcore.stock import Pile
from mailcore.testing import ManualClock, MemoryHealth, MemoryStore
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, queued


def scrape_of(world: World, *, carries: bool = True) -> Scrape:
    """Return what answers scrapes of a world in memory."""
    made = world.assemble()
    stocktaker = Stocktaker(world.store, world.clock.monotonic)
    return Scrape(
        tally=Tally(["first"]), assembled=made, stocktaker=stocktaker, carries=carries, version="1.2.3", role="up"
    )


async def scraped(world: World, *, carries: bool = True) -> Numbers:
    """Return the numbers of one scrape."""
    return numbers(await scrape_of(world, carries=carries).text())


class SlowStore(MemoryStore):
    """A store that takes its time to count."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.asked = 0

    async def stock(self) -> list[Pile]:
        """Take three seconds."""
        self.asked += 1
        self.clock.advance(3)
        return list(await super().stock())


class BusyHealth(MemoryHealth):
    """A shared health that takes its time, in which something else happens."""

    meanwhile: Callable[[], Awaitable[None]]

    async def load(self) -> dict[str, Health]:
        """Let something happen first."""
        await self.meanwhile()
        return dict(await super().load())


class StoreOfAnotherRelease(MemoryStore):
    """A store that has passed over three records."""

    unreadable = 3


class PlainStore:
    """A store of somebody else's, that counts but takes no stock."""

    def __init__(self, store: MemoryStore) -> None:
        self.count = store.count


async def test_a_scrape_has_every_metric_of_the_catalogue() -> None:
    """What the page lists can be scraped, with the help that the page shows."""
    text = (await scrape_of(World()).text()).decode()

    assert [one.name for one in CATALOGUE if f"# HELP {one.name} {one.help}\n" not in text] == []
    assert [one.name for one in CATALOGUE if f"# TYPE {one.name} {one.kind}\n" not in text] == []


async def test_the_unfinished_are_counted_by_lane_and_status_and_the_oldest_due_has_an_age() -> None:
    """A backlog shows by its size, and a stalled delivery by its age."""
    world = World()
    now = world.clock.now()
    for number in range(3):
        await world.store.add(queued(f"em_{number}", due_at=now - number * MINUTE), MESSAGE)
    await world.store.add(queued("em_later", lane=Lane.BULK, status=Status.SCHEDULED, due_at=now + MINUTE), MESSAGE)

    found = await scraped(world)

    assert total(found, "mailcore_unfinished_emails", lane="transactional", status="queued") == 3
    assert total(found, "mailcore_unfinished_emails") == 4
    assert total(found, "mailcore_oldest_due_seconds", lane="transactional") == 120
    assert total(found, "mailcore_oldest_due_seconds", lane="bulk") == 0


async def test_a_provider_shows_its_breaker_its_obstacle_and_its_budget() -> None:
    """An open breaker is one series at 1, the other states at 0."""
    world = World()
    now = world.clock.now()
    opened = replace(Breaker(), state=State.OPEN, opened_at=now, reopens_at=now + MINUTE)
    world.health.known["first"] = Health(breaker=opened, budget=RetryBudget(balance=7.0, at=now))

    found = await scraped(world)

    assert found["mailcore_provider_breaker", labels(provider="first", state="open")] == 1
    assert total(found, "mailcore_provider_breaker") == 1
    assert found["mailcore_provider_obstacle", labels(provider="first", obstacle="open")] == 1
    assert found["mailcore_provider_retry_budget", labels(provider="first")] == 7


async def test_what_only_another_release_understands_is_counted() -> None:
    """I42: while two releases run side by side, it shows how much one of them passes over."""
    world = World(store=StoreOfAnotherRelease())

    found = await scraped(world)

    assert found["mailcore_unreadable_records_total", labels(of="store")] == 3
    assert ("mailcore_unreadable_records_total", labels(of="health")) not in found


@pytest.mark.usefixtures("own_logging")
async def test_log_lines_that_could_not_be_written_are_counted() -> None:
    """When the log is silent, its reader can see that it was not for want of news."""
    before = (await scraped(World()))["mailcore_dropped_log_lines_total", labels()]
    stream = io.StringIO()
    set_up(LogSettings(), stream)
    stream.close()
    logging.getLogger("a.library").error("away")

    found = await scraped(World())

    assert (before, found["mailcore_dropped_log_lines_total", labels()]) == (0, 1)


async def test_what_happens_in_the_course_of_a_scrape_is_on_both_sides_of_the_sum() -> None:
    """I39: the counters are those of the moment at which the store was counted, though much else is asked meanwhile."""
    busy = BusyHealth()
    world = World(health=busy)
    scrape = scrape_of(world)
    submitted = count()

    async def submit() -> None:
        email = queued(f"em_{next(submitted)}")
        await world.store.add(email, MESSAGE)
        scrape.tally.watch(Event(what=Happening.SUBMITTED, email_id=email.id, email=email))

    busy.meanwhile = submit
    found = numbers(await scrape.text())

    assert total(found, "mailcore_accepted_total") == total(found, "mailcore_unfinished_emails") > 0


async def test_the_age_of_a_count_begins_with_the_count() -> None:
    """What a store that is slow to count says is as old as the question, not as young as the answer."""
    clock = ManualClock()
    stocktaker = Stocktaker(SlowStore(clock), clock.monotonic)

    await stocktaker.latest()

    assert {metric.name: value for metric, _, value in stocktaker.samples(NOW)}["mailcore_stock_age_seconds"] == 3


async def test_only_a_process_that_sends_shows_slots() -> None:
    """An API without an engine would look idle for ever."""
    carrying, api = await scraped(World()), await scraped(World(), carries=False)

    assert total(carrying, "mailcore_slots") == total(carrying, "mailcore_slots_free") == 256
    assert not any(name == "mailcore_slots" for name, _ in api)


async def test_a_store_that_is_down_leaves_the_counters() -> None:
    """A scrape answers whatever fails: that is when it is needed."""
    world = World()
    world.store.down = True

    found = await scraped(world)

    assert total(found, "mailcore_slots") == 256
    assert not any(name == "mailcore_unfinished_emails" for name, _ in found)


async def test_a_store_is_counted_seldom_and_the_more_so_the_longer_it_takes() -> None:
    """Looking costs the store 5 % of its time at most, however often somebody scrapes."""
    clock = ManualClock()
    store = SlowStore(clock)
    stocktaker = Stocktaker(store, clock.monotonic)

    await stocktaker.latest()
    clock.advance(59)
    await stocktaker.latest()
    before = store.asked
    clock.advance(2)
    await stocktaker.latest()

    assert (before, store.asked) == (1, 2)


async def test_a_store_that_takes_no_stock_is_counted_status_by_status() -> None:
    """A store of somebody else's shows its backlog too; how old it is nobody knows."""
    store = MemoryStore()
    await store.add(queued(due_at=NOW - MINUTE), MESSAGE)
    stocktaker = Stocktaker(PlainStore(store), ManualClock().monotonic)

    await stocktaker.latest()

    found = {(metric.name, labels): value for metric, labels, value in stocktaker.samples(NOW)}
    assert found["mailcore_unfinished_emails", ("transactional", "queued")] == 1
    assert found["mailcore_oldest_due_seconds", ("transactional",)] == 0


async def test_nothing_of_a_message_is_in_a_scrape() -> None:
    """I40: no address, subject, text, tag, metadata or id, however an e-mail ends."""
    world = World()
    canary = "canary77"
    sent = message(
        to=[f"{canary}@{canary}.example"], subject=canary, text=canary, tags=[canary], metadata={canary: canary}
    )
    async with world.client() as api:
        email_id = (await api.post("/api/emails", json=sent)).json()["id"]
        await world.failed(api, subject=canary)
    await world.attempt(email_id)
    world.clock.advance(timedelta(seconds=30))

    text = (await scrape_of(world).text()).decode()

    assert canary not in text
    assert email_id not in text
