"""mailcore as an AWS Lambda function behind its SQS queues: takes wake-ups, and reports those that must come again.

A process opens everything once, with its first event, and keeps it, event loop included, for all that follow. Between
two events it stands still, so nothing goes on in the background here: no engine looks into the store, and what becomes
due later is woken up by `mailcore scheduler`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from mailadapters.sqs_format import ids_of
from mailapps.container import Container, opened, provider_problems
from mailapps.logs import set_up, watching
from mailapps.settings import Settings
from mailapps.settings_sources import load
from mailapps.tuning import Role
from mailcore.assembly import SPARE
from mailcore.courier import Carried, Courier
from mailcore.errors import EmailNotFoundError, MailError, StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.lifecycle import EmailId
from mailcore.ports import HasClock, Ports, Watch

ANSWER_S: Final = 1.0
"""What is left for the answer: a function that is cut off has its whole batch repeated, and starts anew."""

Report = dict[str, list[dict[str, str]]]
"""What Lambda wants to hear: the messages of a batch that must come again."""


class Context(Protocol):
    """What Lambda tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long it may still take."""
        ...


class Record(Struct, frozen=True, rename="camel"):
    """A message of SQS, as Lambda hands it over."""

    message_id: str
    body: str


class Batch(Struct, frozen=True):
    """An event of SQS."""

    records: list[Record] = msgspec.field(name="Records")


def handler(event: object, context: Context) -> Report:
    """Do what is to be done for all e-mails of an event; the entry point, `mailapps.aws_lambda.handler`.

    Raises:
        SettingsError: The settings in the environment are wrong.
    """
    return _of_this_process().handle(event, timedelta(milliseconds=context.get_remaining_time_in_millis()))


@cache
def _of_this_process() -> Function:
    """Return what all events of this process are handled by."""
    settings = load(None, os.environ, provider_problems)
    set_up(settings.log)
    return Function(settings, watching(structlog.get_logger("mailcore")))


@dataclass
class Function:
    """One process of a Lambda function."""

    settings: Settings
    watch: Watch
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _parts: Container | None = None

    @property
    def needed(self) -> timedelta:
        """How much time an attempt must have: a call, and what it leaves to do."""
        return self.settings.call_deadline + SPARE

    def handle(self, event: object, left: timedelta) -> Report:
        """Return the messages whose e-mails could not be looked at within the time that is left."""
        again = self._runner.run(self._again(event, left))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}

    def close(self) -> None:
        """Let go of everything. Lambda never asks for that; whoever runs several in one process does."""
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _again(self, event: object, left: timedelta) -> Sequence[str]:
        """Return the ids of the messages that must come again."""
        messages = self._messages(event)
        looked_at = await self._looked_at({one for email_ids in messages.values() for one in email_ids}, left)
        return [message_id for message_id, email_ids in messages.items() if not looked_at.issuperset(email_ids)]

    async def _looked_at(self, email_ids: set[EmailId], left: timedelta) -> set[EmailId]:
        """Do what is to be done for e-mails; return those that need not be looked at again."""
        try:
            ports = await self._opened()
        except StoreUnavailableError as error:
            self._tell(Happening.STORE_FAILED, "", f"{type(error).__name__}: {error}")
            return set()
        turn = Turn(courier=self._courier(), ports=ports, slots=asyncio.Semaphore(self.settings.in_flight))
        return await turn.carry(email_ids, (left - self.needed).total_seconds(), left.total_seconds() - ANSWER_S)

    def _courier(self) -> Courier:
        """Return who makes the attempts."""
        assert self._parts is not None
        return self._parts.assembled().engine.courier

    async def _opened(self) -> Ports:
        """Return the ports, opened by the first event; the store has just told the time.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        if self._parts is None:
            self._parts = await self._stack.enter_async_context(opened(self.settings, Role.WORKER, self.watch))
        ports = self._parts.ports()
        if isinstance(ports.store, HasClock):
            await ports.store.open()  # while the process stood still, the clock that it goes by may have, too
        courier = self._courier()
        courier.roster.board.doubt()
        courier.suppressions.doubt()
        return ports

    def _messages(self, event: object) -> Mapping[str, Sequence[EmailId]]:
        """Return the e-mails of every message by its id; what is no wake-up is told, and has none."""
        try:
            records = msgspec.convert(event, Batch).records
        except msgspec.ValidationError:
            self._tell(Happening.STRANGE_WAKE_UP, "", "an event that is none of SQS")
            return {}
        return {record.message_id: self._ids(record) for record in records}

    def _ids(self, record: Record) -> Sequence[EmailId]:
        """Return the e-mails that a message names."""
        found = ids_of(record.body)
        if found is None:
            self._tell(Happening.STRANGE_WAKE_UP, "", f"in the message {record.message_id[:64]}")
        return found or ()

    def _tell(self, what: Happening, email_id: EmailId, note: str) -> None:
        """Tell the watcher."""
        self.watch(Event(what=what, email_id=email_id, note=note))


@dataclass(kw_only=True)
class Turn:
    """One event's e-mails on their way.

    Attributes:
        slots: How many are under way at most.
    """

    courier: Courier
    ports: Ports
    slots: asyncio.Semaphore
    _solo: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def carry(self, email_ids: set[EmailId], begin_s: float, end_s: float) -> set[EmailId]:
        """Do what is to be done for e-mails; return those that need not be looked at again.

        Args:
            email_ids: Any ids.
            begin_s: For how many seconds attempts may begin.
            end_s: After so many seconds those still under way are left to their leases.
        """
        self.courier.stopping = begin_s <= 0
        timer = asyncio.get_running_loop().call_later(max(0.0, begin_s), self._stop)
        tasks = {email_id: asyncio.ensure_future(self._look_at(email_id)) for email_id in email_ids}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=max(0.0, end_s))
        finally:
            timer.cancel()
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return {email_id for email_id, task in tasks.items() if not task.cancelled() and task.result()}

    def _stop(self) -> None:
        """Begin nothing new."""
        self.courier.stopping = True

    async def _look_at(self, email_id: EmailId) -> bool:
        """Do what is to be done for an e-mail; return whether it need not be looked at again."""
        async with self.slots:
            try:
                if not self.courier.stopping:
                    await self._attempt(email_id)
                return not self.courier.stopping or await self._is_settled(email_id)
            except MailError as error:
                note = f"{type(error).__name__}: {error}"
                self.ports.watch(Event(what=Happening.STORE_FAILED, email_id=email_id, note=note))
                return False

    async def _attempt(self, email_id: EmailId) -> None:
        """Attempt an e-mail; one that crashed a process before has no neighbours of its kind."""
        if await self.courier.attempt(email_id) is Carried.NEEDS_SOLO:
            async with self._solo:
                await self.courier.attempt(email_id, solo=True)

    async def _is_settled(self, email_id: EmailId) -> bool:
        """Whether an e-mail has come to an end; one that there is not has."""
        try:
            return (await self.ports.store.get(email_id)).settled
        except EmailNotFoundError:
            return True
