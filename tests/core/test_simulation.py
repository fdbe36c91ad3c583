"""The simulation itself: its shelf, its internet, its clockwork and its figures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.dst.given import email

from mailcore.breaker import BreakerRules, State
from mailcore.engine import Pace
from mailcore.health import HealthRules
from mailcore.lifecycle import Email, Status
from mailcore.message import Lane
from mailcore.outcome import Accepted, Deferred, Rejected, Throttled, Unknown, Verdict
from mailcore.ports import Due
from mailcore.rules import Rules
from mailcore.simulation import (
    CATALOGUE,
    CONTESTANTS,
    PAIR,
    MadeUp,
    Match,
    Scenario,
    Stream,
    Watch,
    delivered,
    rules_of,
)
from mailcore.simulation.catalogue import BROWN_OUT, CALM, HEALTHY, MINUTE, OUTAGE, SECOND, paced
from mailcore.simulation.chronicle import Chronicle, Fate, Sample, Try, Turn
from mailcore.simulation.contest import all_played, matches, played
from mailcore.simulation.figures import averaged, figures_of, hits_while_open
from mailcore.simulation.internet import BEGINNING, Failing, Internet, Spell
from mailcore.simulation.shelf import Shelf
from mailcore.testing.selection import is_due

RULES = Rules()
NAMES = st.sets(st.sampled_from(("a", "b"))).map(lambda names: tuple(sorted(names)))


def at(seconds: float) -> datetime:
    """Return a moment of the simulation."""
    return BEGINNING + timedelta(seconds=seconds)


def waiting(email_id: str, due: float, lane: Lane, blocked_on: tuple[str, ...], give_up: float) -> Email:
    """Return an e-mail that waits."""
    one = email(Status.RETRYING, at=BEGINNING, lane=lane)
    return replace(one, id=email_id, due_at=at(min(due, give_up)), blocked_on=blocked_on, give_up_at=at(give_up))


@given(
    puts=st.lists(
        st.tuples(
            st.sampled_from(("one", "two", "three")),
            st.integers(0, 9),
            NAMES,
            st.integers(5, 12),
        )
    ),
    takes=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3), NAMES)),
)
def test_the_shelf_hands_out_what_a_store_would(
    puts: list[tuple[str, int, tuple[str, ...], int]], takes: list[tuple[int, int, tuple[str, ...]]]
) -> None:
    """Whatever waits for what, the shelf takes due e-mails as the contract of the stores says: the longest overdue."""
    shelf, known, hidden = Shelf(), dict[str, Email](), dict[str, datetime]()
    for name, due_at, blocked_on, give_up in puts:
        lane = Lane.BULK if name == "three" else Lane.TRANSACTIONAL
        give_up_at = known[name].give_up_at if name in known else at(give_up)
        one = replace(waiting(name, due_at, lane, blocked_on, 12), give_up_at=give_up_at)
        known[name], hidden[name] = one, one.wake_at or at(0)
        shelf.put(one)

    for now, limit, closed in sorted(takes):
        due = Due(lane=Lane.TRANSACTIONAL, limit=limit, hide_for=2 * SECOND, closed=frozenset(closed))
        taken = shelf.take(at(now), due)

        may = {name for name, one in known.items() if is_due(one, hidden[name], due, at(now))}
        ended = {name for name, one in known.items() if one.give_up_at <= at(now)}
        assert set(taken) - ended <= may
        assert len(taken) >= min(limit, len(may - ended))
        assert len(set(taken)) == len(taken) <= limit
        longest = sorted(hidden[name] for name in may - ended)
        assert [hidden[name] for name in taken if name not in ended] == longest[: len(set(taken) - ended)]
        hidden.update(dict.fromkeys(taken, at(now) + due.hide_for))


def test_a_settled_email_leaves_the_shelf() -> None:
    """What is settled is never due again, and nothing is waited for."""
    shelf = Shelf()
    one = waiting("one", 1, Lane.BULK, (), 9)
    shelf.put(one)
    shelf.put(replace(one, status=Status.SENT, due_at=None))

    taken = shelf.take(at(99), Due(lane=Lane.BULK, limit=9, hide_for=SECOND, closed=frozenset()))

    assert taken == []
    assert shelf.next_wake(frozenset()) is None


def test_the_next_wake_passes_over_what_waits_for_others() -> None:
    """A worker need not look before something can be taken: an open provider's e-mail, or one that is out of time."""
    shelf = Shelf()
    shelf.put(waiting("one", 1, Lane.BULK, ("a",), 9))
    shelf.put(waiting("two", 2, Lane.BULK, ("b",), 8))

    assert shelf.next_wake(frozenset({"b"})) == at(1)
    assert shelf.next_wake(frozenset({"a"})) == at(2)
    assert shelf.next_wake(frozenset({"a", "b"})) == at(8)


