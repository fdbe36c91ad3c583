"""What is kept for how long, and what is left of an e-mail when it goes."""

from datetime import timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace
from tests.dst.given import MINUTE, NOW, SECOND, World, attempt, doubtful, email, message
from tests.dst.virtual import virtually

from mailcore.appeal import redriven
from mailcore.errors import ConflictError, EmailNotFoundError, KeyReusedError, SettingsError, SuppressedError
from mailcore.lifecycle import SETTLED, Email, Entry, Reason, Status
from mailcore.outcome import Verdict
from mailcore.retention import (
    KEY_KEPT_FOR,
    PAGE,
    Kept,
    Retention,
    RetentionRules,
    forgotten,
    remembers,
    retaining,
    tombstone,
)
from mailcore.testing import MemoryStore, ScriptedProvider
from mailcore.testing.contracts.examples import emails
from mailcore.testing.contracts.suppressing import suppressed

DAY = timedelta(days=1)
RULES = RetentionRules(content=DAY, addresses=2 * DAY, records=3 * DAY)


def always() -> bool:
    """Lead."""
    return True


def retention(made: World, rules: RetentionRules = RULES) -> Retention:
    """Return what lets go in a world."""
    return Retention(store=made.store, records=made.courier.records, rules=rules)


def dead(**fields: object) -> Email:
    """Return a dead letter that tells of people wherever one can."""
    tried = attempt(outcome=Verdict.REJECTED, code="550", detail="bob@example.com is unknown here")
    line = Entry(at=NOW, status=Status.FAILED, reason=Reason.REJECTED, note="no bob@example.com")
    told = {"metadata": {"customer": "bob"}, "tags": ("receipt",), "attempts": (tried,), "history": (line,)}
    return replace(email(Status.FAILED), reason=Reason.REJECTED, **{**told, **fields})


# What is left


@given(email=emails())
def test_what_is_forgotten_is_forgotten_once_and_touches_nothing_else(email: Email) -> None:
    """Recipients, metadata and free text go; where it is, why, and every attempt with its outcome stay."""
    left = forgotten(email)

    assert (left.recipients, dict(left.metadata)) == ((), {})
    assert not remembers(left)
    assert {one.detail for one in left.attempts} | {one.note for one in left.history} <= {""}
    assert [(one.n, one.outcome, one.code) for one in left.attempts] == [
        (one.n, one.outcome, one.code) for one in email.attempts
    ]
    assert replace(left, recipients=email.recipients, metadata=email.metadata, attempts=(), history=()) == replace(
        email, attempts=(), history=()
    )


@given(email=emails())
def test_a_tombstone_tells_how_it_ended_and_of_nobody(email: Email) -> None:
    """What answers a repeat of a key: id, fingerprint, status, reason, times, and whether it may be double."""
    stone = tombstone(email)

    assert stone.version == email.version + 1
    assert (stone.id, stone.fingerprint, stone.status, stone.reason) == (
        email.id,
        email.fingerprint,
        email.status,
        email.reason,
    )
    assert (stone.recipients, stone.tags, stone.attempts, stone.history) == ((), (), (), ())


# How long


@pytest.mark.parametrize(
    ("rules", "ages"),
    [
        (RULES, [DAY, 2 * DAY, 3 * DAY]),
        (RetentionRules(content=None, addresses=None, records=None), [None, None, None]),
        (RetentionRules(content=9 * DAY, addresses=None, records=3 * DAY), [3 * DAY, 3 * DAY, 3 * DAY]),
        (RetentionRules(content=None, addresses=2 * DAY, records=None), [2 * DAY, 2 * DAY, None]),
        (RetentionRules(), [30 * DAY, 90 * DAY, 365 * DAY]),
    ],
)
def test_no_part_is_kept_longer_than_what_would_tell_it(rules: RetentionRules, ages: list[timedelta | None]) -> None:
    """Content names addresses, and a record without its e-mail's age is none."""
    assert [rules.age(kept) for kept in Kept] == ages


@virtually
async def test_parts_go_in_their_order_each_at_its_age() -> None:
    """Content, then addresses, then the record; in the end its tombstone, too, and not a moment before its day."""
    made = World()
    made.put(dead())
    letting_go, stages = retention(made), []

    for day in (1, 2, 3, 30):
        await made.ports.sleep((NOW + day * DAY - SECOND - made.clock.now()).total_seconds())
        await letting_go.run_once(always)
        early = state(made)
        await made.ports.sleep(2)
        await letting_go.run_once(always)
        stages.append((early, state(made)))

    assert stages == [
        ("whole", "no content"),
        ("no content", "no addresses"),
        ("no addresses", "tombstone"),
        ("tombstone", "nothing"),
    ]


