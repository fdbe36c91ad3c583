"""Every guard of the core is missed when it is taken away."""

import pytest
from tests.dst.hunt import MUTANTS, PINS, complaint, mutated
from tests.dst.mutants import Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard.replace(" ", "-"))
def test_a_guard_that_is_taken_away_is_missed(mutant: Mutant) -> None:
    """At its pinned seed the simulation breaks without the guard, by an invariant and by no accident."""
    seed = PINS[mutant.guard]

    found = complaint(mutant, range(seed, seed + 1))

    assert "BrokenError" in found, f"find a new seed: nox -s mutants ({found})"


def test_with_all_guards_the_pinned_seeds_hold() -> None:
    """What breaks a mutant breaks nothing else."""
    whole = Mutant(guard="none", file="mailcore/plan.py", old="def recovered(", new="def recovered(")

    assert [complaint(whole, range(seed, seed + 1)) for seed in sorted(set(PINS.values()))[:5]] == [""] * 5


def test_a_guard_that_moved_is_noticed() -> None:
    """A mutant whose text is not there any more is an error, not a guard that is safe."""
    with (
        pytest.raises(LookupError, match="mend its mutant"),
        mutated(Mutant(guard="gone", file="mailcore/plan.py", old="no such text", new="")),
    ):
        pass


def test_there_are_at_least_twelve() -> None:
    """The list of guards does not shrink unseen, and each has a name of its own."""
    assert len({mutant.guard for mutant in MUTANTS}) == len(MUTANTS) >= 12
