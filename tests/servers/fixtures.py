"""Real servers for tests: one of each for the whole session, and others that a test may kill.

A server that is missing is a skip on a laptop and an error where CI is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import count
from pathlib import Path

import pytest
from tests.servers.mongo_protocol import mongo_server
from tests.servers.redis_protocol import redis_server
from tests.servers.running import Missing, Server
from tests.servers.sqs_protocol import sqs_server
from tests.servers.sqs_world import KEYS

_numbers = count(1)


def running(stack: ExitStack, server: AbstractContextManager[Server]) -> Server:
    """Return a server that runs until the stack is closed; skip or fail if there is none."""
    try:
        return stack.enter_context(server)
    except Missing as missing:
        give_up: Callable[[str], None] = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(str(missing))
        raise


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Server]:
    """Give a server of the Redis protocol that all tests share: use names of your own in it, and leave it running."""
    with ExitStack() as stack:
        yield running(stack, redis_server())


@pytest.fixture(scope="session")
def shared_mongo() -> Iterator[Server]:
    """Give a server of the MongoDB protocol that all tests share: use databases of your own, and leave it running."""
    with ExitStack() as stack:
        yield running(stack, mongo_server())


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have keys in the environment that a stand-in of AWS takes, and none of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


@pytest.fixture(scope="session")
def _shared_sqs() -> Iterator[Server]:
    """Give a server of the SQS protocol that all tests share."""
    with ExitStack() as stack:
        yield running(stack, sqs_server())


@pytest.fixture
def shared_sqs(_shared_sqs: Server, aws_keys: None, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give a server of the SQS protocol that all tests share: use queues of your own in it, and leave it running.

    It may take its time: the stand-in is slow, the more so on a busy machine.
    """
    monkeypatch.setattr("mailadapters.sqs_connection.LIMIT_S", 20.0)
    return _shared_sqs


@pytest.fixture
def own_sqs(aws_keys: None) -> Iterator[Server]:
    """Give a server of the SQS protocol that the test may kill; after that it has forgotten everything."""
    with ExitStack() as stack:
        yield running(stack, sqs_server())


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """Give a server of the Redis protocol that the test may kill; what it has answered survives that."""
    with ExitStack() as stack:
        yield running(stack, redis_server(tmp_path))


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[Server]:
    """Give a server of the MongoDB protocol that the test may kill; what it has answered survives that."""
    with ExitStack() as stack:
        yield running(stack, mongo_server(tmp_path))


@pytest.fixture
def mongo_url(shared_mongo: Server) -> str:
    """Give the URL of an empty database on the shared server."""
    return f"{shared_mongo.url}/test_{os.getpid()}_{next(_numbers)}"