@pytest.mark.parametrize(
    ("spell", "poison", "outcome"),
    [
        (None, False, Accepted),
        (None, True, Rejected),
        (Spell(begins=0 * SECOND, ends=SECOND), False, Deferred),
        (Spell(begins=0 * SECOND, ends=SECOND, how=Failing.UNKNOWN), False, Unknown),
        (Spell(begins=0 * SECOND, ends=SECOND, how=Failing.THROTTLED, retry_after=MINUTE), False, Throttled),
        (Spell(begins=SECOND, ends=MINUTE), False, Accepted),
        (Spell(begins=0 * SECOND, ends=SECOND, share=0.4), False, Accepted),
    ],
)
def test_a_made_up_provider_answers_as_its_spell_says(spell: Spell | None, poison: bool, outcome: type) -> None:
    """In trouble it fails its share of attempts, in the way that the trouble has; poison it always refuses."""
    internet = Internet([MadeUp(name="a", spells=(spell,) if spell else ())])

    answer = internet.answer("a", at(0), (0.5, 0.5), poison=poison)

    assert isinstance(answer.outcome, outcome)
    assert answer.latency == timedelta(milliseconds=200)


def test_a_made_up_provider_takes_so_many_in_any_second() -> None:
    """One more than it takes is throttled, and does not count against the next second."""
    internet = Internet([MadeUp(name="a", takes_per_second=2, errors=0.0)])

    answers = [internet.answer("a", at(when), (0.5, 0.5), poison=False) for when in (0, 0.5, 0.9, 1.0, 1.4, 1.5)]

    throttled = [isinstance(one.outcome, Throttled) for one in answers]
    assert throttled == [False, False, True, False, True, False]


def test_one_seed_gives_one_run() -> None:
    """A run can be told and repeated by its seed, and another seed gives another one."""
    scenario = BROWN_OUT.at(2, PAIR, MINUTE)

    first, again, other = (delivered(scenario, RULES, seed) for seed in (1, 1, 2))

    assert (first.tries, first.fates, first.samples) == (again.tries, again.fates, again.samples)
    assert first.tries != other.tries


@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("name", ["brown-out 2/s", "outage 2/s", "throttled 2/s"])
def test_every_email_ends_once(name: str, contestant: str) -> None:
    """Whoever chooses, no e-mail is lost or accepted twice while the providers say what they do."""
    scenario = OUTAGE.at(2, PAIR) if name == "outage 2/s" else replace(CATALOGUE[name](PAIR), lasts=MINUTE)

    seen = delivered(scenario, rules_of(contestant, scenario, RULES), seed=7)

    assert len(seen.fates) == len({fate.email_id for fate in seen.fates}) == seen.mails
    accepted = [one.email_id for one in seen.tries if one.verdict is Verdict.ACCEPTED]
    assert sorted(accepted) == sorted(fate.email_id for fate in seen.fates if fate.status is Status.SENT)


def test_what_waits_is_found_by_the_next_turn() -> None:
    """Skipping turns that would find nothing delays nothing: a backlog begins within one poll, by every worker."""
    scenario = Scenario(
        name="backlog",
        says="",
        providers=PAIR,
        streams=(Stream(parked=1000, lane=Lane.BULK),),
        watch=Watch(begins=timedelta(), ends=MINUTE),
        lasts=MINUTE,
        workers=2,
    )

    seen = delivered(scenario, RULES, seed=1)

    assert len([one for one in seen.tries if one.at < BEGINNING + scenario.pace.poll]) >= 2 * 128
    assert len(seen.fates) == 1000


