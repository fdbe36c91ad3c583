"""The operator's switches and the leases of those who lead: a row for each, few in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from mailadapters.documents import UnreadableError, switches_from_texts
from mailadapters.sqlite.rows import json_text, run
from mailcore.leadership import Lease
from mailcore.switches import Switch, Switches

_SWITCHES: Final = "SELECT json_group_object(name, doc) FROM switches"
_SWITCH: Final = "REPLACE INTO switches (name, doc) VALUES (?, ?)"
_LEASE: Final = "SELECT doc FROM leases WHERE name = ?"
_NEW_LEASE: Final = "INSERT OR IGNORE INTO leases (name, doc) VALUES (?, ?) RETURNING 1"
_NEXT_LEASE: Final = "UPDATE leases SET doc = ? WHERE name = ?"

_docs = msgspec.json.Decoder(dict[str, str])
_lease = msgspec.json.Decoder(Lease)


class Named(NamedTuple):
    """The latest word on something."""

    name: str
    switch: Switch


class Swap(NamedTuple):
    """A lease, and the one that it is to replace."""

    before: Lease | None
    after: Lease


def switches_all(db: apsw.Connection, asked: Sequence[None]) -> Sequence[tuple[Switches, int]]:
    """Return the latest word on everything, to each caller, and how many words could not be read."""
    known, unreadable = switches_from_texts(_docs.decode(run(db, _SWITCHES)))
    return [(dict(known), unreadable) for _ in asked]


def switch_all(db: apsw.Connection, words: Sequence[Named]) -> Sequence[None]:
    """Keep the latest word on each."""
    for word in words:
        run(db, _SWITCH, (word.name, json_text(word.switch)))
    return [None] * len(words)


def leases_all(db: apsw.Connection, names: Sequence[str]) -> Sequence[Lease | Exception | None]:
    """Return leases by name."""
    return [_stored_lease(db, name) for name in names]


def _stored_lease(db: apsw.Connection, name: str) -> Lease | Exception | None:
    """Return a lease as it is stored, or why it cannot be read."""
    doc: str | None = run(db, _LEASE, (name,))
    try:
        return None if doc is None else _lease.decode(doc)
    except msgspec.DecodeError as error:
        return UnreadableError(f"a lease in the store was written by another release: {error}")


def swap_all(db: apsw.Connection, swaps: Sequence[Swap]) -> Sequence[bool]:
    """Replace leases, one after the other; what one has swapped, the next does not find."""
    return [_swapped(db, swap) for swap in swaps]


def _swapped(db: apsw.Connection, swap: Swap) -> bool:
    """Replace one lease if the stored one is the one before."""
    name, doc = swap.after.name, json_text(swap.after)
    if swap.before is None:
        return run(db, _NEW_LEASE, (name, doc)) is not None
    if _stored_lease(db, name) != swap.before:
        return False
    run(db, _NEXT_LEASE, (doc, name))
    return True
