"""Changes to a provider's health that one process has made and others are to learn of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailadapters.redis_records import Record
from mailcore.agreement import merged
from mailcore.health import Health

Change = Callable[[Health], Health]


class Wish(NamedTuple):
    """A change that is to be written; who waits for what it makes has an answer."""

    change: Change
    answer: asyncio.Future[Health] | None = None


Made = tuple[Wish, Health | Exception]
"""What a wish has made, or why it could not."""


@dataclass
class Known:
    """What this process knows of one provider.

    Attributes:
        record: As it was last seen in Redis.
        health: With this process's own changes.
        waiting: Changes that are not written yet, oldest first; those without an answer are in `health` already.
        astray: `health` has changes that can only be merged, since what became of their write is not known.
        busy: It is being written.
        timer: Begins to write it, unless something brings that forward.
        write_at: When the timer is due, by the event loop's clock: not every loop's timers tell.
    """

    record: Record = field(default_factory=Record)
    health: Health = field(default_factory=Health)
    waiting: list[Wish] = field(default_factory=list[Wish])
    astray: bool = False
    busy: asyncio.Task[None] | None = None
    timer: asyncio.Handle | None = None
    write_at: float = 0.0

    @property
    def anything(self) -> bool:
        """Whether there is anything to know."""
        return bool(self.record.writes) or self.health != Health()


def is_pressing(before: Health, after: Health) -> bool:
    """Whether other processes must learn of a change now: it lets more or less mail through."""
    return (
        before.breaker.generation != after.breaker.generation
        or before.breaker.permits != after.breaker.permits
        or before.not_before != after.not_before
        or before.override != after.override
    )


def folded(health: Health, wishes: Sequence[Wish]) -> tuple[Health, list[Made]]:
    """Make one change after the other; return the last health and what each made, or why it could not."""
    made: list[Made] = []
    for wish in wishes:
        try:
            health = wish.change(health)
        except Exception as error:  # noqa: BLE001 - it is the caller's own, and goes back to him
            made.append((wish, error))
        else:
            made.append((wish, health))
    return health, made


def merged_first(health: Health, local: Health, wishes: Sequence[Wish]) -> tuple[Health, list[Made]]:
    """Merge the copy into a health, then make the changes that are not in the copy already."""
    return folded(merged(health, local), [wish for wish in wishes if wish.answer])


def with_own(health: Health, waiting: Sequence[Wish]) -> Health:
    """Return a health with this process's changes that are still to be written."""
    return folded(health, [wish for wish in waiting if not wish.answer])[0]


def kept(known: Known, change: Change) -> Health:
    """Make a change here alone."""
    before = known.health
    known.health = change(before)
    known.astray = known.astray or known.health is not before
    return known.health


def strand(known: Known, wishes: list[Wish]) -> None:
    """Go on by the copy: what was not in it yet is made to it, and all of it is merged one day."""
    wishes, known.waiting = [*wishes, *known.waiting], []
    known.astray = True
    known.health, made = folded(known.health, [wish for wish in wishes if wish.answer])
    answer(made)


def answer(made: Sequence[Made]) -> None:
    """Tell those who wait what their wish has made."""
    for wish, result in made:
        if wish.answer is None or wish.answer.done():
            continue
        if isinstance(result, Exception):
            wish.answer.set_exception(result)
        else:
            wish.answer.set_result(result)
