"""What every store that keeps the operator's switches must hold to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from mailcore.standing import Mode
from mailcore.switchboard import KeepsSwitches
from mailcore.switches import Switch
from mailcore.testing.contracts.examples import MINUTE, NOW

STOP = Switch(mode=Mode.STOPPED, since=NOW, until=NOW + MINUTE, reason="they bounce everything", by="req_1")


class SwitchesContract:
    """The latest word on everything is kept. The fixture `store` gives an empty store."""

    async def test_at_first_nothing_is_switched(self, store: KeepsSwitches) -> None:
        """What nobody has said a word on has no switch."""
        assert dict(await store.load_switches()) == {}

    async def test_a_word_is_kept_whole(self, store: KeepsSwitches) -> None:
        """Who said it, why, and from when until when come back to the millisecond, hostile text and all."""
        odd = Switch(mode=Mode.FORCED, since=NOW + timedelta(milliseconds=1), reason='"é\n$\0', by="{}'")

        await store.save_switch("provider:a", STOP)
        await store.save_switch("provider:b.$x", odd)

        assert dict(await store.load_switches()) == {"provider:a": STOP, "provider:b.$x": odd}

    async def test_the_latest_word_counts(self, store: KeepsSwitches) -> None:
        """A word replaces the one before, whatever that said, and leaves the others alone."""
        await store.save_switch("lane:bulk", STOP)
        await store.save_switch("lane:all", STOP)

        await store.save_switch("lane:bulk", Switch(mode=Mode.AUTO, since=NOW + MINUTE))

        assert dict(await store.load_switches()) == {
            "lane:bulk": Switch(mode=Mode.AUTO, since=NOW + MINUTE),
            "lane:all": STOP,
        }

    async def test_words_at_the_same_time_are_all_kept(self, store: KeepsSwitches) -> None:
        """None of many is lost, and of those on one thing one is the latest."""
        await asyncio.gather(*(store.save_switch(f"provider:{n % 10}", STOP) for n in range(40)))

        assert set(await store.load_switches()) == {f"provider:{n}" for n in range(10)}
