"""Probe permits over interleaved processes, crashes and lost replies (reliability.md, B3, B4, B5, B12)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from mailcore.breaker import Breaker, BreakerRules, State
from mailcore.health import Health, HealthRules, Obstacle, Report, Start, admit, released, reported, standing
from mailcore.outcome import Scope, Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = HealthRules()
LEASE = timedelta(seconds=25)
TICK = timedelta(microseconds=1)
FAILING = [Verdict.DEFERRED, Verdict.UNKNOWN]
IGNORED = [Verdict.REJECTED, Verdict.THROTTLED, Verdict.MISCONFIGURED]


def report(token: str, generation: int, verdict: Verdict, u: float = 0.5, **fields: object) -> Report:
    """Return the end of an attempt that took a moment."""
    common = {"email_id": token, "latency": timedelta(seconds=0.1), "retry_after": timedelta(0)}
    return Report(token=token, generation=generation, verdict=verdict, u=u, **(common | fields))


def wrong_key(health: Health, now: datetime, u: float = 0.5) -> Health:
    """Return the health of a provider whose breaker was just opened."""
    fatal = report("key", health.breaker.generation, Verdict.MISCONFIGURED, u, scope=Scope.ACCOUNT)
    return reported(health, fatal, RULES, now)


class Probe(Struct):
    """An attempt as this test knows it.

    Attributes:
        lapses_at: When its permit comes back by itself; None if it needed none.
        done: It ended, and the permit is back.
    """

    generation: int
    lapses_at: datetime | None
    done: bool = False
    reported: bool = False


class Processes(RuleBasedStateMachine):
    """Any number of processes that share one provider's health, and a model of who probes and since when."""

    def __init__(self) -> None:
        """Start with a provider that nothing is known of."""
        super().__init__()
        self.now = NOW
        self.health = Health()
        self.asked = 0
        self.probes: dict[str, Probe] = {}
        self.shut_until: datetime | None = None

    @initialize()
    def open_it(self) -> None:
        """Open the breaker, so that every run meets probes."""
        self.health = wrong_key(self.health, self.now, u=0.0)
        self._has_opened()

    @rule(seconds=st.sampled_from([0.5, 4.9, 5.0, 13.5, 13.6, 24.9, 25.0, 25.1, 27.0, 31.0, 81.0]))
    def tick(self, seconds: float) -> None:
        """Let time pass, in steps around what the rules count in."""
        self.now += timedelta(seconds=seconds)

    @rule()
    def ask(self) -> None:
        """A process asks for a new attempt; it may die with it, or never hear of the answer."""
        self.asked += 1
        self._ask(f"t{self.asked}")

    @precondition(lambda self: self.probes)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """A process whose answer was lost asks again with the same token."""
        self._ask(data.draw(st.sampled_from(sorted(self.probes))))

    @precondition(lambda self: self.probes)
    @rule(data=st.data(), verdict=st.sampled_from([Verdict.ACCEPTED, *FAILING, *IGNORED]))
    def finish(self, data: st.DataObject, verdict: Verdict) -> None:
        """An attempt ends, perhaps long after its lease, perhaps told twice."""
        token = data.draw(st.sampled_from(sorted(self.probes)))
        probe = self.probes[token]
        before = self.health.breaker
        self.health = reported(self.health, report(token, probe.generation, verdict, u=0.0), RULES, self.now)
        after = self.health.breaker
        if verdict in FAILING and before.state is State.HALF_OPEN and after.state is State.OPEN:
            self._has_opened()
        if verdict is Verdict.ACCEPTED and after.state is State.CLOSED is not before.state:
            self.shut_until = None
        probe.done = probe.done or (verdict in IGNORED and probe.generation == before.generation)
        probe.reported = True

    @precondition(lambda self: self.probes)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """An attempt is cancelled before its first byte; a process may say so twice."""
        token = data.draw(st.sampled_from(sorted(self.probes)))
        self.health = released(self.health, token, RULES, self.now)
        probe = self.probes[token]
        probe.done = probe.done or probe.generation == self.health.breaker.generation

    @rule()
    def open_again(self) -> None:
        """An admitted attempt finds that the key is wrong."""
        if self.health.breaker.state is not State.OPEN:
            self.health = wrong_key(self.health, self.now, u=0.0)
            self._has_opened()

    @invariant()
    def permits_are_never_more_than_three(self) -> None:
        """B4: of the probes of one generation that have not ended, at most three have not lapsed."""
        generation = self.health.breaker.generation
        under_way = [
            probe
            for probe in self.probes.values()
            if probe.generation == generation and probe.lapses_at and not probe.done and probe.lapses_at > self.now
        ]
        assert len(under_way) <= 3

    def teardown(self) -> None:
        """B5: the first call later than 1.1 Tmax + D + 5 s is admitted, and its success closes the breaker."""
        self.now += timedelta(seconds=1.1 * 90 + 25.001)
        self.health, admission = admit(self.health, Start(token="last"), RULES, self.now)
        last = report("last", admission.standing.generation, Verdict.ACCEPTED)
        self.health = reported(self.health, last, RULES, self.now)
        assert admission.granted
        assert self.health.breaker.state is State.CLOSED

    def _ask(self, token: str) -> None:
        """Ask, check the answer against the model, and note it."""
        self.health, admission = admit(self.health, Start(token=token), RULES, self.now)
        if not admission.granted:
            return
        assert self.shut_until is None or self.now >= self.shut_until, "B3: admitted while open"
        lapses_at = self.now + LEASE if admission.standing.probe else None
        known = self.probes.get(token)
        is_the_same = known and known.generation == admission.standing.generation and not known.done
        if known and is_the_same and known.lapses_at and known.lapses_at > self.now:
            return
        self.probes[token] = Probe(admission.standing.generation, lapses_at)

    def _has_opened(self) -> None:
        """Note until when nobody may be admitted at least: 0.9 of the first opening's 15 s."""
        self.shut_until = self.now + timedelta(seconds=13.5)


