"""One try at one provider, as an e-mail's record keeps it: where it went and why, and what came of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from mailcore.outcome import Verdict


class PassedOver(Struct, frozen=True):
    """A provider that was not chosen, and why."""

    provider: str
    reason: str


class Why(Struct, frozen=True, kw_only=True):
    """Why an attempt went to its provider.

    Attributes:
        strategy: The strategy's name.
        because: Its reason in one sentence, with the numbers.
        passed_over: The other providers, in configured order.
    """

    strategy: str
    because: str
    passed_over: tuple[PassedOver, ...] = ()


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one provider, recorded when it starts.

    Attributes:
        n: 1 for the e-mail's first attempt ever; never used again.
        key: What the provider may deduplicate by.
        round: The e-mail's `rounds` when it started.
        generation: The breaker's generation at its admission.
        probe: It tries out a provider whose breaker is half-open; its failure costs the e-mail nothing.
        deduped: It repeats an unknown attempt at a provider that recognises repeats.
        repeat_at: The provider asked not to see this e-mail again before then.
        code: The outcome's code.
        detail: The outcome's text, scrubbed.
    """

    n: int
    provider: str
    key: str
    round: int
    started_at: datetime
    generation: int = 0
    probe: bool = False
    deduped: bool = False
    why: Why
    finished_at: datetime | None = None
    outcome: Verdict | None = None
    code: str | None = None
    detail: str = ""
    provider_id: str | None = None
    latency: timedelta | None = None
    repeat_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.outcome is None
