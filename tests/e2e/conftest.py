"""Each end-to-end test lives in a town of its own, where nobody may complain."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from tests.e2e.town import Town, complaints, town


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Town]:
    """Return a town with an emulator and no service yet."""
    async with town(tmp_path) as built:
        yield built


@pytest.fixture(autouse=True)
def nobody_complains(tmp_path: Path) -> Iterator[None]:
    """Fail a test in which a process has told of an error that nobody foresaw, whatever came of the mail."""
    yield
    assert [line for log in sorted(tmp_path.glob("*.log")) for line in complaints(log.read_text())] == []
