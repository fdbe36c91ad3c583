"""The inbox: the letters that the emulated providers took, newest first, within bounds of number and size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from msgspec import Struct

from mailapps.emulator.wire import Letter

LETTERS = 10_000
BYTES = 256 * 1024 * 1024


class Received(Struct, frozen=True, kw_only=True):
    """A letter that arrived.

    Attributes:
        id: Counted from 1 since the server started.
        message_id: The provider's id of it.
        size: Bytes of its bodies and files together.
    """

    id: int
    received_at: datetime
    provider: str
    message_id: str
    letter: Letter
    size: int


class Inbox:
    """The latest letters.

    Attributes:
        dropped: How many of the oldest letters had to go.
    """

    def __init__(self, *, limit: int = LETTERS, max_bytes: int = BYTES) -> None:
        """Start empty."""
        self._limit = limit
        self._max_bytes = max_bytes
        self._letters: dict[int, Received] = {}
        self._bytes = 0
        self._last = 0
        self._first = 1
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many letters there are."""
        return len(self._letters)

    def put(self, letter: Letter, *, provider: str, message_id: str, now: datetime) -> Received:
        """Keep a letter; the oldest ones go if there are too many or they are too large together."""
        self._last += 1
        received = Received(
            id=self._last,
            received_at=now,
            provider=provider,
            message_id=message_id,
            letter=letter,
            size=size_of(letter),
        )
        self._letters[received.id] = received
        self._bytes += received.size
        while len(self) > self._limit or (self._bytes > self._max_bytes and len(self) > 1):
            self._drop_oldest()
        return received

    def get(self, letter_id: int) -> Received | None:
        """Return a letter, or None if there is none of that number (any more)."""
        return self._letters.get(letter_id)

    def newest(self, *, after: int | None = None, limit: int = 50, search: str = "") -> list[Received]:
        """Return letters, the newest first.

        Args:
            after: Only letters older than this one.
            limit: At most so many.
            search: Words that stand in the subject, an address, or the sender's own id, whatever their case.
        """
        found = (one for one in self._backwards() if (after is None or one.id < after) and _speaks_of(one, search))
        return list(islice(found, limit))

    def clear(self) -> None:
        """Throw all letters away; the numbers go on."""
        self._letters.clear()
        self._bytes = self.dropped = 0
        self._first = self._last + 1

    def _backwards(self) -> Iterator[Received]:
        """Yield all letters, the newest first."""
        yield from reversed(self._letters.values())

    def _drop_oldest(self) -> None:
        """Throw the oldest letter away."""
        self._bytes -= self._letters.pop(self._first).size
        self._first += 1
        self.dropped += 1


def size_of(letter: Letter) -> int:
    """Return the bytes of bodies and files together."""
    return sum(len((text or "").encode()) for text in (letter.text, letter.html)) + sum(
        len(file.content) for file in letter.files
    )


def _speaks_of(received: Received, search: str) -> bool:
    """Tell whether every word of a search stands in a letter's subject, addresses or id."""
    letter = received.letter
    people = " ".join(map(str, (letter.from_, *letter.to, *letter.cc, *letter.bcc)))
    text = f"{letter.subject} {people} {letter.email_id or ''} {received.message_id}".lower()
    return all(word in text for word in search.lower().split())
