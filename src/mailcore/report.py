"""How an attempt ended, as it is told to a provider's health, and what that says of the provider."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from msgspec import Struct

from mailcore.breaker import BreakerRules, Call, Result
from mailcore.outcome import Scope, Verdict
from mailcore.score import BAD, GOOD, SLOW


class Report(Struct, frozen=True, kw_only=True):
    """How an attempt ended.

    Attributes:
        token: The token of its Start.
        email_id: Names the e-mail, so that one poisonous e-mail alone trips nothing.
        generation: The breaker's generation at its admission.
        latency: How long the provider took to answer, or we to give up waiting.
        retry_after: How long the provider wants to be left alone, if it said so.
        rival_score: The best score of the other providers that take attempts now; None if there is none.
        u: A uniform draw from [0, 1), made by the caller.
    """

    token: str
    email_id: str
    generation: int
    verdict: Verdict
    scope: Scope | None = None
    latency: timedelta
    retry_after: timedelta | None = None
    rival_score: float | None = None
    u: float


def result(report: Report) -> Result:
    """Return what an attempt says of the provider: nothing, where the message or our pace was at fault.

    A misconfiguration says something only if it reaches the whole account: another From may be in order.
    """
    match report.verdict:
        case Verdict.ACCEPTED:
            return Result.SUCCESS
        case Verdict.DEFERRED | Verdict.UNKNOWN:
            return Result.FAILURE
        case Verdict.MISCONFIGURED:
            return Result.FATAL if report.scope is Scope.ACCOUNT else Result.IGNORED
        case Verdict.REJECTED | Verdict.THROTTLED:
            return Result.IGNORED
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(report.verdict)


def worth(report: Report, rules: BreakerRules) -> float:
    """Return how much of a success an attempt was, from `BAD` to `GOOD`."""
    if report.verdict is not Verdict.ACCEPTED:
        return BAD
    return SLOW if report.latency > rules.slow_after else GOOD


def call(report: Report, said: Result, beaten_by: float | None) -> Call:
    """Return an attempt as the breaker sees it: what it said of the provider, and how much better a rival is."""
    return Call(
        token=report.token,
        email_id=report.email_id,
        generation=report.generation,
        result=said,
        latency=report.latency,
        beaten_by=beaten_by,
        u=report.u,
    )
