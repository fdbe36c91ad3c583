"""E-mails and messages for the contracts: one at a time, or drawn by Hypothesis with every field set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from mailcore.attempt import Attempt, PassedOver, Why
from mailcore.lifecycle import Email, Entry, Reason, Status
from mailcore.message import Address, Attachment, Lane, Message, OnUnknown
from mailcore.outcome import Verdict
from mailcore.provider import Feature, Needs
from mailcore.testing.manual_clock import BEGINNING

NOW: Final = BEGINNING
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
NEEDS: Final = Needs(bytes=100, recipients=1, features=frozenset(), sender_domain="shop.example")
MESSAGE: Final = Message(
    from_=Address("shop@shop.example", "Shop"), to=(Address("ann@example.com"),), subject="Hello", text="Hello Ann"
)

_QUEUED: Final = Email(
    id="em_a",
    tenant="default",
    version=1,
    saved_by="first",
    fingerprint="1:0",
    status=Status.QUEUED,
    reason=Reason.ACCEPTED,
    lane=Lane.TRANSACTIONAL,
    created_at=NOW,
    updated_at=NOW,
    series_at=NOW,
    give_up_at=NOW + timedelta(days=1),
    due_at=NOW,
    needs=NEEDS,
)


def queued(email_id: str = "em_a", **fields: object) -> Email:
    """Return an e-mail that was accepted and is due at once, but for the fields given."""
    return replace(_QUEUED, id=email_id, **fields)


def next_of(email: Email, by: str = "second", **fields: object) -> Email:
    """Return the next version of an e-mail, saved by somebody, with the fields given."""
    return replace(email, version=email.version + 1, saved_by=by, **fields)


def attempt(provider: str, n: int = 1) -> Attempt:
    """Return an attempt that is under way."""
    why = Why(strategy="priority", because="it is the first")
    return Attempt(n=n, provider=provider, key="em_a.0", round=0, started_at=NOW, why=why)


_SHOWN: Final = ("L", "M", "N", "P", "S", "Z", "Cc", "Cf", "Co")
_TEXTS = st.text(st.characters(categories=_SHOWN), max_size=20)
_NAMES = st.text(st.characters(categories=_SHOWN), min_size=1, max_size=8)
_COUNTS = st.integers(min_value=0, max_value=2**31)
_MOMENTS = st.integers(min_value=0, max_value=4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
_DURATIONS = st.integers(min_value=0, max_value=10**9).map(lambda ms: timedelta(milliseconds=ms))
_TUPLES = st.lists(_NAMES, max_size=3, unique=True).map(lambda names: tuple(sorted(names)))
_PAIRS = st.dictionaries(_NAMES, _TEXTS, max_size=3)


def _maybe(strategy: SearchStrategy[object]) -> SearchStrategy[object]:
    """Return a strategy that also gives None."""
    return st.none() | strategy


def _needs() -> SearchStrategy[Needs]:
    """Return what a message may need."""
    return st.builds(
        Needs,
        bytes=_COUNTS,
        recipients=_COUNTS,
        features=st.frozensets(st.sampled_from(Feature)),
        sender_domain=_TEXTS,
        headers=st.frozensets(_NAMES, max_size=3),
        metadata_bytes=_COUNTS,
    )


def _attempts() -> SearchStrategy[Attempt]:
    """Return attempts, under way or ended, with every field set."""
    passed_over = st.lists(st.builds(PassedOver, provider=_NAMES, reason=_TEXTS), max_size=2).map(tuple)
    return st.builds(
        Attempt,
        n=_COUNTS,
        provider=_NAMES,
        key=_TEXTS,
        round=_COUNTS,
        started_at=_MOMENTS,
        generation=_COUNTS,
        probe=st.booleans(),
        deduped=st.booleans(),
        why=st.builds(Why, strategy=_NAMES, because=_TEXTS, passed_over=passed_over),
        finished_at=_maybe(_MOMENTS),
        outcome=_maybe(st.sampled_from(Verdict)),
        code=_maybe(_TEXTS),
        detail=_TEXTS,
        provider_id=_maybe(_TEXTS),
        latency=_maybe(_DURATIONS),
        repeat_at=_maybe(_MOMENTS),
    )


def _entries() -> SearchStrategy[Entry]:
    """Return lines of a history."""
    kinds = {"status": st.sampled_from(Status), "reason": st.sampled_from(Reason)}
    return st.builds(Entry, at=_MOMENTS, note=_TEXTS, **kinds)


_FIELDS: Final[dict[str, SearchStrategy[object]]] = {
    "id": st.from_regex(r"em_[0-9a-v]{26}", fullmatch=True),
    "tenant": _NAMES,
    "version": st.integers(min_value=1, max_value=2**31),
    "saved_by": _NAMES,
    "fingerprint": _NAMES,
    "status": st.sampled_from(Status),
    "reason": st.sampled_from(Reason),
    "lane": st.sampled_from(Lane),
    "on_unknown": st.sampled_from(OnUnknown),
    "needs": _needs(),
    "attempts": st.lists(_attempts(), max_size=3).map(tuple),
    "history": st.lists(_entries(), max_size=3).map(tuple),
    "metadata": _PAIRS,
    "reserved": _maybe(_NAMES),
    **dict.fromkeys(("created_at", "updated_at", "series_at", "give_up_at"), _MOMENTS),
    **dict.fromkeys(("settled_at", "scheduled_at", "expires_at", "due_at", "lease_until"), _maybe(_MOMENTS)),
    "hold_until": _maybe(_MOMENTS),
    **dict.fromkeys(("blocked_on", "refused_by", "recipients", "tags"), _TUPLES),
    **dict.fromkeys(("folded", "rounds", "crashes", "unknowns", "redrives"), _COUNTS),
    **dict.fromkeys(("cancel_requested", "possibly_sent", "possible_duplicate"), st.booleans()),
}


def emails(**fields: SearchStrategy[object]) -> SearchStrategy[Email]:
    """Return e-mails of any status with every field set, also ones that no history leads to."""
    return st.builds(Email, **{**_FIELDS, **fields})


def checked_messages() -> SearchStrategy[Message]:
    """Return messages as `checked` leaves them: every address parsed, every sequence a tuple."""
    address = st.builds(Address, email=_NAMES.map(lambda local: f"{local}@example.com"), name=_TEXTS)
    many = st.lists(address, max_size=3).map(tuple)
    files = st.builds(Attachment, filename=_NAMES, content=st.binary(max_size=200), content_id=_maybe(_NAMES))
    return st.builds(
        Message,
        from_=address,
        subject=_TEXTS,
        text=_maybe(_TEXTS),
        html=_maybe(_TEXTS),
        attachments=st.lists(files, max_size=2).map(tuple),
        headers=_PAIRS,
        tags=_TUPLES,
        metadata=_PAIRS,
        lane=st.sampled_from(Lane),
        scheduled_at=_maybe(_MOMENTS),
        expires_at=_maybe(_MOMENTS),
        on_unknown=st.sampled_from(OnUnknown),
        **dict.fromkeys(("to", "cc", "bcc", "reply_to"), many),
    )
