"""The suppression list as a file: whole, read part by part, and seen to be incomplete where it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import httpx
import pytest
from tests.apps.api.test_server import running
from tests.apps.api.test_suppressions import PATH, SAID, listed, suppress
from tests.apps.api.world import World

from mailcore.suppression import Grounds, Suppression, SuppressionPage
from mailcore.testing import MemoryStore


async def test_an_export_can_be_given_back_as_it_is(world: World) -> None:
    """Every line of it is an entry; given to another service the lists are equal."""
    other = World()
    async with world.client() as api, other.client() as there:
        await suppress(
            api,
            {**SAID, "expires_at": "2030-02-01T01:00:00+01:00"},
            {"address": "b\u00fccher@b\u00fccher.example"},
            "a/b@example.com",
        )

        answer = await api.get(f"{PATH}/export")
        body = f'{{"suppressions": [{",".join(answer.text.splitlines())}]}}'
        given = await there.post(PATH, content=body, headers={"Content-Type": "application/json"})

        assert given.json() == {"kept": 3}
        assert await listed(api) == await listed(there)
    assert answer.text.count('"expires_at":"2030-02-01T00:00:00Z"') == 1
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="suppressions.jsonl"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


class PagedStore(MemoryStore):
    """A store that remembers how much was asked of it at once, and may go away after so many pages."""

    def __init__(self, pages: int = 1_000) -> None:
        """Remember when to go away."""
        super().__init__()
        self.asked: list[int] = []
        self.pages = pages

    async def list_suppressions(self, tenant: str, *, after: str | None, limit: int) -> SuppressionPage:
        """Return a page."""
        self.asked.append(limit)
        self.down = len(self.asked) > self.pages
        return await super().list_suppressions(tenant, after=after, limit=limit)


async def filled(store: MemoryStore, world: World, count: int) -> Sequence[str]:
    """Suppress so many addresses; return them in their order."""
    addresses = [f"{n:05d}@example.com" for n in range(count)]
    now = world.clock.now()
    await store.save_suppressions(
        [Suppression(tenant="default", address=one, reason=Grounds.MANUAL, created_at=now) for one in addresses]
    )
    return addresses


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1200])
async def test_an_export_is_whole_and_read_part_by_part(count: int) -> None:
    """No part is larger than what may be given at once, however long the list."""
    store = PagedStore()
    world = World(store=store)
    addresses = await filled(store, world, count)
    async with world.client() as api:
        text = (await api.get(f"{PATH}/export")).text

    assert [line.split('"')[3] for line in text.splitlines()] == list(addresses)
    assert store.asked == [500] * max(1, -(-count // 500))


async def taken(api: httpx.AsyncClient, got: list[bytes]) -> None:
    """Take an export as it comes."""
    async with api.stream("GET", f"{PATH}/export", headers={"X-Request-Id": "req_mine"}) as answer:
        assert answer.status_code == 200
        async for part in answer.aiter_bytes():
            got += [part]


async def test_an_export_that_breaks_off_is_seen_to_be_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed before the end of the answer, and a line is logged that names the request."""
    store = PagedStore(pages=2)
    world = World(store=store)
    await filled(store, world, 1500)
    got = list[bytes]()

    async with running(world.app()) as here, here.client() as api:
        with pytest.raises(httpx.RemoteProtocolError):
            await taken(api, got)
        store.down = False
        alive = await api.get("/health/live")

    assert b"".join(got).count(b"\n") == 1000
    assert "request req_mine: the export broke off behind 1000 suppressions: StoreUnavailableError" in caplog.messages
    assert alive.status_code == 200


async def test_who_leaves_in_the_middle_of_an_export_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing more is read for somebody who has gone, and nothing is told of it."""
    store = PagedStore()
    world = World(store=store)
    await filled(store, world, 100_000)

    async with running(world.app()) as here, here.client() as api:
        async with api.stream("GET", f"{PATH}/export") as answer:
            async for _ in answer.aiter_bytes():
                break
        alive = await api.get("/health/live")

    assert alive.status_code == 200
    assert len(store.asked) < 200
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
