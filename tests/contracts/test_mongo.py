"""The store for many machines holds to the contracts."""

from collections.abc import AsyncIterator

import pytest

from mailadapters.mongo import MongoClock, MongoHealth, MongoStore, open_store
from mailcore.testing.contracts import (
    ClockContract,
    HealthContract,
    KeysContract,
    LeaseContract,
    RetainingContract,
    StockContract,
    StoreContract,
    SuppressionsContract,
    SwitchesContract,
)


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[MongoStore]:
    """Yield an empty store in a database of its own."""
    store = open_store(f"{mongo_url}?timeoutMS=20000")
    await store.open()
    yield store
    await store.aclose()


class TestMongoStore(StoreContract, StockContract):
    """MongoStore is an EmailStore that takes stock."""


class TestMongoKeeping(SwitchesContract, LeaseContract, KeysContract, SuppressionsContract):
    """MongoStore keeps switches, leases, API keys and a suppression list."""


class TestMongoRetaining(RetainingContract):
    """MongoStore can let go of what it keeps."""


class TestMongoHealth(HealthContract):
    """MongoHealth is a ProviderHealth."""

    @pytest.fixture
    def health(self, store: MongoStore) -> MongoHealth:
        """Return the health in the store's database."""
        return store.health


class TestMongoClock(ClockContract):
    """MongoClock is a Clock."""

    @pytest.fixture
    def clock(self, store: MongoStore) -> MongoClock:
        """Return the clock of the store's server."""
        return store.clock
