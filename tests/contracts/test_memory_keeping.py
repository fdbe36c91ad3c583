"""The store in memory keeps switches, leases and whatever else, and lets go, as the contracts say."""

import pytest

from mailcore.testing import MemoryStore
from mailcore.testing.contracts import (
    KeysContract,
    LeaseContract,
    RetainingContract,
    SuppressionsContract,
    SwitchesContract,
)


class TestMemoryKeeping(SwitchesContract, LeaseContract, KeysContract, SuppressionsContract, RetainingContract):
    """MemoryStore keeps all that a store may keep besides e-mails."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()
