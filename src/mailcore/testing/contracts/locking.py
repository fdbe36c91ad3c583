"""What every store that keeps API keys must hold to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from msgspec.structs import replace

from mailcore.keyring import KeepsKeys
from mailcore.keys import ApiKey, Scope, outliving, revoked, used
from mailcore.rates import RateLimit
from mailcore.testing.contracts.examples import MINUTE, NOW

KEY = ApiKey(
    id="key_0000000A",
    digest="ab" * 32,
    tenant="shop",
    scopes=(Scope.SEND, Scope.READ),
    name='"é\n$\0',
    senders=("shop.example", "ann@shop.example"),
    created_at=NOW + timedelta(milliseconds=1),
    expires_at=NOW + MINUTE,
    limit=RateLimit(requests=10, per=MINUTE),
    daily=500,
)


class KeysContract:
    """Keys are kept, and changed by one at a time. The fixture `store` gives an empty store."""

    async def test_at_first_there_is_no_key(self, store: KeepsKeys) -> None:
        """Nobody gets into a new store by a key."""
        assert dict(await store.load_keys()) == {}

    async def test_a_key_is_kept_whole(self, store: KeepsKeys) -> None:
        """Every field comes back, moments to the millisecond, beside the other keys."""
        other = replace(
            KEY, id="key_0000000B", scopes=(Scope.ADMIN,), senders=(), expires_at=None, limit=None, daily=None
        )

        assert [await store.save_key(KEY), await store.save_key(other)] == [True, True]

        assert dict(await store.load_keys()) == {KEY.id: KEY, other.id: other}

    async def test_an_id_is_taken_once(self, store: KeepsKeys) -> None:
        """A second key of one id is not kept, and leaves the first alone."""
        await store.save_key(KEY)

        assert not await store.save_key(replace(KEY, tenant="other"))

        assert dict(await store.load_keys()) == {KEY.id: KEY}

    async def test_only_the_next_version_is_kept(self, store: KeepsKeys) -> None:
        """Whoever changes a key that was changed meanwhile changes nothing: no use undoes a revocation."""
        await store.save_key(KEY)
        ended = revoked(KEY, NOW + MINUTE)
        assert await store.save_key(ended)

        late = [
            used(KEY, NOW),
            outliving(KEY, NOW),
            replace(ended, version=9),
            replace(KEY, id="key_nobody", version=2),
        ]
        assert [await store.save_key(one) for one in late] == [False] * 4

        assert dict(await store.load_keys()) == {KEY.id: ended}

    async def test_of_many_changes_at_the_same_time_one_is_kept(self, store: KeepsKeys) -> None:
        """Compare-and-set: exactly one of them hears that it was kept."""
        await store.save_key(KEY)
        changes = [replace(KEY, version=2, name=str(n)) for n in range(20)]

        kept = await asyncio.gather(*(store.save_key(one) for one in changes))

        assert sum(kept) == 1
        assert (await store.load_keys())[KEY.id] == changes[kept.index(True)]

    async def test_all_get_the_one_pepper(self, store: KeepsKeys) -> None:
        """The first that is offered is kept for ever, however many are offered at the same time."""
        first = set(await asyncio.gather(*(store.keep_pepper(f"pepper {n}") for n in range(10))))

        assert await store.keep_pepper("another") in first
        assert len(first) == 1
