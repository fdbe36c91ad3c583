"""Keeps worker processes alive: starts so many, starts one again that died, and ends them all politely.

dramatiq's own master ends with the first of its processes that dies, and with exit code 1. Here a death is answered
by a new process at once, and by a pause that grows while it keeps dying or cannot be started. What the dead one was
sending is found by its lease.

The processes hang on a leash, a pipe that closes when this process dies however it dies: they end politely then,
and nobody is left behind beside the workers of the next start.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from mailapps.roles import FORCED
from mailcore.assembly import SPARE

FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=30)
STEADY: Final = timedelta(seconds=5)
"""A process that lived so long has worked, and did not die of how it was started."""

WELL: Final = frozenset({0, -signal.SIGTERM})
"""How a process ends well: by itself, or by our signal before it had begun anything."""

UNSTARTED: Final = 127
"""Stands for the exit code of a process that could not be started, as in a shell."""

_MOST_DOUBLINGS: Final = 20

Told = Callable[[str, int, int], None]
"""Is told what happened ("started", "died", "ended") to which process id, and its exit code.

Of a start that failed ("not_started") there is no process, 0, and the number of the system's error.
"""


def pause_before(deaths: int) -> timedelta:
    """Return how long to wait before a process is started again that died so many times in a row, soon each time."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(deaths - 1, _MOST_DOUBLINGS)))


def deaths_in_a_row(before: int, lived: timedelta) -> int:
    """Return how many deaths in a row it is, soon after the start each time, with that of a process that lived so long.

    Whoever is killed again and again while it works is replaced at once: mail waits for longer than a start only for
    what cannot be started.
    """
    return 1 if lived >= STEADY else before + 1


@dataclass(kw_only=True)
class Supervisor:
    """Keeps so many processes of one command running.

    Attributes:
        command: Starts one; the number of the leash's end is added to it.
        patience: How long they may take to end before they are killed.
    """

    command: Sequence[str]
    patience: timedelta
    told: Told
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: set[asyncio.subprocess.Process] = field(default_factory=set["asyncio.subprocess.Process"])

    async def run(self, processes: int) -> int:
        """Keep them running until a signal comes; return 0 if all of them ended well, else 1."""
        with _signals(self._end), _leash() as end:
            async with asyncio.TaskGroup() as group:
                kept = [group.create_task(self._keep(end)) for _ in range(processes)]
        return int(any(task.result() not in WELL for task in kept))

    def _end(self, number: int) -> None:
        """End all processes politely on the first signal, and on the second one there and then."""
        if self._stop.is_set():
            send(signal.SIGKILL, self._running)
            os._exit(FORCED + number)
        self._stop.set()
        send(signal.SIGTERM, self._running)

    async def _keep(self, leash: int) -> int:
        """Keep one process running; return its last exit code."""
        deaths, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._live(leash)
            if self._stop.is_set():
                return code
            deaths = deaths_in_a_row(deaths, timedelta(seconds=loop.time() - began))
            if await self._stopped_within(pause_before(deaths)):
                return 0

    async def _live(self, leash: int) -> int:
        """Run one process to its end; return its exit code."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, str(leash), pass_fds=(leash,), stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:  # no memory for it now, or its program is just being replaced
            self.told("not_started", 0, error.errno or 0)
            return UNSTARTED
        self._running.add(process)
        self.told("started", process.pid, 0)
        if self._stop.is_set():
            send(signal.SIGTERM, [process])
        try:
            code = await self._ended(process)
        finally:
            self._running.discard(process)
        self.told("ended" if self._stop.is_set() else "died", process.pid, code)
        return code

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait until a process has ended, and no longer than patience once it was asked to."""
        asked = asyncio.get_running_loop().create_task(self._stop.wait())
        ended = asyncio.get_running_loop().create_task(process.wait())
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await asyncio.wait({ended}, timeout=None if ended.done() else self.patience.total_seconds())
        if not ended.done():
            send(signal.SIGKILL, [process])
        return await ended

    async def _stopped_within(self, pause: timedelta) -> bool:
        """Wait a while; return at once if the end has come."""
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True


def send(number: int, processes: Iterable[asyncio.subprocess.Process]) -> None:
    """Send a signal to processes; one that has ended in this very moment needs none."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(number)


@contextmanager
def _signals(end: Callable[[int], None]) -> Generator[None]:
    """Have SIGTERM and SIGINT call `end` with their number."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def patience_of(call_deadline: timedelta) -> timedelta:
    """Return how long a worker may take to end: its calls, what they leave to do, and the end of its parts."""
    return call_deadline + 2 * SPARE


@contextmanager
def _leash() -> Generator[int]:
    """Give the end of a pipe whose other end nobody but this process holds."""
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)
