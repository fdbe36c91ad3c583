"""The store in memory keeps switches and leases, and lets go, as the contracts say."""

import pytest

from mailcore.testing import MemoryStore
from mailcore.testing.contracts import KeysContract, LeaseContract, RetainingContract, SwitchesContract


class TestMemoryKeeping(SwitchesContract, LeaseContract, KeysContract, RetainingContract):
    """MemoryStore keeps all that a store may keep besides e-mails."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Return an empty store."""
        return MemoryStore()
