"""The collections and their indexes.

emails: one small document for each e-mail, changed by every save; shape.py says what is in it.
contents: messages that are not small, written once, before their e-mail.
health: what all processes know of the providers.
switches, leases: what the operator has switched by hand, and who leads the schedulers.
keys, pepper: API keys, and what their secrets are digested with where no setting says.
suppressions: addresses that must not be written to; suppressing.py says how they are named.

Nothing is unique but `_id`, and there are no transactions, change streams, pipeline updates, partial or TTL indexes:
every collection can be sharded by a hashed `_id` without any other change. Lists have an index for their order and
one for each of the rare things that operators look for; any other filter is looked for newest first.
"""

from __future__ import annotations

from typing import Any, Final

from pymongo import ASCENDING, AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from mailadapters.mongo.shape import LISTED, SPARSE

Client = AsyncMongoClient[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

CONFIRMED: Final = ReadConcern("majority")
"""For telling after a lost answer whether a write happened: what could still be rolled back does not count."""

INDEXES: Final = (
    IndexModel([(LISTED, ASCENDING)], name=LISTED),
    *(IndexModel([(field, ASCENDING)], name=field, sparse=True) for field in SPARSE),
)

ENDS: Final = "ends"
"""When a suppression ends by itself, in milliseconds since 1970; only on those that do."""


class Collections:
    """The collections of one database."""

    def __init__(self, database: Database) -> None:
        self.emails: Collection = database["emails"]
        self.contents: Collection = database["contents"]
        self.health: Collection = database["health"]
        self.switches: Collection = database["switches"]
        self.leases: Collection = database["leases"]
        self.keys: Collection = database["keys"]
        self.pepper: Collection = database["pepper"]
        self.suppressions: Collection = database["suppressions"]

    @property
    def emails_confirmed(self) -> Collection:
        """The e-mails as no failover of servers can take them back."""
        return self.emails.with_options(read_concern=CONFIRMED)

    async def prepare(self) -> None:
        """Make the indexes that are not there; quick where they are."""
        await self.emails.create_indexes(list(INDEXES))
        await self.suppressions.create_index(ENDS, name=ENDS, sparse=True)