def state(made: World) -> str:
    """Return what is left of the one e-mail."""
    if not made.store.emails:
        return "tombstone" if made.store.tombstones else "nothing"
    whole = "whole" if made.store.messages else "no content"
    return whole if made.stored().recipients else "no addresses"


@virtually
async def test_what_is_not_settled_keeps_everything() -> None:
    """An e-mail that waits for long is sent whole."""
    made = World()
    made.put(email(Status.RETRYING, due_at=NOW + 1000 * DAY))
    await made.ports.sleep(40 * DAY.total_seconds())

    await retention(made).run_once(always)

    assert state(made) == "whole"


@virtually
async def test_all_go_however_many_there_are() -> None:
    """Page after page, with a rest between, until nothing old is left."""
    made = World()
    for n in range(2 * PAGE + 7):
        made.put(dead(id=f"em_{n:04d}"))
    await made.ports.sleep(40 * DAY.total_seconds())

    await retention(made).run_once(always)

    assert (made.store.emails, made.store.messages, made.store.tombstones) == ({}, {}, {})


@virtually
async def test_who_no_longer_leads_stops() -> None:
    """A leader whose time is up begins no other page."""
    made = World()
    made.put(dead())
    await made.ports.sleep(40 * DAY.total_seconds())

    await retention(made).run_once(lambda: False)

    assert state(made) == "whole"


@virtually
async def test_a_dead_letter_that_is_redriven_at_that_moment_is_not_buried() -> None:
    """Both are compare-and-sets: who changes it last sees what the other did."""
    made = World()
    made.put(dead())
    await made.ports.sleep(5 * DAY.total_seconds())
    real = made.store.find_aged

    async def redriven_meanwhile(*args: object, **kwargs: object) -> object:
        found = await real(*args, **kwargs)  # type: ignore[arg-type] # passed on
        again = redriven(made.stored(), made.rules, made.clock.now()).email
        made.store._put(replace(again, version=again.version + 1))
        return found

    made.store.find_aged = redriven_meanwhile  # type: ignore[method-assign, assignment] # the race
    letting_go = retention(made, RetentionRules(content=None, addresses=None, records=DAY))
    letting_go = replace_rules(letting_go, only=Kept.RECORD)

    await letting_go.run_once(always)

    assert made.stored().status is Status.QUEUED
    assert made.stored().recipients == ("bob@example.com",)
    assert made.store.messages


def replace_rules(of: Retention, *, only: Kept) -> Retention:
    """Return retention that lets go of one part alone."""

    class Only(RetentionRules, frozen=True):
        def age(self, kept: Kept) -> timedelta | None:
            return DAY if kept is only else None

    return Retention(store=of.store, records=of.records, rules=Only())


@pytest.mark.parametrize("kept", [Kept.CONTENT, Kept.ADDRESSES])
def test_nor_does_it_lose_anything_else_at_that_moment(kept: Kept) -> None:
    """A page that was read before the redrive takes nothing from an e-mail that is on its way again."""

    @virtually
    async def scenario() -> None:
        made = World()
        old = made.put(dead())
        again = redriven(old, made.rules, NOW).email
        made.store._put(replace(again, version=2))

        await replace_rules(retention(made), only=kept)._shed(kept, [old])

        assert (made.stored().recipients, made.stored().status) == (("bob@example.com",), Status.QUEUED)
        assert "em_1" in made.store.messages

    scenario()


@virtually
async def test_what_is_gone_meanwhile_is_no_error() -> None:
    """Two who let go of the same e-mail do no harm."""
    made = World()

    for kept in Kept:
        await retention(made)._shed(kept, [dead()])

    assert made.store.emails == {}


# Keys


@virtually
async def test_a_key_outlives_its_record() -> None:
    """A repeat finds how the e-mail ended, another message under the same key is refused, and nothing is sent again."""
    made = World((ScriptedProvider("p1"),))
    rules = RetentionRules(content=DAY, addresses=DAY, records=DAY)
    first = (await made.mailer.submit(message(), key="receipt:42")).email
    await made.courier.attempt(first.id)
    await made.ports.sleep(2 * DAY.total_seconds())
    await retention(made, rules).run_once(always)

    again = await made.mailer.submit(message(), key="receipt:42")

    assert (again.fresh, again.email.id, again.email.status) == (False, first.id, Status.SENT)
    assert (await made.mailer.get(first.id)).recipients == ()
    with pytest.raises(KeyReusedError):
        await made.mailer.submit(message(subject="Another"), key="receipt:42")
    with pytest.raises(EmailNotFoundError):
        await made.mailer.content(first.id)
    assert made.store.emails == {}
    assert len(made.ports.providers[0].provider.sends) == 1  # type: ignore[attr-defined] # a fake


