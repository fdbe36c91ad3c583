"""How an e-mail stands in its document: what queries compare has fields of its own, the rest is one text, `doc`.

A document that BSON took apart and put together again would cost three times the time, for nothing that any query
needs; and so it is, to the letter, what the embedded store keeps.

wake_u, wake_t, wake_b: When an e-mail of a lane (urgent, transactional, bulk) wakes. Absent, not null, once nothing
    more will happen by itself: a sparse index then is as large as the lane's unfinished e-mails, and a null would be
    in it.
parked: Instead of those, for an e-mail that waits for providers: its lane, their names and when it wakes, as one
    text. So all that wait for the same providers lie together in the index, and while none of those takes attempts
    a backlog of any size is passed over without a look at each. (A filter on the providers behind an index on the
    moment would read the whole backlog in every sweep, and an index on two fields cannot be sparse: it has every
    document that has one of them.)
lapse: Beside `parked`: the lane and when such an e-mail must be looked at whatever it waits for, because it is
    given up or, if that is later, wakes.
listed: When it was created and its id, as one text that sorts as lists do. `failed`, `held` and `doubtful` are the
    same text, present only on such e-mails, so that operators find what is rare without an index for each status.
kept_content, kept_addresses: The same text again, as long as its message is there, and it says who it is for; those
    who let go of what is old walk along them from the oldest on.
tomb: The same text, instead of all of these, on what is left of an e-mail so that a repeat of its key is answered.
    Nothing but its id finds it, and no save, for it has no version.
taken_by: Whose sweep took it last; gone with the next save.
added_by, changed_by: Tokens of the calls that added it and that changed it last; no two calls have the same. After a
    lost answer, or when a bulk write found too few, they tell whose write is stored.
message: Its message, if that is small: so both are written in one step, and no later save writes it again.
content: Where its message is, if that lies apart and not under its own id; written once, like `added_by`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from mailadapters.documents import email_text, millis
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.message import Lane

Document = dict[str, Any]

WAKE: Final[Mapping[Lane, str]] = MappingProxyType(
    {Lane.URGENT: "wake_u", Lane.TRANSACTIONAL: "wake_t", Lane.BULK: "wake_b"}
)
RARE: Final[Mapping[Status, str]] = MappingProxyType({Status.FAILED: "failed", Status.HELD: "held"})
DOUBTFUL: Final = "doubtful"
MESSAGE: Final = "message"
LISTED: Final = "listed"
KEPT_CONTENT: Final = "kept_content"
KEPT_ADDRESSES: Final = "kept_addresses"
TOMB: Final = "tomb"
SPARSE: Final = (
    *WAKE.values(),
    "parked",
    "lapse",
    *RARE.values(),
    DOUBTFUL,
    KEPT_ADDRESSES,
    KEPT_CONTENT,
    TOMB,
)
"""Fields that most documents have not, each with a sparse index."""

_OPTIONAL: Final = (*SPARSE[:-2], "recipients", "tags", "providers", "metadata", "taken_by")
"""What a save takes away if the e-mail has it no more."""
_ALIVE: Final = (*_OPTIONAL, LISTED, "version", "reason", "lane", "tenant")
"""What an e-mail has and a tombstone has not."""
_EARLIEST: Final = 62_135_596_800_000
"""Milliseconds from the year 1, the first there is, to 1970."""
_LATEST: Final = 10**15 - 1


def stamp(moment: datetime) -> str:
    """Return a moment as text that sorts as moments do."""
    return stamp_of(millis(moment))


def stamp_of(milliseconds: int) -> str:
    """Return milliseconds since 1970 as text that sorts as moments do."""
    return f"{min(max(milliseconds + _EARLIEST, 0), _LATEST):015d}"


def unstamped(text: str) -> int:
    """Return the milliseconds since 1970 of which `stamp_of` made a text."""
    return int(text) - _EARLIEST


def listed(milliseconds: int, email_id: EmailId) -> str:
    """Return where an e-mail that was created then stands in lists."""
    return f"{stamp_of(milliseconds)}.{email_id}"


def waits_text(providers: Sequence[str]) -> str:
    """Return the providers that an e-mail waits for as one text, equal for equal providers."""
    return msgspec.json.encode(providers).decode()


def parked(lane: str, waits: str, moment: str) -> str:
    """Return where an e-mail stands that waits for providers and wakes at a moment."""
    return f"{lane}|{waits}|{moment}"


def lapse(lane: str, moment: str) -> str:
    """Return where an e-mail stands that must be looked at from a moment on."""
    return f"{lane}|{moment}"


def pair(key: str, value: str) -> str:
    """Return a pair of metadata as one text; as the name of a field a key may not hold everything that it may."""
    return msgspec.json.encode((key, value)).decode()


def fields(email: Email, token: str) -> Document:
    """Return what a save replaces."""
    document: Document = {
        "version": email.version,
        "changed_by": token,
        "status": email.status.value,
        "reason": email.reason.value,
        "lane": email.lane.value,
        "doc": email_text(email),
    }
    document.update(_waking(email))
    document.update(_contained(email))
    document.update((name, listed(millis(email.created_at), email.id)) for name in _rare(email))
    return document


def new_document(email: Email, token: str, message: bytes | None) -> Document:
    """Return the document of a new e-mail, with its message unless that lies apart."""
    place = listed(millis(email.created_at), email.id)
    written = {LISTED: place, KEPT_CONTENT: place, "added_by": token}
    document = {"_id": email.id, "tenant": email.tenant, **written, **fields(email, token)}
    return document if message is None else {**document, MESSAGE: message}


def update(email: Email, token: str) -> Document:
    """Return the change that makes a document one of this version, whatever it has beside."""
    there = fields(email, token)
    return {"$set": there, "$unset": {name: "" for name in _OPTIONAL if name not in there}}


def entombing(tombstone: Email, token: str) -> Document:
    """Return the change that makes an e-mail's document its tombstone, and leaves where its message is."""
    place = listed(millis(tombstone.created_at), tombstone.id)
    left = {"doc": email_text(tombstone), "changed_by": token, TOMB: place}
    return {"$set": left, "$unset": dict.fromkeys(_ALIVE, "")}


def _waking(email: Email) -> Document:
    """Return when it wakes, and what it waits for."""
    wake_at = email.wake_at
    if wake_at is None:
        return {}
    if not email.blocked_on:
        return {WAKE[email.lane]: wake_at}
    return {
        "parked": parked(email.lane, waits_text(email.blocked_on), stamp(wake_at)),
        "lapse": lapse(email.lane, stamp(max(wake_at, email.give_up_at))),
    }


def _contained(email: Email) -> Document:
    """Return what lists look for in it; nothing for what it has not."""
    texts: dict[str, list[str]] = {
        "recipients": list(email.recipients),
        "tags": list(email.tags),
        "providers": sorted({attempt.provider for attempt in email.attempts}),
        "metadata": [pair(key, value) for key, value in email.metadata.items()],
    }
    return {name: some for name, some in texts.items() if some}


def _rare(email: Email) -> Iterator[str]:
    """Yield the names of the lists of few e-mails that it is in."""
    if email.recipients:
        yield KEPT_ADDRESSES
    if email.status in RARE:
        yield RARE[email.status]
    if email.possible_duplicate:
        yield DOUBTFUL
