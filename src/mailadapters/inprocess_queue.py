"""The queue of a single process: wake-ups go straight to its engine, and nothing is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from mailcore.errors import SettingsError
from mailcore.lifecycle import EmailId
from mailcore.message import Lane

REMEMBERED = 1_000
"""How many burials are remembered, for whoever looks at `buried`; the dead letters themselves are in the store."""


class InProcessQueue:
    """Hands every wake-up to the engine that is connected; without one they are lost, and the store's sweep finds them.

    Attributes:
        buried: The latest dead letters with their reason, oldest first.
    """

    def __init__(self) -> None:
        self._offer: Callable[[Sequence[EmailId], Lane], None] | None = None
        self.buried: deque[tuple[EmailId, str]] = deque(maxlen=REMEMBERED)

    def connect(self, offer: Callable[[Sequence[EmailId], Lane], None]) -> None:
        """Hand every wake-up from now on to `offer`."""
        self._offer = offer

    async def enqueue(self, email_ids: Sequence[EmailId], *, lane: Lane) -> None:
        if self._offer:
            self._offer(email_ids, lane)

    async def bury(self, email_id: EmailId, *, reason: str) -> None:
        self.buried.append((email_id, reason))

    async def aclose(self) -> None:
        self._offer = None


def open_queue(url: str) -> InProcessQueue:
    """Return the queue that ``memory://`` names.

    Raises:
        SettingsError: The url says more than that.
    """
    if url != "memory://":
        message = f"queue = '{url[:40]}': the queue of a single process is called memory://"
        raise SettingsError(message)
    return InProcessQueue()
