"""The embedded store holds to the contracts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailadapters.sqlite import SqliteHealth, SqliteStore, open_store
from mailcore.testing.contracts import HealthContract, StockContract, StoreContract


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Yield an empty store in a file of its own."""
    store = open_store(f"sqlite:///{tmp_path}/mail.db")
    yield store
    await store.aclose()


class TestSqliteStore(StoreContract, StockContract):
    """SqliteStore is an EmailStore that takes stock."""


class TestSqliteHealth(HealthContract):
    """SqliteHealth is a ProviderHealth."""

    @pytest.fixture
    def health(self, store: SqliteStore) -> SqliteHealth:
        """Return the health in the store's file."""
        return store.health
