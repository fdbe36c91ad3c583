"""The embedded store keeps switches, leases and whatever else, and lets go, as the contracts say."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailadapters.sqlite import SqliteStore, open_store
from mailcore.testing.contracts import (
    KeysContract,
    LeaseContract,
    RetainingContract,
    SuppressionsContract,
    SwitchesContract,
)


class TestSqliteKeeping(SwitchesContract, LeaseContract, KeysContract, SuppressionsContract, RetainingContract):
    """SqliteStore keeps all that a store may keep besides e-mails."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """Yield an empty store in a file of its own."""
        store = open_store(f"sqlite:///{tmp_path}/mail.db")
        yield store
        await store.aclose()
