"""The numbers that decisions go by, in one value."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from mailcore.health import HealthRules
from mailcore.retry import LaneRules, RetryPolicy
from mailcore.strategy import Strategy, preferred_band


class Rules(Struct, frozen=True, kw_only=True):
    """The numbers that decisions go by; design.md section 9 and reliability.md section 7.

    Attributes:
        lease: How long one attempt's worker alone may act. At least twice the call deadline.
        call_deadline: How long one call to a provider may take. At most `health.breaker.permit_lease`.
        unknown_grace: How long an unknown outcome is left to settle; six times longer with each one more.
        hold_for: How long a held e-mail waits for a person.
        wakeup_grace: How long an accepted e-mail waits for its wake-up before the sweep looks after it.
        look_again: How long an e-mail waits where nothing says when a provider will take it.
    """

    retry: RetryPolicy = RetryPolicy()
    lanes: LaneRules = LaneRules()
    health: HealthRules = HealthRules()
    strategy: Strategy = preferred_band
    strategy_name: str = "preferred_band"
    lease: timedelta = timedelta(seconds=60)
    call_deadline: timedelta = timedelta(seconds=20)
    max_crashes: int = 3
    max_unknowns: int = 4
    unknown_grace: timedelta = timedelta(seconds=30)
    hold_for: timedelta = timedelta(hours=72)
    wakeup_grace: timedelta = timedelta(seconds=10)
    look_again: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Refuse numbers by which no attempt could ever be made, or more probes than there may be.

        Raises:
            ValueError: The lease is shorter than two calls, or a probe's permit than one.
        """
        if self.lease < 2 * self.call_deadline:
            message = f"the lease of {self.lease} must be at least twice the call deadline of {self.call_deadline}"
            raise ValueError(message)
        permit = self.health.breaker.permit_lease
        if permit < self.call_deadline:
            message = f"a permit_lease of {permit} must be at least the call deadline of {self.call_deadline}"
            raise ValueError(message)
