"""A Provider that answers as a test tells it to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from mailcore.outcome import Accepted, Outcome
from mailcore.provider import Capabilities, Feature, Send

EVERYTHING: Final = Capabilities(max_bytes=40 * 1024 * 1024, max_recipients=1000, features=frozenset(Feature))
"""The capabilities of a provider that can carry any message."""

Answer = Callable[[Send], Outcome | Awaitable[Outcome]]


class ScriptedProvider:
    """A Provider that answers as it is told to: a list of outcomes in turn, or a function of the Send.

    After the end of a list it accepts, with ids of its own. A function may be async, to wait for the test.

    Attributes:
        sends: What it was handed so far, oldest first.
        closed: How often it was closed.
    """

    def __init__(
        self,
        name: str = "scripted",
        script: Iterable[Outcome] | Answer = (),
        *,
        capabilities: Capabilities = EVERYTHING,
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.sends: list[Send] = []
        self.closed = 0
        self._answer: Answer
        self.script(script)

    def script(self, script: Iterable[Outcome] | Answer) -> None:
        """Replace what it will answer from now on."""
        self._answer = script if callable(script) else self._in_turn(script)

    async def send(self, send: Send) -> Outcome:
        self.sends.append(send)
        answer = self._answer(send)
        return answer if isinstance(answer, Outcome) else await answer

    async def aclose(self) -> None:
        self.closed += 1

    def _in_turn(self, outcomes: Iterable[Outcome]) -> Answer:
        """Return an answer that goes through the outcomes and then accepts for ever."""
        left = iter(tuple(outcomes))

        def answer(_: Send) -> Outcome:
            return next(left, None) or Accepted(provider_id=f"{self.name}-{len(self.sends)}")

        return answer
