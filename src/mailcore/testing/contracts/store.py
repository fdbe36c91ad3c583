"""What every EmailStore must hold to."""

from __future__ import annotations

from mailcore.testing.contracts.adding import AddingContract
from mailcore.testing.contracts.listing import ListingContract
from mailcore.testing.contracts.roundtrip import RoundTripContract
from mailcore.testing.contracts.saving import SavingContract
from mailcore.testing.contracts.taking import TakingContract


class StoreContract(AddingContract, SavingContract, RoundTripContract, TakingContract, ListingContract):
    """All of it. The fixture `store` gives an empty store, and closes it after the test."""
