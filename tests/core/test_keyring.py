"""The keys as a process knows them: quick, obeyed within five seconds, and nobody let in on old news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mailadapters import system
from mailcore.errors import StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.keyring import Keyring
from mailcore.keys import ApiKey, Issued, KeyState, Scope, outliving, revoked, state_of
from mailcore.testing import ManualClock, MemoryStore


class CountingStore(MemoryStore):
    """A store that counts how often the keys are read."""

    reads = 0

    def __init__(self) -> None:
        """Start empty, and answer at once."""
        super().__init__()
        self.full = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def load_keys(self) -> dict[str, ApiKey]:
        """Count, read, and answer when the test says so."""
        self.reads += 1
        found = dict(await super().load_keys())
        await self.answers.wait()
        return found

    async def save_key(self, key: ApiKey) -> bool:
        """Keep a key unless there is no room for any."""
        if self.full:
            raise StoreUnavailableError("the disk is full")
        return await super().save_key(key)


@pytest.fixture
def store() -> CountingStore:
    """Return an empty store."""
    return CountingStore()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def ring(store: CountingStore, clock: ManualClock) -> AsyncIterator[Keyring]:
    """Yield the keys of one process."""
    ring = Keyring(store=store, clock=clock, dice=system)
    yield ring
    await ring.aclose()


@pytest.fixture
async def elsewhere(store: CountingStore, clock: ManualClock) -> AsyncIterator[Keyring]:
    """Yield the keys of another process."""
    ring = Keyring(store=store, clock=clock, dice=system)
    yield ring
    await ring.aclose()


async def issue(ring: Keyring) -> Issued:
    """Make a key."""
    return await ring.issue(ApiKey(id="", digest="", tenant="shop", scopes=(Scope.SEND,), created_at=ring.clock.now()))


async def settle() -> None:
    """Let what is read in the background be read."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_known_key_costs_no_store_a_call(ring: Keyring, store: CountingStore) -> None:
    """A thousand requests within two seconds read the keys once."""
    made = await issue(ring)

    found = [await ring.find(made.token.reveal()) for _ in range(1000)]

    assert {one.id for one in found if one} == {made.key.id}
    assert None not in found
    assert store.reads == 1


async def test_a_key_of_another_process_opens_at_once(ring: Keyring, elsewhere: Keyring, clock: ManualClock) -> None:
    """A token that is not known may be a new one: the keys are looked at again before it is refused."""
    await ring.find("nothing")
    made = await issue(elsewhere)
    clock.advance(0.1)

    assert await ring.find(made.token.reveal()) == made.key