Processes.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestProcesses = Processes.TestCase


def half_open(openings: int = 1, rules: HealthRules = RULES) -> tuple[Health, datetime]:
    """Return a provider whose breaker has opened so often and is ripe for a probe, and when that is."""
    health, now = Health(), NOW
    for _ in range(openings):
        fatal = report("key", health.breaker.generation, Verdict.MISCONFIGURED, scope=Scope.ACCOUNT)
        health = reported(health, fatal, rules, now)
        now = health.breaker.reopens_at or now
        if health.breaker.openings < openings:
            health, _ = admit(health, Start(token="key"), rules, now)
    return health, now


@given(st.integers(1, 6), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_nobody_is_admitted_before_its_time_is_over(openings: int, fraction: float, u: float) -> None:
    """B3: an open breaker admits nothing before opened_at + T_k, and the first probe at that moment."""
    health, now = half_open(openings)
    health, _ = admit(health, Start(token="probe"), RULES, now)
    health = reported(health, report("probe", health.breaker.generation, Verdict.UNKNOWN, u), RULES, now)
    length = timedelta(seconds=min(15 * 2**openings, 90) * (0.9 + 0.2 * u))

    _, early = admit(health, Start(token="early"), RULES, now + fraction * (length - 2 * TICK))
    _, due = admit(health, Start(token="due"), RULES, now + length + TICK)

    assert (early.granted, early.standing.obstacle) == (False, Obstacle.OPEN)
    assert due.granted


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=20))
def test_one_token_is_one_permit(tokens: list[str]) -> None:
    """B4: a permit asked for again, because the answer was lost, is the same permit; three tokens get one."""
    health, now = half_open()

    granted = set()
    for token in tokens:
        health, admission = admit(health, Start(token=token), RULES, now)
        granted |= {token} if admission.granted else set()

    assert granted == set(list(dict.fromkeys(tokens))[:3])
    assert len(health.breaker.permits) == len(granted)


