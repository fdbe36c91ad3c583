"""Each end-to-end test lives in a town of its own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.e2e.town import Town, town


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Town]:
    """Return a town with an emulator and no service yet."""
    async with town(tmp_path) as built:
        yield built
