"""The e-mails of a simulation and when each must be looked at: a store's index of what is due, in memory.

It answers as `EmailStore.take_due` does, in time that grows with what it hands out and not with what waits: one heap
for the e-mails that wait for the same providers. An entry that an e-mail has outlived is dropped when it comes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from mailcore.lifecycle import Email, EmailId
from mailcore.message import Lane
from mailcore.ports import Due

Place = tuple[Lane, tuple[str, ...]]
Entry = tuple[datetime, EmailId]


@dataclass
class Shelf:
    """What is not settled yet.

    Attributes:
        emails: By id; an e-mail leaves when it is settled.
    """

    emails: dict[EmailId, Email] = field(default_factory=dict[EmailId, Email])
    _wakes: dict[EmailId, datetime] = field(default_factory=dict[EmailId, datetime])
    _heaps: dict[Place, list[Entry]] = field(default_factory=dict[Place, list[Entry]])
    _ends: dict[Lane, list[Entry]] = field(default_factory=dict[Lane, list[Entry]])

    def put(self, email: Email) -> None:
        """Keep the next version of an e-mail, or let a settled one go."""
        wake_at = email.wake_at
        if wake_at is None:
            self.emails.pop(email.id, None)
            self._wakes.pop(email.id, None)
            return
        if email.id not in self.emails:
            heappush(self._ends.setdefault(email.lane, []), (email.give_up_at, email.id))
        self.emails[email.id] = email
        self._set(email, wake_at)

    def take(self, now: datetime, due: Due) -> list[EmailId]:
        """Return what is due, the longest overdue first, and hide it for a while."""
        taken = [*self._too_old(now, due)]
        taken += self._woken(now, due, due.limit - len(taken))
        for email_id in taken:
            self._set(self.emails[email_id], now + due.hide_for)
        return taken

    def next_wake(self, closed: frozenset[str]) -> datetime | None:
        """Return when something is due next that does not wait for closed providers."""
        heads = (self._head(place) for place in self._heaps if _is_open(place[1], closed))
        ends = (heap[0] for lane in self._ends if (heap := self._living(lane)))
        return min((head[0] for head in (*heads, *ends) if head), default=None)

    def _set(self, email: Email, wake_at: datetime) -> None:
        """Note when an e-mail must be looked at."""
        self._wakes[email.id] = wake_at
        heappush(self._heaps.setdefault((email.lane, email.blocked_on), []), (wake_at, email.id))

    def _head(self, place: Place) -> Entry | None:
        """Return the first entry of a heap that still holds."""
        heap = self._heaps[place]
        while heap and not self._holds(heap[0], place):
            heappop(heap)
        return heap[0] if heap else None

    def _holds(self, entry: Entry, place: Place) -> bool:
        """Return whether an entry is the latest word on its e-mail."""
        return self._wakes.get(entry[1]) == entry[0] and self.emails[entry[1]].blocked_on == place[1]

    def _woken(self, now: datetime, due: Due, limit: int) -> Iterator[EmailId]:
        """Take due e-mails out of their heaps."""
        places = [key for key in self._heaps if key[0] is due.lane and _is_open(key[1], due.closed)]
        for _ in range(limit):
            heads = [(head, place) for place in places if (head := self._head(place))]
            if not heads or (first := min(heads))[0][0] > now:
                return
            yield self._taken(heappop(self._heaps[first[1]])[1])

    def _too_old(self, now: datetime, due: Due) -> Iterator[EmailId]:
        """Take e-mails whose time is over, whatever they wait for."""
        for _ in range(due.limit):
            heap = self._living(due.lane)
            if not heap or heap[0][0] > now:
                return
            yield self._taken(heappop(heap)[1])

    def _living(self, lane: Lane) -> list[Entry]:
        """Return when the e-mails of a lane are given up, the first of which is not settled yet."""
        heap = self._ends.get(lane, [])
        while heap and heap[0][1] not in self.emails:
            heappop(heap)
        return heap

    def _taken(self, email_id: EmailId) -> EmailId:
        """Return an e-mail that is handed out; none of its entries holds any more."""
        del self._wakes[email_id]
        return email_id


def _is_open(waits: tuple[str, ...], closed: frozenset[str]) -> bool:
    """Whether an e-mail that waits for these providers, or for none, is worth a look."""
    return not waits or not closed.issuperset(waits)