@virtually
async def test_a_repeat_whose_schedule_has_passed_finds_its_tombstone() -> None:
    """It would not be accepted any more, and is told what became of it all the same."""
    made = World((ScriptedProvider("p1"),))
    letter = message(expires_at=NOW + MINUTE)
    first = (await made.mailer.submit(letter, key="k")).email
    await made.courier.attempt(first.id)
    await made.ports.sleep(4 * DAY.total_seconds())
    await retention(made).run_once(always)

    again = await made.mailer.submit(letter, key="k")

    assert (again.fresh, again.email.status, made.store.emails) == (False, Status.SENT, {})


@virtually
async def test_what_is_left_cannot_be_redriven() -> None:
    """Nobody puts back what has no content and no address."""
    made = World()
    made.put(dead())
    await made.ports.sleep(4 * DAY.total_seconds())
    await retention(made).run_once(always)

    with pytest.raises(EmailNotFoundError):
        await made.mailer.redrive("em_1")

    assert state(made) == "tombstone"
    assert KEY_KEPT_FOR == 30 * DAY


# One person's


@pytest.mark.parametrize("status", sorted(SETTLED))
def test_a_settled_email_is_erased(status: Status) -> None:
    """Its content and whatever tells of people go at once; what may explain a duplicate stays."""

    @virtually
    async def scenario() -> None:
        made = World()
        made.put(replace(dead(), status=status, attempts=(doubtful(),), possibly_sent=True))

        await retention(made).erase("em_1")
        await retention(made).erase("em_1")

        left = made.stored()
        assert (left.recipients, left.status, left.possibly_sent) == ((), status, True)
        assert [one.outcome for one in left.attempts] == [Verdict.UNKNOWN]
        assert (left.version, made.store.messages) == (2, {})

    scenario()


@pytest.mark.parametrize("status", sorted({*Status} - SETTLED))
def test_what_is_on_its_way_is_not_erased(status: Status) -> None:
    """It must be withdrawn first."""

    @virtually
    async def scenario() -> None:
        made = World()
        made.put(email(status))

        with pytest.raises(ConflictError, match=status):
            await retention(made).erase("em_1")

        assert made.store.messages
        assert made.stored().recipients

    scenario()


def test_a_store_says_whether_it_can_let_go() -> None:
    """One that cannot is named before anything is promised."""
    store = MemoryStore()

    assert retaining(store) is store
    with pytest.raises(SettingsError, match="cannot let go"):
        retaining(object())


# Suppressions


@virtually
async def test_suppressions_go_when_they_have_ended_however_many_there_are() -> None:
    """Page by page, each at its own end; those without one stay for ever."""
    made = World()
    ends = [suppressed(f"a{n}", expires_at=NOW + DAY) for n in range(2 * PAGE)]
    later = [suppressed("later", expires_at=NOW + 2 * DAY), suppressed("never")]
    await made.store.save_suppressions([*ends, *later])

    await made.ports.sleep(DAY.total_seconds())
    await retention(made).run_once(always)
    early = len(made.store.suppressions)
    await made.ports.sleep(1)
    await retention(made).run_once(always)

    assert early == 2 * PAGE + 2
    assert list(made.store.suppressions.values()) == later


@virtually
async def test_who_no_longer_leads_drops_no_suppressions() -> None:
    """Another scheduler has the lease, and the rest is for that one."""
    made = World()
    await made.store.save_suppressions([suppressed(f"a{n}", expires_at=NOW) for n in range(2 * PAGE)])
    await made.ports.sleep(1)

    await retention(made).run_once(lambda: len(made.store.suppressions) > PAGE)

    assert len(made.store.suppressions) == PAGE


@virtually
async def test_erasing_a_person_lets_nobody_write_to_them_again() -> None:
    """What was sent to an address goes, and its suppression stays: that is what keeps mail from whoever reads there."""
    made = World((ScriptedProvider("p1"),))
    made.put(replace(email(Status.SENT), recipients=("bob@example.com",)))
    word = suppressed("bob", tenant="default")
    await made.store.save_suppressions([word])

    await retention(made).erase("em_1")

    assert state(made) == "no addresses"
    assert list(made.store.suppressions.values()) == [word]
    with pytest.raises(SuppressedError):
        await made.mailer.submit(message(to="bob@example.com"))


class LettingGoOnly:
    """A store that can let go, and keeps no suppression list."""

    def __init__(self, store: MemoryStore) -> None:
        self.find_aged = store.find_aged
        self.erase_content = store.erase_content
        self.entomb = store.entomb
        self.drop_tombstones = store.drop_tombstones


@virtually
async def test_a_store_without_a_list_lets_go_of_the_rest() -> None:
    """A library's store that keeps no suppressions grows old like any other."""
    made = World()
    made.put(dead())
    plain = LettingGoOnly(made.store)
    await made.ports.sleep(4 * DAY.total_seconds())

    await Retention(store=plain, records=made.courier.records, rules=RULES).run_once(always)

    assert state(made) == "tombstone"
