"""Saves what was decided about an e-mail, and performs the effects once it is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from msgspec.structs import replace

from mailcore.dispatch import Bury, Effect, Notify, Transition, WakeUp
from mailcore.errors import ConflictError, QueueUnavailableError, StaleEmailError, StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email, EmailId
from mailcore.ports import Ports
from mailcore.waiting import TimeLimit

WAKE_UP_BUDGET = timedelta(milliseconds=250)
"""How long the queue may take for a wake-up before it counts as lost."""

_BUDGET = TimeLimit(WAKE_UP_BUDGET.total_seconds())

RETRY_SAVE = timedelta(milliseconds=500)
"""How long to wait before an outcome that the store could not take is saved again."""

Decide = Callable[[Email], Transition | None]
"""Decides anew on the e-mail as it is stored now; None if there is nothing left to record."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """Saves transitions.

    Attributes:
        patience: How long an outcome that is known is tried to be recorded while the store does not answer.
    """

    ports: Ports
    patience: timedelta = timedelta(minutes=2)

    async def save(self, before: Email, transition: Transition) -> Email:
        """Save the next version of an e-mail, perform the effects, and return it as saved.

        Raises:
            StaleEmailError: Somebody else saved it first.
            StoreUnavailableError: Whether it was saved is not known.
        """
        saved = replace(transition.email, version=before.version + 1, saved_by=self.ports.new_token())
        await self.ports.store.save(saved)
        await self._perform(saved, transition.effects)
        return saved

    async def settle(self, email_id: EmailId, decide: Decide) -> Email:
        """Decide on an e-mail as it is stored and save that, again and again while others save it first.

        Raises:
            ConflictError: The decision refuses, or others were first ten times in a row.
            EmailNotFoundError: No e-mail has this id.
        """
        for _ in range(10):
            email = await self.ports.store.get(email_id)
            transition = decide(email)
            if transition is None or transition.email is email:
                return email
            try:
                return await self.save(email, transition)
            except StaleEmailError:
                self._tell(Happening.STALE_SAVE, email_id)
        message = "the e-mail is changed too often just now; try again"
        raise ConflictError(message)

    async def insist(
        self, email: Email, transition: Transition, again: Decide, *, patience: timedelta | None = None
    ) -> Email | None:
        """Save an outcome, whatever it takes: it is known only here, and losing it may send an e-mail twice.

        A store that does not answer is asked again, and if it had saved after all, its `saved_by` tells. A stale
        save decides again on the fresh e-mail, and returns None: somebody else carries it on.

        Raises:
            StoreUnavailableError: The store did not answer for all of `patience`.
        """
        began = self.ports.clock.monotonic()
        mine = replace(transition.email, version=email.version + 1, saved_by=self.ports.new_token())
        while True:
            try:
                return await self._recorded(mine, transition, again)
            except StoreUnavailableError as error:
                self._tell(Happening.STORE_FAILED, email.id, str(error))
                if self.ports.clock.monotonic() - began > (patience or self.patience).total_seconds():
                    raise
                await self.ports.sleep(RETRY_SAVE.total_seconds())

    async def _recorded(self, mine: Email, transition: Transition, again: Decide) -> Email | None:
        """Save an outcome; return None if somebody else was first and carries the e-mail on."""
        try:
            await self.ports.store.save(mine)
        except StaleEmailError:
            return await self._overtaken(mine, transition, again)
        await self._perform(mine, transition.effects)
        return mine

    async def _overtaken(self, mine: Email, transition: Transition, again: Decide) -> Email | None:
        """Record my outcome on an e-mail that seems to have been saved by somebody else first."""
        fresh = await self.ports.store.get(mine.id)
        if fresh.saved_by == mine.saved_by:
            await self._perform(fresh, transition.effects)
            return fresh
        self._tell(Happening.STALE_SAVE, mine.id)
        await self.settle(mine.id, again)
        return None

    async def _perform(self, email: Email, effects: tuple[Effect, ...]) -> None:
        """Perform the effects of a saved transition. What fails is told and made up for by the sweep."""
        for effect in effects:
            match effect:
                case Notify():
                    self._tell(Happening.CHANGED, email.id, email=email)
                case WakeUp():
                    await self.wake_up(email)
                case Bury():
                    await self._bury(email)
                case _:  # pragma: no cover - mypy proves that nothing is left
                    assert_never(effect)

    async def wake_up(self, email: Email) -> None:
        """Wake a worker up for an e-mail, within the budget; a wake-up that is lost is only told."""
        try:
            with _BUDGET():
                await self.ports.queue.enqueue([email.id], lane=email.lane)
        except (QueueUnavailableError, TimeoutError) as error:
            self._tell(Happening.WAKE_UP_LOST, email.id, f"{type(error).__name__}: {error}")

    async def _bury(self, email: Email) -> None:
        """Tell other systems of a dead letter, within the budget."""
        try:
            with _BUDGET():
                await self.ports.queue.bury(email.id, reason=email.reason)
        except (QueueUnavailableError, TimeoutError) as error:
            self._tell(Happening.BURIAL_LOST, email.id, f"{type(error).__name__}: {error}")

    def _tell(self, what: Happening, email_id: EmailId, note: str = "", email: Email | None = None) -> None:
        """Tell the watcher."""
        self.ports.watch(Event(what=what, email_id=email_id, note=note, email=email))
