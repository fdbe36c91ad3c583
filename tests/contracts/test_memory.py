"""The fakes hold to the contracts, so that what is seen with them is seen with the real adapters."""

from collections.abc import Sequence

import pytest

from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.outcome import Accepted, Outcome
from mailcore.testing import ManualClock, MemoryHealth, MemoryQueue, MemoryStore, ScriptedProvider
from mailcore.testing.contracts import (
    ClockContract,
    HealthContract,
    ProviderContract,
    QueueContract,
    StockContract,
    StoreContract,
)


class TestMemoryStore(StoreContract, StockContract):
    """MemoryStore is an EmailStore that takes stock."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()


class TestMemoryQueue(QueueContract[MemoryQueue]):
    """MemoryQueue is a WakeUpQueue."""

    @pytest.fixture
    def queue(self) -> MemoryQueue:
        """Return an empty queue."""
        return MemoryQueue()

    async def woken(self, queue: MemoryQueue, lane: Lane) -> Sequence[EmailId]:
        """Return what it remembers of a lane."""
        return [email_id for of, email_id in queue.enqueued if of is lane]

    async def buried(self, queue: MemoryQueue) -> Sequence[tuple[EmailId, str]]:
        """Return what it remembers."""
        return queue.buried


class TestMemoryHealth(HealthContract):
    """MemoryHealth is a ProviderHealth."""

    @pytest.fixture
    def health(self) -> MemoryHealth:
        """Return one that runs every change twice."""
        return MemoryHealth()


class TestScriptedProvider(ProviderContract[ScriptedProvider]):
    """ScriptedProvider is a Provider."""

    @pytest.fixture
    def provider(self) -> ScriptedProvider:
        """Return one that accepts."""
        return ScriptedProvider()

    async def scripted(self, provider: ScriptedProvider, outcome: Outcome) -> None:
        """Replace its script."""
        provider.script(lambda _: outcome)


class TestManualClock(ClockContract):
    """ManualClock is a Clock."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return one that stands still."""
        return ManualClock()


async def test_a_contract_says_what_its_user_has_left_out() -> None:
    """Whoever holds an adapter to a contract is told which hook is his to write."""
    queue, provider = MemoryQueue(), ScriptedProvider("p1")

    with pytest.raises(AssertionError, match="say how to see what arrived in the lane bulk"):
        await QueueContract[MemoryQueue]().woken(queue, Lane.BULK)
    with pytest.raises(AssertionError, match="say how to see what was buried"):
        await QueueContract[MemoryQueue]().buried(queue)
    with pytest.raises(AssertionError, match="say how to script the service of p1"):
        await ProviderContract[ScriptedProvider]().scripted(provider, Accepted())
