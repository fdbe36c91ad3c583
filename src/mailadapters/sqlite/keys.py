"""API keys and the pepper of their digests: a row for each key that was ever made, few in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from mailadapters.documents import key_text, keys_from_texts
from mailadapters.sqlite.rows import run
from mailcore.keys import ApiKey, ApiKeys

_ALL: Final = "SELECT json_group_array(doc) FROM keys"
_FIRST: Final = "INSERT OR IGNORE INTO keys (id, version, doc) VALUES (?, ?, ?) RETURNING 1"
_NEXT: Final = "UPDATE keys SET version = ?, doc = ? WHERE id = ? AND version = ? RETURNING 1"
_OFFER: Final = "INSERT OR IGNORE INTO pepper (one, text) VALUES (1, ?)"
_PEPPER: Final = "SELECT text FROM pepper"

_texts = msgspec.json.Decoder(list[str])


def keys_all(db: apsw.Connection, asked: Sequence[None]) -> Sequence[ApiKeys]:
    """Return all keys, to each caller."""
    return [keys_from_texts(_texts.decode(run(db, _ALL)))] * len(asked)


def keep_all(db: apsw.Connection, keys: Sequence[ApiKey]) -> Sequence[bool]:
    """Keep keys whose version before is kept, one after the other."""
    return [_kept(db, key) for key in keys]


def _kept(db: apsw.Connection, key: ApiKey) -> bool:
    """Keep one key if the stored one is the version before."""
    if key.version == 1:
        return run(db, _FIRST, (key.id, 1, key_text(key))) is not None
    return run(db, _NEXT, (key.version, key_text(key), key.id, key.version - 1)) is not None


def pepper_all(db: apsw.Connection, offered: Sequence[str]) -> Sequence[str]:
    """Return the pepper that is kept, the first of those offered if there was none."""
    run(db, _OFFER, (offered[0],))
    return [run(db, _PEPPER)] * len(offered)