def test_an_unknown_outcome_waits_its_grace_and_is_tried_again() -> None:
    """A provider that never answers leaves its e-mails in doubt: none fails over before 30 s have passed."""
    silent = Spell(begins=0 * SECOND, ends=CALM + SECOND, how=Failing.UNKNOWN, latency=13 * SECOND)
    calm = HEALTHY.at(1, PAIR, MINUTE)
    scenario = replace(calm, providers=(replace(PAIR[0], spells=(silent,)), PAIR[1]))

    seen = delivered(scenario, RULES, seed=1)

    doubts = {one.email_id: one.ended for one in seen.tries if one.n == 1 and one.verdict is Verdict.UNKNOWN}
    later = [one for one in seen.tries if one.email_id in doubts and one.n == 2]
    assert later
    assert all(one.at >= doubts[one.email_id] + RULES.unknown_grace for one in later)


def test_a_pace_is_reserved_and_not_polled() -> None:
    """Paced e-mails start one after the other, and are decided on twice: when reserving, and when it is time."""
    seen = delivered(paced(PAIR, parked=60), RULES, seed=1)

    assert len(seen.fates) == 60
    assert {fate.status for fate in seen.fates} == {Status.SENT}
    assert seen.plans <= 2 * 60
    assert max(one.at for one in seen.tries) >= at(59 / 8)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_worker_has_no_more_under_way_than_it_has_slots(workers: int) -> None:
    """However much is woken up at once, a process has its slots and a provider half of them; the others wait."""
    busy = HEALTHY.at(100, PAIR, 5 * SECOND)
    scenario = replace(busy, pace=Pace(slots=4, poll=SECOND / 10), workers=workers)

    seen = delivered(scenario, RULES, seed=1)

    under_way = [sum(other.at <= one.at < other.ended for other in seen.tries) for one in seen.tries]
    assert max(under_way) == 4 * workers
    assert len(seen.fates) > 500


def test_a_stale_copy_grants_nothing() -> None:
    """What a process believes of the others is old, so each probe is granted by what all know: no more than permits."""
    nobody = replace(OUTAGE, everybody=True).at(20, PAIR, MINUTE)
    scenario = replace(nobody, workers=4, copy_age=2 * SECOND)

    seen = delivered(scenario, RULES, seed=3)

    probed = max(hits_while_open(scenario, seen))
    assert 0 < probed <= RULES.health.breaker.probes


def test_all_matches_are_played_in_order() -> None:
    """Other processes, or threads, find what one would find alone."""
    some = [Match(scenario=OUTAGE.at(1, PAIR, MINUTE), contestant=name, seeds=2) for name in ("oracle", "static")]

    with ThreadPoolExecutor(2) as threads:
        seen = list(all_played(some, threads))

    assert seen == [played(match) for match in some]


def tried(start: float, provider: str = "a", *, n: int = 1, ok: bool = True, arrived: float | None = None) -> Try:
    """Return an attempt that took a second."""
    verdict = Verdict.ACCEPTED if ok else Verdict.DEFERRED
    return Try(at(start), at(start + 1), f"{arrived}", n, at(start if arrived is None else arrived), provider, verdict)


TOLD = Scenario(
    name="told",
    says="",
    providers=PAIR,
    streams=(Stream(),),
    watch=Watch(begins=10 * SECOND, ends=20 * SECOND, settling=5 * SECOND, after=5 * SECOND),
    lasts=30 * SECOND,
)


def test_first_tries_and_failures_are_told_apart_by_arrival() -> None:
    """Only e-mails of the trouble count for the first try; failures weigh as in a quarter of an hour."""
    tries = [tried(1), tried(12, ok=False), tried(13, "b", n=2, arrived=12), tried(14), tried(25, ok=False)]

    seen = figures_of(TOLD, Chronicle(mails=4, tries=tries, plans=10, saves=6))

    assert (seen.first_try, seen.share) == (0.5, 1.0)
    assert seen.failed == pytest.approx(1000 * (2 / 3 * 1 / 2 + 1 / 3 * 1 / 2))
    assert (seen.plans, seen.saves, seen.unsent) == (2.5, 1.5, 4)


def test_the_watched_share_goes_and_comes_back() -> None:
    """Gone is at most 15 % of new mail, and back is nine tenths of its weight's share; infinite is never."""
    samples = [Sample(at(t), share) for t, share in ((10, 0.8), (12, 0.15), (20, 0.0), (21, 0.7), (23, 0.72))]

    both = figures_of(TOLD, Chronicle(samples=samples))
    never = figures_of(TOLD, Chronicle(samples=samples[:1]))

    assert (both.gone_s, both.back_s) == (2.0, 3.0)
    assert (never.gone_s, never.back_s) == (inf, inf)