async def test_guessing_costs_the_store_ten_reads_a_second_at_most(
    ring: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """A flood of wrong tokens, of known and unknown keys alike, is answered from memory."""
    made = await issue(ring)
    wrong = made.token.reveal()[:-1] + ("0" if made.token.reveal()[-1] != "0" else "1")
    await ring.find(made.token.reveal())

    for _ in range(20):
        for token in (wrong, "mc_live_AAAAAAAA_" + "A" * 43, "x"):
            assert await ring.find(token) is None
        clock.advance(0.05)

    assert store.reads <= 12


async def test_a_revocation_elsewhere_is_obeyed_within_five_seconds(
    ring: Keyring, elsewhere: Keyring, clock: ManualClock
) -> None:
    """However often it is asked meanwhile, and at the latest by the copy's end."""
    made = await issue(ring)
    await ring.find(made.token.reveal())
    await elsewhere.change(made.key.id, lambda key: revoked(key, clock.now()))
    states = []

    for _ in range(5):
        clock.advance(1)
        key = await ring.find(made.token.reveal())
        await settle()
        states.append(key and state_of(key, clock.now()))

    assert states[0] is KeyState.ACTIVE
    assert states[-1] is KeyState.REVOKED


async def test_after_a_silence_the_store_is_asked_first(ring: Keyring, elsewhere: Keyring, clock: ManualClock) -> None:
    """A copy of ten seconds is not gone by, not even for the one request that comes after them."""
    made = await issue(ring)
    await ring.find(made.token.reveal())
    await elsewhere.change(made.key.id, lambda key: revoked(key, clock.now()))
    clock.advance(10)

    key = await ring.find(made.token.reveal())

    assert key is not None
    assert state_of(key, clock.now()) is KeyState.REVOKED


async def test_a_revocation_here_is_obeyed_at_once(ring: Keyring, clock: ManualClock) -> None:
    """Even if the keys were being read when it was said: what was read before it counts for nothing."""
    made = await issue(ring)
    await ring.find(made.token.reveal())
    clock.advance(3)
    await ring.find(made.token.reveal())  # begins to read

    await ring.change(made.key.id, lambda key: revoked(key, clock.now()))
    key = await ring.find(made.token.reveal())

    assert key is not None
    assert state_of(key, clock.now()) is KeyState.REVOKED


async def test_what_was_read_before_a_revocation_counts_for_nothing(
    ring: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """A slow answer that comes after it does not bring the key back."""
    made = await issue(ring)
    await ring.find(made.token.reveal())
    clock.advance(3)
    store.answers.clear()
    await ring.find(made.token.reveal())  # begins to read
    await settle()

    await ring.save(revoked(made.key, clock.now()))
    store.answers.set()
    key = await ring.find(made.token.reveal())

    assert key is not None
    assert state_of(key, clock.now()) is KeyState.REVOKED


async def test_two_changes_at_the_same_time_are_both_made(
    ring: Keyring, elsewhere: Keyring, clock: ManualClock
) -> None:
    """The one that was too late is made again, on top of the other."""
    made = await issue(ring)
    now = clock.now()

    await asyncio.gather(
        ring.change(made.key.id, lambda key: outliving(key, now)),
        elsewhere.change(made.key.id, lambda key: revoked(key, now)),
    )

    key = (await ring.current())[made.key.id]
    assert (key.version, key.ends_at, key.revoked_at) == (3, now, now)


async def test_a_store_that_hangs_is_not_waited_for(ring: Keyring, store: CountingStore) -> None:
    """Within a second the caller hears that nobody knows."""
    ring.patience = timedelta(milliseconds=10)
    store.answers.clear()

    with pytest.raises(StoreUnavailableError):
        await ring.find("anything")


async def test_while_the_store_is_silent_known_keys_open_for_five_seconds_and_no_longer(
    ring: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """Nobody gets in by what may have been revoked: then the answer is that nobody knows."""
    events: list[Event] = []
    ring.watch = events.append
    made = await issue(ring)
    await ring.find(made.token.reveal())
    store.down = True

    clock.advance(4)
    known = await ring.find(made.token.reveal())
    await settle()
    clock.advance(0.5)

    assert known is not None
    with pytest.raises(StoreUnavailableError):
        await ring.find(made.token.reveal())
    assert {event.what for event in events} == {Happening.STORE_FAILED}


async def test_the_store_that_is_back_lets_keys_in_again(
    ring: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """Nothing of an outage stays."""
    made = await issue(ring)
    store.down = True
    clock.advance(60)
    with pytest.raises(StoreUnavailableError):
        await ring.find(made.token.reveal())
    store.down = False

    assert await ring.find(made.token.reveal()) == made.key


async def test_use_is_recorded_to_within_minutes(ring: Keyring, store: CountingStore, clock: ManualClock) -> None:
    """One write each five minutes, and none that undoes what others did meanwhile."""
    made = await issue(ring)
    seen = set()
    for _ in range(200):
        clock.advance(3)
        await ring.find(made.token.reveal())
        await settle()
        seen.add(store.keys[made.key.id].last_used_at)

    assert 2 <= len(seen) <= 4
    assert store.keys[made.key.id].version <= 4


async def test_a_key_opens_though_its_use_cannot_be_recorded(
    ring: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """On a full disk whoever looks after it gets in, every time; that nothing is recorded is told."""
    events: list[Event] = []
    ring.watch = events.append
    made = await issue(ring)
    store.full = True

    found = []
    for _ in range(4):
        clock.advance(60)
        found.append(await ring.find(made.token.reveal()))
        await settle()

    assert found == [made.key] * 4
    assert {event.what for event in events} == {Happening.STORE_FAILED}


async def test_of_a_revocation_and_a_use_the_revocation_stays(
    ring: Keyring, elsewhere: Keyring, store: CountingStore, clock: ManualClock
) -> None:
    """The use is of an older version by then, and is not kept."""
    made = await issue(ring)
    await ring.find(made.token.reveal())
    await elsewhere.change(made.key.id, lambda key: revoked(key, clock.now()))
    clock.advance(3)

    await ring.find(made.token.reveal())
    await settle()

    assert store.keys[made.key.id].revoked_at is not None


async def test_all_processes_digest_by_the_one_pepper(ring: Keyring, elsewhere: Keyring) -> None:
    """The store keeps the first one's."""
    assert await ring.digesting() == await elsewhere.digesting()


async def test_by_another_pepper_no_key_opens(ring: Keyring, store: CountingStore, clock: ManualClock) -> None:
    """A pepper of the settings counts, not the store's; whoever changes it ends all keys."""
    made = await issue(ring)

    other = Keyring(store=store, clock=clock, dice=system, pepper=b"of the settings")

    assert await other.find(made.token.reveal()) is None
    assert await other.find((await issue(other)).token.reveal()) is not None


async def test_what_is_not_there_is_not_changed(ring: Keyring) -> None:
    """Nobody is told that a key was revoked which there never was."""
    assert await ring.change("key_nobody00", lambda key: key) is None


async def test_a_taken_name_is_drawn_again(store: CountingStore, clock: ManualClock) -> None:
    """Two keys never share a name, even if the dice give it twice."""

    class Dice:
        """Names of which the second was there before."""

        new_key_secret = staticmethod(system.new_key_secret)
        new_pepper = staticmethod(system.new_pepper)

        def new_key_id(self) -> str:
            """Return the next one."""
            return next(names)

    names = iter(["key_AAAAAAAA", "key_AAAAAAAA", "key_BBBBBBBB"])
    ring = Keyring(store=store, clock=clock, dice=Dice())

    assert [(await issue(ring)).key.id for _ in range(2)] == ["key_AAAAAAAA", "key_BBBBBBBB"]
