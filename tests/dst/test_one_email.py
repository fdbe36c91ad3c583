"""One e-mail under every interleaving, crash, pause and answer: what the core promises holds after each step."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.dst.one_email import FOCUSES, OUTCOMES, TICKS, OneEmail, Setting, walk

from mailcore.message import OnUnknown
from mailcore.testing import draws

WALKS = 400
SETTINGS = st.builds(
    Setting,
    on_unknown=st.sampled_from(OnUnknown),
    providers=st.sampled_from([1, 2]),
    dedupes=st.booleans(),
    scheduled=st.booleans(),
    max_rounds=st.sampled_from([None, 1]),
    half_open=st.booleans(),
)


@pytest.mark.parametrize("block", range(4))
def test_random_walks_break_no_invariant(block: int) -> None:
    """I2, I5–I11, I17, I19–I21, I32 and I37 hold on walks of sixty moves; a failure names its seed and its moves."""
    for seed in range(block * WALKS // 4, (block + 1) * WALKS // 4):
        assert walk(draws(seed)), f"seed {seed}"


def test_a_walk_is_the_same_every_time() -> None:
    """A failing seed can be replayed."""
    assert walk(draws(7)) == walk(draws(7))


class OneEmailMachine(RuleBasedStateMachine):
    """The same moves, chosen and shrunk by Hypothesis."""

    world: OneEmail

    @initialize(setting=SETTINGS)
    def begin(self, setting: Setting) -> None:
        """Accept an e-mail."""
        self.world = OneEmail(setting)

    def _of(self, kind: str) -> list[tuple[str, ...]]:
        """Return the moves of a kind that can be made now."""
        return [move for move in self.world.moves_now() if move[0] == kind]

    def _make(self, kind: str, pick: int) -> None:
        """Make one of the moves of a kind."""
        able = self._of(kind)
        self.world.move(*able[pick % len(able)])

    @rule(seconds=st.sampled_from(TICKS))
    def tick(self, seconds: int) -> None:
        """Let time pass."""
        self.world.move("tick", str(seconds))

    @precondition(lambda self: self._of("hint"))
    @rule(pick=st.integers(0, 1))
    def hint(self, pick: int) -> None:
        """Wake an idle worker up."""
        self._make("hint", pick)

    @precondition(lambda self: self._of("step"))
    @rule(pick=st.integers(0, 2))
    def step(self, pick: int) -> None:
        """Let somebody do what it stands before."""
        self._make("step", pick)

    @precondition(lambda self: self._of("answer"))
    @rule(outcome=st.sampled_from(sorted(OUTCOMES)), pick=st.integers(0, 1))
    def answer(self, outcome: str, pick: int) -> None:
        """Let a provider answer."""
        able = [move for move in self._of("answer") if move[2] == outcome]
        self.world.move(*able[pick % len(able)])

    @precondition(lambda self: self._of("crash"))
    @rule(pick=st.integers(0, 3))
    def crash(self, pick: int) -> None:
        """Kill a worker where it stands."""
        self._make("crash", pick)

    @precondition(lambda self: self._of("stop"))
    @rule(pick=st.integers(0, 1))
    def stop(self, pick: int) -> None:
        """Ask a worker politely to stop."""
        self._make("stop", pick)

    @precondition(lambda self: self._of("ask"))
    @rule(pick=st.integers(0, 5))
    def ask(self, pick: int) -> None:
        """Ask something as a person."""
        self._make("ask", pick)

    @rule()
    def lose_answer(self) -> None:
        """Let the store's next answer be lost."""
        self.world.move("lose_answer")

    def teardown(self) -> None:
        """I2: once everything is healed the e-mail comes to its end."""
        if hasattr(self, "world"):
            try:
                self.world.drain()
            finally:
                self.world.close()


TestOneEmail = OneEmailMachine.TestCase
TestOneEmail.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=list(HealthCheck),
)


def test_every_focus_is_walked() -> None:
    """Rare paths have walks of their own."""
    assert {"crashes", "unknown", "late", "age"} <= set(FOCUSES)
