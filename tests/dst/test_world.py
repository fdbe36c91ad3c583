"""Whole worlds in virtual time, with workers that die, stall and stop while everything around them fails."""

import pytest
from tests.dst.world import EMAILS, live

from mailcore.lifecycle import Reason
from mailcore.testing import draws

WORLDS = 300
BLOCKS = 12


@pytest.mark.parametrize("block", range(BLOCKS))
def test_worlds_lose_nothing_and_explain_every_duplicate(block: int) -> None:
    """I1, I2, I4, I5, I7, I10–I12, I17, I21: what was accepted comes to its end, and all that happened is on record."""
    refused = failed = 0
    for seed in range(block * WORLDS // BLOCKS, (block + 1) * WORLDS // BLOCKS):
        sea = live(draws(seed))

        assert len(sea.store.emails) + sea.refused == EMAILS, f"seed {seed}"
        refused += sea.refused
        failed += sum(one.reason is Reason.SUPPRESSED for one in sea.store.emails.values())
    assert min(refused, failed) > 0


def test_a_world_is_the_same_every_time() -> None:
    """A failing seed can be replayed."""
    first, again = (live(draws(3)) for _ in range(2))

    assert first.requests == again.requests
    assert first.requests
