"""The suppression list as a process knows it: what it costs, how fresh it is, and what a failure to read it means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import World

from mailcore.errors import InvalidMessageError, SettingsError, StoreUnavailableError
from mailcore.suppression import Suppression
from mailcore.suppression_list import FRESH_FOR, SuppressionList
from mailcore.testing import ManualClock, MemoryStore
from mailcore.testing.contracts.examples import NOW
from mailcore.testing.contracts.suppressing import BOUNCED, suppressed

ANN = BOUNCED.address
MILLISECOND = timedelta(milliseconds=1)


class AskedStore(MemoryStore):
    """A store that writes down how it was asked, and can be told what to do before it answers.

    Attributes:
        asked: The questions, oldest first.
        before_answering: Is awaited between the look at the list and the answer whether there is any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.before_answering: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def has_suppressions(self) -> bool:
        """As the port says."""
        self.asked.append("any")
        there = await super().has_suppressions()
        await self.before_answering()
        return there

    async def find_suppressions(self, tenant: str, mailboxes: Sequence[str]) -> Sequence[Suppression]:
        """As the port says."""
        self.asked.append("found")
        return await super().find_suppressions(tenant, mailboxes)


class PlainStore:
    """A store that keeps no suppressions."""


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(NOW)


@pytest.fixture
def store() -> AskedStore:
    """Return an empty store."""
    return AskedStore()


@pytest.fixture
def known(store: AskedStore, clock: ManualClock) -> SuppressionList:
    """Return the list as a process knows it that has just started."""
    return SuppressionList(ports=World(store=store, clock=clock).ports)


async def told(known: SuppressionList, *addresses: str) -> list[Suppression]:
    """Return what is found among the recipients of an e-mail of the shop's."""
    return list(await known.among("shop", addresses or (ANN,)))


async def test_an_empty_list_costs_a_question_every_two_seconds(
    known: SuppressionList, store: AskedStore, clock: ManualClock
) -> None:
    """Whoever keeps no list pays nothing for an e-mail, however many there are."""
    for _ in range(10):
        for _ in range(100):
            assert await told(known) == []
        clock.advance(FRESH_FOR)

    assert store.asked == ["any"] * 10


async def test_the_first_suppression_of_another_process_is_obeyed_within_two_seconds(
    known: SuppressionList, store: AskedStore, clock: ManualClock
) -> None:
    """An empty list passes for empty so long, and not a moment longer."""
    assert await told(known) == []
    await store.save_suppressions([BOUNCED])

    clock.advance(FRESH_FOR - MILLISECOND)
    before = await told(known)
    clock.advance(MILLISECOND)

    assert before == []
    assert await told(known) == [BOUNCED]


async def test_who_stood_still_doubts_what_he_read(known: SuppressionList, store: AskedStore) -> None:
    """A process whose clock may have stood still with it asks again at once."""
    assert await told(known) == []
    await store.save_suppressions([BOUNCED])

    known.doubt()

    assert await told(known) == [BOUNCED]


async def test_a_list_that_is_in_use_is_read_for_every_email(
    known: SuppressionList, store: AskedStore, clock: ManualClock
) -> None:
    """Another suppression, and the lifting of one, are obeyed at once by all; nothing of them is remembered."""
    await store.save_suppressions([BOUNCED, suppressed("bob")])
    first = await told(known, ANN, "bob@example.com", "eve@example.com")
    await store.save_suppressions([suppressed("eve")])
    await store.delete_suppression("shop", ANN)
    clock.advance(FRESH_FOR / 2)

    second = await told(known, ANN, "bob@example.com", "eve@example.com")

    assert {one.mailbox for one in first} == {ANN, "bob@example.com"}
    assert {one.mailbox for one in second} == {"bob@example.com", "eve@example.com"}
    assert store.asked == ["any", "found", "found"]


async def test_the_process_that_adds_one_obeys_at_once(known: SuppressionList, store: AskedStore) -> None:
    """Whoever has just been told that an address is suppressed sees nothing go there."""
    assert await told(known) == []

    await known.add([BOUNCED])

    assert await told(known) == [BOUNCED]
    assert store.asked == ["any", "any", "found"]


async def test_one_that_is_added_while_the_flag_is_read_is_not_lost(known: SuppressionList, store: AskedStore) -> None:
    """The answer that there is none was true when it was given, and is not gone by any more."""
    store.before_answering = lambda: known.add([BOUNCED])

    found = await told(known)

    assert found == [BOUNCED]
    assert await told(known) == [BOUNCED]


async def test_who_asks_while_the_flag_is_read_looks_for_himself(
    known: SuppressionList, store: AskedStore, clock: ManualClock
) -> None:
    """Nobody goes by an answer that is no longer fresh because a fresh one is on its way."""
    assert await told(known) == []
    await store.save_suppressions([BOUNCED])
    clock.advance(FRESH_FOR)

    found = await asyncio.gather(*(told(known) for _ in range(5)))

    assert found == [[BOUNCED]] * 5


async def test_after_a_question_without_an_answer_there_might_be_one(
    known: SuppressionList, store: AskedStore, clock: ManualClock
) -> None:
    """A store that failed once is not taken for the empty one that it was before."""
    assert await told(known) == []
    await store.save_suppressions([BOUNCED])
    clock.advance(FRESH_FOR)

    store.down = True
    with pytest.raises(StoreUnavailableError):
        await told(known)
    store.down = False

    assert await told(known) == [BOUNCED]


async def test_only_what_is_in_force_is_found(known: SuppressionList, store: AskedStore, clock: ManualClock) -> None:
    """One that has ended counts no more, though the store may still have it; and each tenant has its own."""
    ends = replace(BOUNCED, expires_at=NOW + MILLISECOND)
    await store.save_suppressions([ends, suppressed("bob", tenant="bank")])

    before = await told(known, "ANN@example.com", "bob@example.com")
    clock.advance(MILLISECOND)

    assert before == [ends]
    assert await told(known, "ANN@example.com") == []


async def test_an_address_is_kept_normalised_and_lifted_however_it_is_written(
    known: SuppressionList, store: AskedStore
) -> None:
    """What was suppressed in one spelling is found and lifted in another."""
    await known.add([replace(BOUNCED, address="Ann@XN--BCHER-KVA.example")])

    found = await told(known, "ann@bücher.example")
    lifted = [await known.lift("shop", f"Ann <{one}@bücher.EXAMPLE>") for one in ("ANN", "ann")]

    assert [one.address for one in found] == ["Ann@bücher.example"]
    assert lifted == [True, False]
    assert store.suppressions == {}


async def test_what_is_no_address_is_neither_suppressed_nor_lifted(known: SuppressionList, store: AskedStore) -> None:
    """Of a list with a mistake in it nothing is kept, and the mistake is pointed to."""
    with pytest.raises(InvalidMessageError, match="/1/address"):
        await known.add([BOUNCED, replace(BOUNCED, address="ann")])
    with pytest.raises(InvalidMessageError, match="/address"):
        await known.lift("shop", "ann")

    assert store.suppressions == {}


async def test_a_store_without_a_list_suppresses_nobody(clock: ManualClock) -> None:
    """A library's user may bring a store of his own without one; he hears of it when he wants to suppress somebody."""
    known = SuppressionList(ports=World(store=PlainStore(), clock=clock).ports)  # type: ignore[arg-type] # no list

    assert await told(known) == []
    with pytest.raises(SettingsError, match="add-a-store"):
        await known.add([BOUNCED])
