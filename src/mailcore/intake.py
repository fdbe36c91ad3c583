"""How an e-mail begins: the record of a message that was just accepted. Pure."""

from __future__ import annotations

from datetime import datetime

from mailcore.lifecycle import Email, EmailId, Entry, Reason, Status
from mailcore.message import Message, envelope
from mailcore.needs import needs
from mailcore.rules import Rules


def new_email(message: Message, email_id: EmailId, tenant: str, fingerprint: str, rules: Rules, now: datetime) -> Email:
    """Return the record of a checked message, scheduled or queued.

    A queued one is due only after the wake-up's grace: by then its wake-up has come, or was lost.
    """
    who = envelope(message)
    scheduled = message.scheduled_at is not None and message.scheduled_at > now
    start = message.scheduled_at if scheduled and message.scheduled_at else now
    status = Status.SCHEDULED if scheduled else Status.QUEUED
    aged = start + rules.lanes.give_up_after(message.lane)
    return Email(
        id=email_id,
        tenant=tenant,
        version=1,
        saved_by="",
        fingerprint=fingerprint,
        status=status,
        reason=Reason.ACCEPTED,
        lane=message.lane,
        created_at=now,
        updated_at=now,
        series_at=start,
        give_up_at=min(aged, message.expires_at) if message.expires_at else aged,
        scheduled_at=message.scheduled_at,
        expires_at=message.expires_at,
        due_at=start if scheduled else now + rules.wakeup_grace,
        on_unknown=message.on_unknown,
        needs=needs(message, who),
        recipients=tuple([address.email for address in who.recipients]),
        tags=tuple(message.tags),
        metadata=dict(message.metadata),
        history=(Entry(at=now, status=status, reason=Reason.ACCEPTED),),
    )
