"""What the store's port says in words of dues and queries, as predicates: the oracle of the contracts."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

from mailcore.lifecycle import Email, EmailId
from mailcore.ports import Due, Query
from mailcore.retention import Kept


def is_due(email: Email, wake_at: datetime | None, due: Due, now: datetime) -> bool:
    """Return whether `take_due` may return an e-mail.

    Args:
        wake_at: When it wakes: `email.wake_at`, or later while it is hidden.
    """
    if email.lane is not due.lane or wake_at is None or wake_at > now:
        return False
    return not email.blocked_on or not due.closed.issuperset(email.blocked_on) or email.give_up_at <= now


def has(email: Email, kept: Kept, contents: Container[EmailId]) -> bool:
    """Return whether an e-mail still has something.

    Args:
        contents: The e-mails whose message is there.
    """
    there = {Kept.CONTENT: email.id in contents, Kept.ADDRESSES: bool(email.recipients), Kept.RECORD: True}
    return there[kept]


def found(email: Email, query: Query) -> bool:
    """Return whether a query holds for an e-mail."""
    return _equal(email, query) and _contained(email, query) and _created_within(email, query)


def _equal(email: Email, query: Query) -> bool:
    """Return whether the fields that are compared as they are agree."""
    pairs = (
        (query.tenant, email.tenant),
        (query.status, email.status),
        (query.reason, email.reason),
        (query.lane, email.lane),
        (query.possible_duplicate, email.possible_duplicate),
    )
    return all(wanted is None or wanted == actual for wanted, actual in pairs)


def _contained(email: Email, query: Query) -> bool:
    """Return whether what the query names is among what the e-mail has."""
    pairs = (
        (query.to, email.recipients),
        (query.tag, email.tags),
        (query.provider, tuple(attempt.provider for attempt in email.attempts)),
    )
    return all(wanted is None or wanted in actual for wanted, actual in pairs) and all(
        email.metadata.get(key) == value for key, value in query.metadata.items()
    )


def _created_within(email: Email, query: Query) -> bool:
    """Return whether it was created in the query's span of time."""
    after = query.created_after is None or email.created_at >= query.created_after
    return after and (query.created_before is None or email.created_at < query.created_before)