@given(st.lists(st.sampled_from("ab"), max_size=4))
def test_a_cancelled_probe_gives_its_permit_back_exactly_once(cancelled: list[str]) -> None:
    """B12: however often a cancellation is told, it frees the one permit that the attempt had."""
    health, now = half_open()
    for token in "abc":
        health, _ = admit(health, Start(token=token), RULES, now)

    for token in cancelled:
        health = released(health, token, RULES, now)

    assert {permit.token for permit in health.breaker.permits} == set("abc") - set(cancelled)
    assert standing(health, RULES, now).permits == len(set(cancelled))


def test_a_cancelled_attempt_without_a_permit_changes_nothing() -> None:
    """B12: there is nothing to give back of an attempt that was no probe."""
    health = Health()

    after = released(health, "t", RULES, NOW)

    assert after is health


def test_a_failed_probe_keeps_its_permit_until_it_lapses() -> None:
    """A stale process that has not heard of the failure can neither probe again nor give the permit back."""
    patient = HealthRules(breaker=BreakerRules(permit_lease=timedelta(seconds=200)))
    health, now = half_open(rules=patient)
    health, admission = admit(health, Start(token="failed"), patient, now)
    generation = admission.standing.generation
    health = reported(health, report("failed", generation, Verdict.UNKNOWN), patient, now)
    now = health.breaker.reopens_at or now

    health, fresh = admit(health, Start(token="fresh"), patient, now)
    health = released(health, "failed", patient, now)
    _, again = admit(health, Start(token="failed"), patient, now)

    assert (fresh.granted, again.granted, again.standing.obstacle) == (True, False, Obstacle.PROBING)
    assert [permit.token for permit in health.breaker.permits] == ["failed", "fresh"]


def test_a_dead_probers_permit_comes_back_after_its_lease() -> None:
    """A killed process holds a permit for the call deadline and 5 s, and those who wait know until when."""
    health, now = half_open()
    for token in "abc":
        health, _ = admit(health, Start(token=token), RULES, now)

    _, refused = admit(health, Start(token="d"), RULES, now + LEASE - timedelta(seconds=1))
    _, granted = admit(health, Start(token="d"), RULES, now + LEASE)

    assert (refused.granted, refused.standing.obstacle) == (False, Obstacle.PROBING)
    assert refused.standing.available_at == now + LEASE
    assert granted.granted


def test_no_timeout_leads_from_half_open_back_to_open() -> None:
    """A provider that gets two e-mails an hour closes with the first that succeeds, however late it comes."""
    health, now = half_open()
    health, _ = admit(health, Start(token="lost"), RULES, now)

    health, late = admit(health, Start(token="late"), RULES, now + timedelta(days=30))
    closed = reported(health, report("late", late.standing.generation, Verdict.ACCEPTED), RULES, now)

    assert late.granted
    assert closed.breaker.state is State.CLOSED


def test_a_probe_that_says_nothing_returns_its_permit() -> None:
    """A message that is refused for its own sake neither closes nor reopens, and the next may probe."""
    health, now = half_open()
    for token in "abc":
        health, admission = admit(health, Start(token=token), RULES, now)

    after = reported(health, report("b", admission.standing.generation, Verdict.REJECTED), RULES, now)

    assert after.breaker.state is State.HALF_OPEN
    assert [permit.token for permit in after.breaker.permits] == ["a", "c"]


def test_the_first_success_closes_into_the_ramp() -> None:
    """One success is enough; the ramp bounds what it can cost if it was luck."""
    health, now = half_open()
    health, admission = admit(health, Start(token="a"), RULES, now)

    closed = reported(health, report("a", admission.standing.generation, Verdict.ACCEPTED), RULES, now)

    assert closed.breaker == Breaker(generation=3, opened_at=NOW, openings=1, closed_at=now, last_success=now)
    assert standing(closed, RULES, now).share == 0.1
