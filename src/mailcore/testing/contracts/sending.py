"""What every Provider must hold to, whatever its service does."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar, get_args

import pytest

from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown
from mailcore.ports import Provider
from mailcore.provider import Send
from mailcore.testing.contracts.examples import MESSAGE, SECOND

P = TypeVar("P", bound=Provider)

OUTCOMES: tuple[Outcome, ...] = (
    Accepted(),
    Rejected(code="400", detail="no such address"),
    Deferred(code="500", detail="try later"),
    Throttled(code="429", detail="too many"),
    Misconfigured(scope=Scope.ACCOUNT, code="401", detail="bad key"),
    Misconfigured(scope=Scope.SENDER, code="403", detail="unverified sender"),
    Unknown(code="timeout", detail="no answer"),
)


def sending(email_id: str = "em_a") -> Send:
    """Return an attempt's Send."""
    return Send(message=MESSAGE, email_id=email_id, key=f"{email_id}.0", deadline=20 * SECOND)


class ProviderContract(Generic[P]):
    """What the service does is a value. The fixture `provider` gives one; `scripted` makes its service do something."""

    async def scripted(self, provider: P, outcome: Outcome) -> None:
        """Make the service behave from now on so that this kind of outcome must be told."""
        raise AssertionError(f"say how to script the service of {provider.name} for {outcome}")

    def test_it_has_a_name(self, provider: P) -> None:
        """Attempts, metrics and settings go by it."""
        assert provider.name

    def test_it_says_what_it_can_carry(self, provider: P) -> None:
        """Choices are made by what a provider declares."""
        assert provider.capabilities.max_bytes > 0
        assert provider.capabilities.max_recipients > 0

    @pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
    async def test_what_the_service_does_is_told_as_an_outcome(self, provider: P, outcome: Outcome) -> None:
        """Each way that a service may answer is its own kind of outcome, and none is an error."""
        await self.scripted(provider, outcome)

        told = await provider.send(sending())

        assert type(told) is type(outcome)
        assert getattr(told, "scope", None) == getattr(outcome, "scope", None)

    async def test_sends_at_once_are_all_told(self, provider: P) -> None:
        """A provider takes many at a time, and each caller hears of his own."""
        await self.scripted(provider, Accepted())

        told = await asyncio.gather(*(provider.send(sending(f"em_{n}")) for n in range(20)))

        assert {type(one) for one in told} == {Accepted}

    async def test_an_outcome_is_one_of_the_closed_union(self, provider: P) -> None:
        """Nothing outside the union is ever told, so a match over it is complete."""
        told = await provider.send(sending())

        assert type(told) in get_args(Outcome)

    async def test_closing_twice_is_closing_once(self, provider: P) -> None:
        """A shutdown that is told twice to close a provider does not fail the second time."""
        await provider.aclose()

        await provider.aclose()  # raises nothing
