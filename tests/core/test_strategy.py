"""The MTA strategies: whom each prefers, in which shares, and whether it can say why."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.provider import Capabilities, ProviderView
from mailcore.standing import Standing
from mailcore.strategy import BAND, STRATEGIES, Strategy, preferred_band, priority, weighted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CAPABILITIES = Capabilities(max_bytes=1, max_recipients=1, features=frozenset(), dedupe_window=timedelta(0))
DRAWS = [(i + 0.5) / 20_000 for i in range(20_000)]


def view(name: str, score: float, weight: float = 1.0) -> ProviderView:
    """Return a provider that takes attempts, with a score and a weight."""
    here = Standing(obstacle=None, available_at=None, generation=0, probe=False, permits=0, score=score, share=1.0)
    return ProviderView(name=name, capabilities=CAPABILITIES, standing=here, weight=weight)


VIEWS = st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.001, 1000)), min_size=1, max_size=8).map(
    lambda pairs: [view(f"p{i}", score, weight) for i, (score, weight) in enumerate(pairs)]
)
ANY_DRAW = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.01, 1 - 2**-53])


def shares(strategy: Strategy, views: list[ProviderView]) -> dict[str, float]:
    """Return which share of evenly spread draws goes to each provider."""
    counts = Counter(strategy(views, NOW, u).provider for u in DRAWS)
    return {name: count / len(DRAWS) for name, count in counts.items()}


@given(VIEWS, ANY_DRAW, st.sampled_from(sorted(STRATEGIES)))
def test_a_strategy_chooses_one_of_the_candidates_and_says_why(views: list[ProviderView], u: float, name: str) -> None:
    """Whatever the scores, weights and draws, the choice is a candidate, and its sentence has numbers."""
    choice = STRATEGIES[name](views, NOW, u)

    assert choice.provider in {one.name for one in views}
    assert any(character.isdigit() for character in choice.why)
    assert len(choice.why) < 100


@given(VIEWS, ANY_DRAW)
def test_the_same_draw_chooses_the_same(views: list[ProviderView], u: float) -> None:
    """W5: a replay with the same values and draws goes to the same provider, for the same reason."""
    choices = {preferred_band(views, NOW, u) for _ in range(2)}

    assert len(choices) == 1


@given(VIEWS, ANY_DRAW)
def test_outside_the_band_a_provider_is_only_explored(views: list[ProviderView], u: float) -> None:
    """A provider whose score is more than 0.05 below the best gets mail only from the first draws of all."""
    best = max(one.standing.score for one in views)
    bad = {one.name for one in views if one.standing.score < best - BAND}

    choice = preferred_band(views, NOW, u)

    assert (choice.provider in bad) == (u < 0.01 * len(bad))


def test_within_the_band_weights_decide() -> None:
    """Noise in the scores does not move shares: 0.931 and 0.98 share mail as the operator said, 20 to 80."""
    found = shares(preferred_band, [view("a", 0.98, 80), view("b", 0.931, 20)])
    outside = shares(preferred_band, [view("a", 0.98, 80), view("b", 0.929, 20)])

    assert outside["b"] == pytest.approx(0.01, abs=1e-4)
    assert found == {"a": pytest.approx(0.8, abs=1e-4), "b": pytest.approx(0.2, abs=1e-4)}


def test_one_draw_serves_exploring_and_weighing_without_bias() -> None:
    """Each of two bad providers gets 1 %, the good ones the rest by weight, though there is only one draw."""
    views = [view("a", 0.97, 3), view("bad", 0.5, 50), view("b", 0.95, 1), view("worse", 0.1, 9)]

    found = shares(preferred_band, views)

    expected = {"a": 0.98 * 0.75, "b": 0.98 * 0.25, "bad": 0.01, "worse": 0.01}
    assert found == pytest.approx(expected, abs=1e-4)


def test_exploring_never_takes_more_than_half() -> None:
    """With a hundred bad providers half of the mail still goes to the good one."""
    found = shares(preferred_band, [view("good", 0.9), *(view(f"bad{i}", 0.1) for i in range(100))])

    assert found["good"] == pytest.approx(0.5, abs=1e-4)


def test_an_equally_bad_pair_keeps_its_weights() -> None:
    """SB7: with both at 60 % nobody is excluded."""
    found = shares(preferred_band, [view("a", 0.6, 80), view("b", 0.58, 20)])

    assert found["b"] == pytest.approx(0.2, abs=1e-4)


@given(VIEWS, ANY_DRAW)
def test_priority_takes_the_first(views: list[ProviderView], u: float) -> None:
    """Strict order: the first that is available, whatever its score and weight."""
    choice = priority(views, NOW, u)

    assert choice.provider == views[0].name


def test_weighted_does_not_look_at_scores() -> None:
    """Static shares: 1 to 3, though the scores are 0.1 and 0.9."""
    found = shares(weighted, [view("a", 0.1, 1), view("b", 0.9, 3)])

    assert found == pytest.approx({"a": 0.25, "b": 0.75}, abs=1e-4)


def test_the_reasons_read_well() -> None:
    """What an attempt's timeline shows is one short sentence for a person."""
    views = [view("a", 0.98, 80), view("b", 0.5, 20)]

    reasons = [
        preferred_band([views[0], view("c", 0.97, 20)], NOW, 0.5).why,
        preferred_band(views, NOW, 0.0).why,
        priority(views, NOW, 0.5).why,
        weighted(views, NOW, 0.9).why,
    ]

    assert reasons == [
        "score 0.98 within 0.05 of the best, weight 80 of 100",
        "tried to keep its score current: 0.50, the best has 0.98",
        "first in the configured order of 2 available, score 0.98",
        "weight 20 of 100, score 0.50 not considered",
    ]
