"""What a watcher is told: everything that happens to e-mails, and every failure that mailcore lives with."""

from __future__ import annotations

import traceback
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from mailcore.attempt import Attempt
from mailcore.lifecycle import Email, EmailId


class Happening(StrEnum):
    """What a watcher is told of. A closed list: metrics and logs go by it."""

    SUBMITTED = "submitted"
    CHANGED = "changed"
    ATTEMPTED = "attempted"
    STALE_SAVE = "stale_save"
    LEASE_EXPIRED = "lease_expired"
    SETTLED_LATE = "settled_late"
    WAKE_UP_LOST = "wake_up_lost"
    BURIAL_LOST = "burial_lost"
    STRANGE_WAKE_UP = "strange_wake_up"
    STORE_FAILED = "store_failed"
    HEALTH_FAILED = "health_failed"
    PROVIDER_RAISED = "provider_raised"
    UNEXPECTED = "unexpected"
    SWEPT = "swept"


class Event(Struct, frozen=True, kw_only=True):
    """Something that a watcher may log, count or pass on. Carries ids and never addresses or content.

    Attributes:
        email: The record as saved, where there is one.
        attempt: The attempt that just ended, for ATTEMPTED.
        note: What went wrong, for the failures; how many of which lane, for SWEPT.
        began: When that began which now has ended, for SWEPT.
    """

    what: Happening
    email_id: EmailId
    email: Email | None = None
    attempt: Attempt | None = None
    note: str = ""
    began: datetime | None = None


def unexpected(error: Exception, email_id: EmailId = "") -> Event:
    """Return what is told of an exception that nobody foresaw: its class and where it arose.

    Its text is left out: it may quote a message.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    note = f"{type(error).__name__} at {frame.filename}:{frame.lineno} in {frame.name}"
    return Event(what=Happening.UNEXPECTED, email_id=email_id, note=note)
