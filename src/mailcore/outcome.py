"""What came of one try at one provider: a closed union of values.

What the network or a provider does is never an exception in mailcore. The case that others leave out,
`Unknown`, is here: the provider may or may not have taken the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

SUPPRESSED: Final = "suppressed"
"""The code of a rejection because nobody whom the message is written to may be written to."""


class Accepted(Struct, frozen=True, kw_only=True, tag="accepted"):
    """The provider took the message for at least one recipient.

    Attributes:
        provider_id: The provider's own id of the message, if it gave one.
        detail: What the provider added, for the timeline (partly suppressed recipients, for example).
    """

    provider_id: str | None = None
    detail: str = ""


class Rejected(Struct, frozen=True, kw_only=True, tag="rejected"):
    """The provider will never take this message as it is written: about the message, not about us.

    Attributes:
        code: A short word or number that the provider gave, or ours.
        detail: The provider's reason, scrubbed of secrets, at most 500 characters.
    """

    code: str
    detail: str


class Deferred(Struct, frozen=True, kw_only=True, tag="deferred"):
    """The provider surely did not take the message this time, by its own word or for want of a connection.

    Attributes:
        retry_after: How long the provider wants to be left alone, if it said so.
    """

    code: str
    detail: str
    retry_after: timedelta | None = None


class Throttled(Struct, frozen=True, kw_only=True, tag="throttled"):
    """The provider did not take the message because we send too much; it is healthy.

    Attributes:
        retry_after: How long the provider wants to be left alone; None where it did not say.
    """

    code: str
    detail: str
    retry_after: timedelta | None = None


class Scope(StrEnum):
    """How far a misconfiguration reaches."""

    ACCOUNT = "account"
    SENDER = "sender"


class Misconfigured(Struct, frozen=True, kw_only=True, tag="misconfigured"):
    """The provider did not take the message because of how we are set up there.

    Attributes:
        scope: `account` if any message would fail (bad key, suspended), `sender` if only this From is refused.
    """

    scope: Scope
    code: str
    detail: str


class Unknown(Struct, frozen=True, kw_only=True, tag="unknown"):
    """The request may have been read, and no answer came that can be trusted."""

    code: str
    detail: str


Outcome = Accepted | Rejected | Deferred | Throttled | Misconfigured | Unknown


class Verdict(StrEnum):
    """The case of an outcome, as attempts, metrics and pages name it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    THROTTLED = "throttled"
    MISCONFIGURED = "misconfigured"
    UNKNOWN = "unknown"


_VERDICTS: Final[Mapping[type[Outcome], Verdict]] = {
    Accepted: Verdict.ACCEPTED,
    Rejected: Verdict.REJECTED,
    Deferred: Verdict.DEFERRED,
    Throttled: Verdict.THROTTLED,
    Misconfigured: Verdict.MISCONFIGURED,
    Unknown: Verdict.UNKNOWN,
}


def wish(outcome: Outcome) -> timedelta | None:
    """Return how long the provider wants to be left alone, if it said so."""
    match outcome:
        case Deferred() | Throttled():
            return outcome.retry_after
        case _:
            return None


def verdict(outcome: Outcome) -> Verdict:
    """Return the case of an outcome as a word."""
    return _VERDICTS[type(outcome)]
