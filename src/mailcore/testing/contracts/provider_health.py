"""What every ProviderHealth must hold to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from mailcore.health import Health, Mode, Override
from mailcore.ports import ProviderHealth
from mailcore.testing.contracts.examples import NOW, SECOND


def later(health: Health) -> Health:
    """Return a health whose provider is to be left alone for a second longer."""
    return replace(health, not_before=(health.not_before or NOW) + SECOND)


class HealthContract:
    """A change is made to the latest health, once, whoever changes it too. The fixture `health` gives an empty one."""

    async def test_at_first_nothing_is_known(self, health: ProviderHealth) -> None:
        """A provider that nobody has changed has no entry."""
        assert dict(await health.load()) == {}

    async def test_the_first_change_starts_from_a_new_health(self, health: ProviderHealth) -> None:
        """A provider begins as healthy."""
        seen: list[Health] = []

        def look(before: Health) -> Health:
            seen.append(before)
            return before

        await health.update("p", look)

        assert seen[-1] == Health()

    async def test_an_update_returns_what_it_made(self, health: ProviderHealth) -> None:
        """The caller goes on from the health that his change led to."""
        updated = await health.update("p", later)

        assert updated == later(Health())

    async def test_a_change_is_seen_by_the_next_load(self, health: ProviderHealth) -> None:
        """Whoever changed the health sees it changed."""
        await health.load()
        await health.update("p", later)

        assert dict(await health.load()) == {"p": later(Health())}

    async def test_a_change_that_others_may_learn_of_later_is_seen_here_at_once(self, health: ProviderHealth) -> None:
        """Sharing may be put off to save round trips, but nobody forgets what he has seen himself."""
        await health.load()
        await health.update("p", later, at_once=False)
        await health.update("p", later)

        updated = await health.update("p", later, at_once=False)

        assert updated == later(later(later(Health())))
        assert dict(await health.load()) == {"p": updated}

    async def test_a_change_starts_from_the_latest(self, health: ProviderHealth) -> None:
        """Changes build on each other."""
        for _ in range(4):
            await health.update("p", later)

        updated = await health.update("p", later)

        assert updated.not_before == NOW + 5 * SECOND

    async def test_providers_are_apart(self, health: ProviderHealth) -> None:
        """A change to one provider leaves the others alone."""
        await asyncio.gather(health.update("p", later), health.update("q", later), health.update("p", later))

        loaded = await health.load()

        assert {name: one.not_before for name, one in loaded.items()} == {"p": NOW + 2 * SECOND, "q": NOW + SECOND}

    @pytest.mark.parametrize("callers", [2, 20, 100])
    async def test_changes_at_once_are_all_made(self, health: ProviderHealth, callers: int) -> None:
        """An update is atomic: of many at the same time none is lost, though a change may run twice."""
        await asyncio.gather(*(health.update("p", later) for _ in range(callers)))

        assert (await health.load())["p"].not_before == NOW + callers * SECOND

    async def test_each_caller_gets_a_health_of_his_own(self, health: ProviderHealth) -> None:
        """Every update returns what it was at that moment, so no two of them are the same."""
        updated = await asyncio.gather(*(health.update("p", later) for _ in range(20)))

        assert {one.not_before for one in updated} == {NOW + n * SECOND for n in range(1, 21)}

    async def test_a_change_that_raises_changes_nothing(self, health: ProviderHealth) -> None:
        """The caller gets the error of his own change; the health stays, and others go on."""

        def failing(_: Health) -> Health:
            raise LookupError("a change that cannot be made")

        results = await asyncio.gather(
            health.update("p", later), health.update("p", failing), health.update("p", later), return_exceptions=True
        )

        assert isinstance(results[1], LookupError)
        assert (await health.load())["p"].not_before == NOW + 2 * SECOND

    async def test_after_a_change_that_raised_others_go_on(self, health: ProviderHealth) -> None:
        """A change that raises leaves nothing locked or half done behind it."""

        def failing(_: Health) -> Health:
            raise LookupError("a change that cannot be made")

        with pytest.raises(LookupError):
            await health.update("p", failing)

        assert await health.update("p", later) == later(Health())

    async def test_every_field_comes_back(self, health: ProviderHealth) -> None:
        """The operator's word and all moments survive to the millisecond."""
        override = Override(mode=Mode.STOPPED, until=NOW + timedelta(milliseconds=7), reason='"é', by="ann")
        whole = Health(not_before=NOW, next_start=NOW + timedelta(milliseconds=1), override=override)

        await health.update("p", lambda _: whole)

        assert dict(await health.load()) == {"p": whole}

    async def test_a_loaded_health_is_the_callers_own(self, health: ProviderHealth) -> None:
        """Whoever changes the mapping that he was given changes nobody else's."""
        await health.update("p", later)
        dict(await health.load()).clear()

        assert set(await health.load()) == {"p"}
