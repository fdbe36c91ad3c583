"""Runs a courier for many e-mails at once: bounded slots, lanes, refills from the store, and a polite stop.

Wake-ups are offered by a queue; whenever slots are free and no wake-up waits, due e-mails are taken from the store
itself. So delivery needs neither a queue nor a scheduler to be alive, and a wake-up that is dropped loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from mailcore.courier import Carried, Courier
from mailcore.errors import MailError
from mailcore.events import Event, Happening, unexpected
from mailcore.lifecycle import EmailId
from mailcore.message import Lane
from mailcore.stored import Fetched

BUFFERED = 10_000
"""How many wake-ups of a lane wait for a slot; those beyond are dropped and found in the store when due."""

SOLO = 1_000
"""How many e-mails wait to be retried after a crash; those beyond are found again by their lease."""

TOGETHER = 64
"""How many e-mails are read in one go before each is carried by itself."""

HIDE_FOR = timedelta(seconds=5)
"""How long an e-mail that this engine took from the store is not offered to other workers."""


Turn = tuple[EmailId, asyncio.Future[None]]
"""The last wake-up that somebody waits for, and what he waits on."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much an engine does at once, and how often it looks into the store.

    Attributes:
        slots: How many e-mails are under way at most.
        bulk_share: The share of the slots that the bulk lane may hold.
        poll: How long an idle engine waits before it looks into the store again.
    """

    slots: int = 256
    bulk_share: float = 0.5
    poll: timedelta = timedelta(milliseconds=500)

    def room(self, lane: Lane, free: int, bulk_under_way: int) -> int:
        """Return how many more e-mails of a lane may start."""
        if lane is not Lane.BULK:
            return free
        return min(free, max(1, int(self.slots * self.bulk_share)) - bulk_under_way)


@dataclass(kw_only=True)
class Engine:
    """Bounded concurrency around a courier."""

    courier: Courier
    pace: Pace = field(default_factory=Pace)
    _waiting: dict[Lane, deque[EmailId]] = field(default_factory=lambda: {lane: deque() for lane in Lane})
    _known: set[EmailId] = field(default_factory=set[EmailId])
    _under_way: dict[EmailId, Lane] = field(default_factory=dict[EmailId, Lane])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    _solo: deque[EmailId] = field(default_factory=deque[EmailId])
    _solo_busy: bool = False
    _turns: dict[Lane, deque[Turn]] = field(default_factory=lambda: {lane: deque() for lane in Lane})
    _look_at: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, email_ids: Sequence[EmailId], lane: Lane) -> None:
        """Take wake-ups. One that is known already, or that finds the buffer full, is dropped."""
        waiting = self._waiting[lane]
        for email_id in email_ids:
            if email_id in self._known or len(waiting) >= BUFFERED:
                continue
            self._known.add(email_id)
            waiting.append(email_id)
        self._changed.set()

    async def admit(self, email_ids: Sequence[EmailId], lane: Lane) -> None:
        """Take wake-ups as `offer` does, and return once they have slots, so that a queue keeps what waits.

        While the engine stops there are no slots: cancel the call, and wake somebody else up.
        """
        self.offer(email_ids, lane)
        if waiting := self._waiting[lane]:
            turn = asyncio.get_running_loop().create_future()
            self._turns[lane].append((waiting[-1], turn))
            await turn

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self.pace.slots - len(self._under_way)

    @property
    def waiting(self) -> dict[Lane, int]:
        """How many wake-ups wait for a slot, by lane."""
        return {lane: len(ids) for lane, ids in self._waiting.items()}

    async def run(self) -> None:
        """Carry e-mails until `stop` is called.

        What is due in the store goes first: it is older than what has just been woken up, or its wake-up was lost.
        An error about an e-mail or of the store is told to the watcher, and ends nothing; what the watcher raises does.
        """
        while not self.courier.stopping:
            self._changed.clear()
            if self.free and self._now() >= self._look_at:
                await self._refill()
            self._start_waiting()
            await self._idle()

    def _now(self) -> float:
        """Return the seconds of the clock that the loop's timers go by."""
        return asyncio.get_running_loop().time()

    async def _idle(self) -> None:
        """Wait for a wake-up, a free slot or, if there is one, the next look into the store."""
        wait = max(0.0, self._look_at - self._now()) if self.free else None
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return

    def _start_waiting(self) -> None:
        """Start what waits, the most urgent lane first, as far as there are slots."""
        for lane in Lane:
            waiting = self._waiting[lane]
            some = [waiting.popleft() for _ in range(min(self._room(lane), len(waiting)))]
            self._start(some, lane)
            for email_id in some:
                self._take_turn(email_id, lane)

    def _take_turn(self, email_id: EmailId, lane: Lane) -> None:
        """Let those go on who wait until this wake-up has a slot."""
        turns = self._turns[lane]
        while turns and turns[0][0] == email_id:
            turn = turns.popleft()[1]
            if not turn.cancelled():
                turn.set_result(None)

    def _room(self, lane: Lane) -> int:
        """Return how many more e-mails of a lane may start."""
        if self.courier.stopping:
            return 0
        bulk = sum(other is Lane.BULK for other in self._under_way.values()) if lane is Lane.BULK else 0
        return max(0, self.pace.room(lane, self.free, bulk))

    async def _refill(self) -> None:
        """Start due e-mails from the store; look again at once if there were any, else after the poll."""
        found = 0
        for lane in Lane:
            if room := self._room(lane):
                with self._living_on():
                    found += self._start_due(await self.courier.due(lane, room, HIDE_FOR), lane)
        self._look_at = self._now() + (0.0 if found else self.pace.poll.total_seconds())

    def _start_due(self, email_ids: Sequence[EmailId], lane: Lane) -> int:
        """Start those that are not known already; return how many."""
        fresh = [] if self.courier.stopping else [one for one in email_ids if one not in self._known]
        self._known.update(fresh)
        self._start(fresh, lane)
        return len(fresh)

    def _start(self, email_ids: Sequence[EmailId], lane: Lane) -> None:
        """Give e-mails slots."""
        self._under_way.update(dict.fromkeys(email_ids, lane))
        for at in range(0, len(email_ids), TOGETHER):
            self._spawn(self._read(email_ids[at : at + TOGETHER]))

    async def _read(self, email_ids: Sequence[EmailId]) -> None:
        """Read e-mails that have slots in one go, and carry each; one that was not read then is read by itself."""
        fetched: Mapping[EmailId, Fetched] = {}
        with self._living_on():
            fetched = await self.courier.ports.store.fetch(email_ids)
        for email_id in email_ids:
            self._spawn(self._carry(email_id, fetched.get(email_id)))

    async def _carry(self, email_id: EmailId, fetched: Fetched | None) -> None:
        """Carry an e-mail, and free its slot whatever happens."""
        carried = Carried.NOTHING
        try:
            with self._living_on(email_id):
                carried = await self.courier.attempt(email_id, fetched=fetched)
        finally:
            del self._under_way[email_id]
            self._known.discard(email_id)
            self._changed.set()
        if carried is Carried.NEEDS_SOLO:
            self._queue_solo(email_id)

    def _queue_solo(self, email_id: EmailId) -> None:
        """Line an e-mail up whose last worker died: one at a time, so that a poisonous one charges no neighbours."""
        if self.courier.stopping or len(self._solo) >= SOLO:
            return
        self._known.add(email_id)
        self._solo.append(email_id)
        if not self._solo_busy:
            self._solo_busy = True
            self._spawn(self._carry_solo())

    async def _carry_solo(self) -> None:
        """Carry the lined-up e-mails one after the other."""
        try:
            while self._solo and not self.courier.stopping:
                await self._carry_alone(self._solo.popleft())
        finally:
            self._solo_busy = False

    async def _carry_alone(self, email_id: EmailId) -> None:
        """Carry one e-mail while no other is retried after a crash."""
        try:
            with self._living_on(email_id):
                await self.courier.attempt(email_id, solo=True)
        finally:
            self._known.discard(email_id)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside, for `stop` to wait for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, within: timedelta) -> bool:
        """Begin nothing new, let what is under way end, and return whether it all ended in time.

        What did not is cancelled: its attempts have no known outcome, and their leases tell so.
        """
        self.courier.stopping = True
        self._changed.set()
        ends_at = self._now() + within.total_seconds()
        while self._tasks and self._now() < ends_at:
            await asyncio.wait(set(self._tasks), timeout=ends_at - self._now())
        late = [task for task in self._tasks if task.cancel()]
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    @contextmanager
    def _living_on(self, email_id: EmailId = "") -> Generator[None]:
        """Tell the watcher of an error, even one that nobody foresaw, and go on: the store knows what is left to do."""
        try:
            yield
        except MailError as error:
            note = f"{type(error).__name__}: {error}"
            self.courier.ports.watch(Event(what=Happening.STORE_FAILED, email_id=email_id, note=note))
        except Exception as error:  # noqa: BLE001 - a fault about one e-mail must not end the delivery of all
            self.courier.ports.watch(unexpected(error, email_id))
