"""An outbox for your program's own tests: a whole engine in memory, in a time that the test moves.

Your code gets `outbox.mailer`, which is the real Mailer: it checks messages, honours keys and refuses what the real
one refuses. Nothing leaves the process, nothing is waited for, and every run is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mailcore.assembly import Tuning, assembled, author
from mailcore.courier import Carried
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.mailer import Mailer
from mailcore.message import Message
from mailcore.ports import Configured, Ports
from mailcore.testing.manual_clock import ManualClock, draws, ids
from mailcore.testing.memory_health import MemoryHealth
from mailcore.testing.memory_queue import MemoryQueue
from mailcore.testing.memory_store import MemoryStore
from mailcore.testing.scripted_provider import ScriptedProvider


class Outbox:
    """What a program under test has handed to mailcore, and what became of it.

    Attributes:
        mailer: For the program under test.
        provider: Takes everything, unless its `script` says otherwise.
        store: Where the e-mails are; tell it to be `down` to see what your program does then.
        clock: The time. It stands still but for `advance` and for `mailer.wait`.
    """

    def __init__(self, *, default_from: str = "Sender <sender@example.com>", tuning: Tuning | None = None) -> None:
        """Make an empty one.

        Raises:
            SettingsError: `default_from` is no address.
        """
        self.provider = ScriptedProvider("outbox")
        self.store = MemoryStore()
        self.clock = ManualClock()
        self._queue = MemoryQueue()
        self._busy = False
        tuning = tuning or Tuning()
        made = assembled(self._ports(tuning), tuning, author(default_from))
        self.mailer: Mailer = made.mailer
        self._courier = made.engine.courier

    @property
    def messages(self) -> Sequence[Message]:
        """Every message that was accepted, sent or not, oldest first and in its normal form."""
        return tuple(self.store.messages.values())

    @property
    def emails(self) -> Sequence[Email]:
        """The e-mails that came of them, in the same order."""
        return tuple(self.store.emails.values())

    async def delivered(self) -> Sequence[Message]:
        """Let everything go that is due now, and return all that the provider has taken so far, in order of arrival."""
        await self._carry_due()
        return tuple(self.store.messages[email.id] for email in self.emails if email.status is Status.SENT)

    async def advance(self, by: timedelta | float) -> None:
        """Let time pass, a duration or seconds; what becomes due on the way is sent at its moment."""
        end = self.clock.now() + (by if isinstance(by, timedelta) else timedelta(seconds=by))
        await self._carry_due()
        while self.clock.now() < end:
            self.clock.advance(self._next_moment(end) - self.clock.now())
            await self._carry_due()

    def _ports(self, tuning: Tuning) -> Ports:
        """Return a world in memory."""
        return Ports(
            store=self.store,
            queue=self._queue,
            health=MemoryHealth(),
            providers=(Configured(provider=self.provider),),
            clock=self.clock,
            draw=draws(),
            new_id=ids(),
            new_token=ids("token_"),
            sleep=self._sleep,
            watch=tuning.watch,
        )

    async def _sleep(self, seconds: float) -> None:
        """Let time pass; in a pause within an attempt nothing else is begun, or the attempt could be overtaken."""
        if self._busy:
            self.clock.advance(seconds)
        else:
            await self.advance(seconds)

    def _next_moment(self, end: datetime) -> datetime:
        """Return when the next e-mail wakes, or `end` if none does before."""
        now = self.clock.now()
        return min([end, *(one.wake_at for one in self.emails if one.wake_at and one.wake_at > now)])

    async def _carry_due(self) -> None:
        """Do for every e-mail that is woken or due whatever is to be done now."""
        self._busy = True
        try:
            for email_id in self._woken():
                if await self._courier.attempt(email_id) is Carried.NEEDS_SOLO:
                    await self._courier.attempt(email_id, solo=True)
        finally:
            self._busy = False

    def _woken(self) -> Sequence[EmailId]:
        """Return the e-mails to look after, in order of arrival."""
        now = self.clock.now()
        woken = {email_id for _, email_id in self._queue.taken()}
        return [one.id for one in self.emails if one.id in woken or (one.wake_at and one.wake_at <= now)]
