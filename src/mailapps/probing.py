"""Whether what a process depends on answers: asked at its start, by readiness, and by the command check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from mailcore.errors import EmailNotFoundError
from mailcore.ports import EmailStore, WakeUpQueue
from mailcore.waking import WakesEngines


def probes_of(store: EmailStore, queue: WakeUpQueue | None) -> Mapping[str, Callable[[], Awaitable[object]]]:
    """Return what asks each, by name; a queue that stays in the process need not be asked."""
    asked: Mapping[str, Callable[[], Awaitable[object]]] = {"store": partial(store_answers, store)}
    return asked if queue is None else {**asked, "queue": partial(queue_answers, queue)}


async def store_answers(store: EmailStore) -> None:
    """Return if the store answers.

    Raises:
        StoreUnavailableError: It does not.
    """
    with suppress(EmailNotFoundError):
        await store.get("em_is_anybody_there")


async def queue_answers(queue: WakeUpQueue) -> None:
    """Return if the queue answers; one that stays in this process always does.

    Raises:
        QueueUnavailableError: It does not.
    """
    if isinstance(queue, WakesEngines):
        await queue.ping()