def test_hits_are_counted_from_when_the_opening_is_known() -> None:
    """Attempts that began before a stale copy could tell of it are no hits; each opening is counted apart."""
    turns = [Turn(at(1), "a", State.OPEN), Turn(at(2), "b", State.OPEN), Turn(at(5), "a", State.CLOSED)]
    tries = [tried(t) for t in (0.5, 1.1, 1.5, 4.9, 5.0)] + [tried(9, "b")]
    scenario = replace(TOLD, copy_age=SECOND / 4)

    hits = list(hits_while_open(scenario, Chronicle(turns=turns, tries=tries)))

    assert sorted(hits) == [1, 2]
    assert figures_of(scenario, Chronicle(turns=turns, tries=tries)).openings == 2


def test_the_last_email_that_waited_for_the_end_is_told() -> None:
    """Late are e-mails that arrived before the end of the trouble and were settled after it."""
    fates = [
        Fate(at(19), "a", at(11), Status.SENT),
        Fate(at(24), "b", at(12), Status.FAILED),
        Fate(at(29), "c", at(21), Status.SENT),
    ]

    seen = figures_of(TOLD, Chronicle(mails=3, fates=fates))

    assert seen.late_s == 4.0
    assert (seen.unsent, seen.given_up) == (0, 1)


def test_many_runs_are_averaged_and_their_worst_kept() -> None:
    """Times are medians, hits and the last e-mail are the worst, everything else is a mean."""
    one = figures_of(TOLD, Chronicle())
    runs = [replace(one, back_s=b, hits=h, share=s) for b, h, s in ((1.0, 0, 0.2), (inf, 3, 0.2), (5.0, 1, 0.5))]

    seen = averaged(runs)

    assert (seen.back_s, seen.hits, round(seen.share, 9)) == (5.0, 3, 0.3)


def test_whoever_has_the_rules_strategy_plays_by_the_rules_as_they_are() -> None:
    """A strategy of somebody else is compared by its configured name; the others get the same numbers."""
    rules = Rules(strategy=rules_of("priority", TOLD, RULES).strategy, strategy_name="theirs", max_crashes=9)

    own, other = rules_of("theirs", TOLD, rules), rules_of("weighted", TOLD, rules)

    assert own is rules
    assert (other.strategy_name, other.max_crashes) == ("weighted", 9)


def test_whoever_knows_nothing_plays_with_calls_as_long_as_everybodys() -> None:
    """A breaker that never opens keeps its other numbers, so that a long call deadline is no contradiction."""
    health = HealthRules(breaker=BreakerRules(permit_lease=65 * SECOND))
    rules = Rules(health=health, lease=125 * SECOND, call_deadline=60 * SECOND)

    static = rules_of("static", TOLD, rules)

    assert (static.call_deadline, static.health.breaker.permit_lease) == (60 * SECOND, 65 * SECOND)


def test_matches_are_played_as_asked() -> None:
    """Everybody plays in every scenario, in more worlds where mail is rare, and is averaged over them."""
    some = matches(["outage 20/s", "brown-out 0.2/s"], ["static", "oracle"], seeds=2)

    assert [(one.scenario.name, one.contestant, one.seeds) for one in some] == [
        ("outage 20/s", "static", 2),
        ("outage 20/s", "oracle", 2),
        ("brown-out 0.2/s", "static", 6),
        ("brown-out 0.2/s", "oracle", 6),
    ]
    quick = Match(scenario=OUTAGE.at(1, PAIR, MINUTE), contestant="static", seeds=2)
    assert played(quick).first_try < 0.5


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_scenario_fits_any_providers(name: str, size: int) -> None:
    """Somebody's own providers, one or many, can be put into every scenario."""
    own = [MadeUp(name=f"p{number}", weight=1 + number) for number in range(size)]

    scenario = CATALOGUE[name](own)

    assert scenario.name == name
    assert scenario.watch.provider in {one.name for one in scenario.providers}
    assert scenario.watch.begins < scenario.watch.ends <= scenario.lasts
