"""A world around the API, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.apps.api.world import World


@pytest.fixture
def world() -> World:
    """Return a world where nothing has happened."""
    return World()


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an API that asks for no key."""
    async with world.client() as client:
        yield client
    assert world.crashes == []
