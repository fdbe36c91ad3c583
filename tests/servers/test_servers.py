"""The servers that the tests start do what the tests rely on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pymongo
import pytest
import redis
from pymongo.errors import PyMongoError
from tests.servers.fixtures import running
from tests.servers.running import Missing, Server


@contextmanager
def nowhere() -> Iterator[Server]:
    """Run a server that is missing."""
    raise Missing("nowhere")
    yield


def mongo(server: Server) -> pymongo.MongoClient[dict[str, Any]]:
    """Return a client that does not wait for long."""
    return pymongo.MongoClient(server.url, timeoutMS=1500, connectTimeoutMS=500)


def test_what_redis_has_answered_survives_a_crash(own_redis: Server) -> None:
    """A queue's server that keeps its data gives them back after a kill -9."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("a", "1")

        own_redis.kill()
        own_redis.restart()

        assert client.get("a") == b"1"


def test_a_frozen_redis_answers_once_it_is_thawed(own_redis: Server) -> None:
    """A frozen server holds its connections and answers nothing."""
    with redis.Redis.from_url(own_redis.url, socket_timeout=0.2, retry=None) as client:
        client.ping()

        own_redis.freeze()

        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_redis.thaw()
        assert client.ping()


def test_what_mongo_has_answered_survives_a_crash(own_mongo: Server) -> None:
    """A store's server gives back after a kill -9 what it has acknowledged, with its `_id` index."""
    with mongo(own_mongo) as client:
        client.db.things.insert_one({"_id": "a", "version": 1})

    own_mongo.kill()
    own_mongo.restart()

    with mongo(own_mongo) as client:
        found = client.db.things.update_one({"_id": "a", "version": 1}, {"$set": {"version": 2}})

    assert found.matched_count == 1


def test_what_a_crash_of_mongo_leaves_is_whole(own_mongo: Server) -> None:
    """Killed while many write, it has each document altogether: whatever a scan finds, its id finds."""
    many = threading.Semaphore(0)

    def write(writer: int) -> None:
        with mongo(own_mongo) as client, suppress(PyMongoError):
            for n in range(100_000):
                client.db.things.insert_many([{"_id": f"{writer}-{n}-{at}", "text": "x" * 500} for at in range(50)])
                many.release()

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for _ in range(60):
        assert many.acquire(timeout=30)
    own_mongo.kill()
    for writer in writers:
        writer.join()
    own_mongo.restart()

    with mongo(own_mongo) as client:
        ids = sorted(one["_id"] for one in client.db.things.find(batch_size=200))
        parts = [ids[at : at + 200] for at in range(0, len(ids), 200)]  # a server that has just begun is slow
        found = {one["_id"] for part in parts for one in client.db.things.find({"_id": {"$in": part}})}
    assert len(ids) >= 1_000
    assert found == set(ids)


def test_a_frozen_mongo_answers_once_it_is_thawed(own_mongo: Server) -> None:
    """A frozen server holds its connections and answers nothing."""
    with mongo(own_mongo) as client:
        client.db.things.insert_one({"_id": "a"})

        own_mongo.freeze()

        with pytest.raises(PyMongoError):
            client.db.things.find_one({"_id": "a"})
        own_mongo.thaw()
        assert client.db.things.find_one({"_id": "a"}) == {"_id": "a"}


def test_a_missing_server_is_a_skip_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no server can still run the other tests."""
    monkeypatch.delenv("CI", raising=False)

    with ExitStack() as stack, pytest.raises(pytest.skip.Exception, match="nowhere"):
        running(stack, nowhere())


def test_a_missing_server_is_an_error_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """A green CI must not hide that nothing was tested."""
    monkeypatch.setenv("CI", "true")

    with ExitStack() as stack, pytest.raises(pytest.fail.Exception, match="nowhere"):
        running(stack, nowhere())
