"""The servers of a production pair, started for the run, and new databases on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.servers.mongo_protocol import mongo_server
from tests.servers.redis_protocol import redis_server
from tests.servers.running import Server


@dataclass(frozen=True)
class Servers:
    """A server of the MongoDB protocol and one of the Redis protocol."""

    mongo: Server
    redis: Server
    _numbers: Iterator[int] = field(default_factory=count)

    def lines(self) -> str:
        """Return settings of a database and a prefix that nobody has used yet."""
        store, queue = self.urls()
        return f'store = "{store}"\nqueue = "{queue}"'

    def urls(self) -> tuple[str, str]:
        """Return the address of a new database, and of a queue under a new prefix."""
        number = next(self._numbers)
        return f"{self.mongo.url}/bench{number}", f"{self.redis.url}/0?prefix=bench{number}"


@contextmanager
def servers() -> Iterator[Servers]:
    """Run them, both in memory: what is measured is mailcore, not their disks."""
    with mongo_server() as mongo, redis_server() as redis:
        yield Servers(mongo, redis)
