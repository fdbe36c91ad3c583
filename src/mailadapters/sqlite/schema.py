"""The tables, and how a file of any earlier release becomes one of this release.

A file's version is in `PRAGMA user_version`. A migration, once released, is never changed: the next one follows
it. Moments are whole milliseconds since 1970. What queries compare has a column of its own; the rest is in `doc`.

emails: one small row for each e-mail, replaced by every save. `wake_at` is NULL once nothing more will happen by
itself, so that the partial indexes below are as large as the unfinished work, whatever is stored beside it.
`blocked_on` is '' for an e-mail that waits for time alone, else its providers as JSON: all that wait for the same
ones lie together in `emails_waking`, and are passed over without a look at each while none of those is open.
`addressed` is 1 as long as a recipient stands in the row; it has an index of those for whoever erases them by age.
contents: the messages, written once, beside the first version of their e-mail.
tombstones: what is left of e-mails whose record is gone, for as long as their key must still be known.
health: what all processes on this file know of the providers.
switches, leases: what the operator has switched by hand, and who leads what; see keeping.py.
keys, pepper: API keys, and what their secrets are digested with where no setting says; see keys.py.
suppressions: addresses that must not be written to, with an index of those that end by themselves.

Lists have an index for their order, and one for each of the rare things that operators look for. Any other filter
is looked for newest first, a bounded span at a time: an index for each would cost every e-mail more than they save.
"""

from __future__ import annotations

from typing import Final

import apsw

from mailadapters.sqlite.rows import run
from mailadapters.sqlite.transactions import Patience, transaction
from mailcore.errors import SettingsError

MIGRATIONS: Final = (
    """
    CREATE TABLE emails (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        lane TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        wake_at INTEGER,
        give_up_at INTEGER NOT NULL,
        blocked_on TEXT NOT NULL,
        possible_duplicate INTEGER NOT NULL,
        doc TEXT NOT NULL
    );
    CREATE INDEX emails_waking ON emails (lane, blocked_on, wake_at) WHERE wake_at IS NOT NULL;
    CREATE INDEX emails_given_up ON emails (lane, give_up_at, wake_at) WHERE wake_at IS NOT NULL AND blocked_on <> '';
    CREATE INDEX emails_newest ON emails (created_at, id);
    CREATE INDEX emails_failed ON emails (created_at, id) WHERE status = 'failed';
    CREATE INDEX emails_held ON emails (created_at, id) WHERE status = 'held';
    CREATE INDEX emails_doubtful ON emails (created_at, id) WHERE possible_duplicate = 1;
    CREATE TABLE contents (seq INTEGER PRIMARY KEY, doc BLOB NOT NULL);
    CREATE TABLE health (provider TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE emails ADD COLUMN addressed INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX emails_addressed ON emails (created_at, id) WHERE addressed = 1;
    CREATE TABLE tombstones (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX tombstones_oldest ON tombstones (created_at);
    CREATE TABLE switches (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE leases (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE keys (id TEXT PRIMARY KEY, version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE pepper (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL);
    """,
    """
    CREATE TABLE suppressions (
        tenant TEXT NOT NULL,
        mailbox TEXT NOT NULL,
        ends INTEGER,
        doc TEXT NOT NULL,
        PRIMARY KEY (tenant, mailbox)
    ) WITHOUT ROWID;
    CREATE INDEX suppressions_ending ON suppressions (ends) WHERE ends IS NOT NULL;
    """,
)


def migrate(db: apsw.Connection, path: str, patience: Patience) -> None:
    """Bring a file up to this release, one migration a transaction; other processes may do so at the same time.

    Raises:
        SettingsError: The file is of a newer release.
    """
    while (version := _version(db)) != len(MIGRATIONS):
        if version > len(MIGRATIONS):
            raise SettingsError(
                f"store: {path} was written by a newer release of mailcore (schema {version}, this release knows "
                f"{len(MIGRATIONS)}): install that release, or name another file"
            )
        with transaction(db, patience):
            _advance(db)


def _advance(db: apsw.Connection) -> None:
    """Run the next migration, unless another process has run it by now."""
    version = _version(db)
    if version < len(MIGRATIONS):
        run(db, MIGRATIONS[version])
        run(db, f"PRAGMA user_version = {version + 1}")


def _version(db: apsw.Connection) -> int:
    """Return how many migrations a file has seen."""
    return int(run(db, "PRAGMA user_version"))
