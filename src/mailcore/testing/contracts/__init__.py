"""What every adapter of a port must hold to, as classes of tests to inherit (pytest with asyncio_mode "auto").

    class TestMyStore(StoreContract):
        @pytest_asyncio.fixture
        async def store(self) -> AsyncIterator[MyStore]: ...

A class supplies the fixture that its contract names; what it must give is said in the contract's docstring.
"""

from mailcore.testing.contracts.clock import ClockContract
from mailcore.testing.contracts.leasing import LeaseContract
from mailcore.testing.contracts.locking import KeysContract
from mailcore.testing.contracts.provider_health import HealthContract
from mailcore.testing.contracts.retaining import RetainingContract
from mailcore.testing.contracts.sending import ProviderContract
from mailcore.testing.contracts.stocking import StockContract
from mailcore.testing.contracts.store import StoreContract
from mailcore.testing.contracts.suppressing import SuppressionsContract
from mailcore.testing.contracts.switching import SwitchesContract
from mailcore.testing.contracts.wake_up_queue import QueueContract

__all__ = [
    "ClockContract",
    "HealthContract",
    "KeysContract",
    "LeaseContract",
    "ProviderContract",
    "QueueContract",
    "RetainingContract",
    "StockContract",
    "StoreContract",
    "SuppressionsContract",
    "SwitchesContract",
]
