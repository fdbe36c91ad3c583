"""The contracts as classes to inherit from."""

from collections import Counter
from inspect import getmembers, isfunction

from mailcore.testing import contracts

STORES = ("KeysContract", "LeaseContract", "RetainingContract", "StockContract", "StoreContract")
STORES += ("SuppressionsContract", "SwitchesContract")


def test_no_contract_of_a_store_hides_anothers_test() -> None:
    """A store's tests may inherit from all of them at once, and then of two tests of one name one would not run."""
    kinds = [getattr(contracts, name) for name in STORES]

    named = Counter(name for kind in kinds for name, _ in getmembers(kind, isfunction) if name.startswith("test_"))

    assert [name for name, times in named.items() if times > 1] == []
    assert {name for name in contracts.__all__ if name not in STORES} == {
        "ClockContract",
        "HealthContract",
        "ProviderContract",
        "QueueContract",
    }
