"""The supervisor of worker processes: who dies is replaced, who is asked to end ends, and nobody stays behind."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from mailapps.supervisor import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Supervisor,
    deaths_in_a_row,
    patience_of,
    pause_before,
    send,
)

POLITE = "import signal, sys; signal.sigwait({signal.SIGTERM}); sys.exit(0)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({!r}, 'w').close(); signal.pause()"
BRIEF = "pass"
ON_STDIN = "import sys; sys.stdin.read()"
ON_LEASH = "import os, sys; os.read(int(sys.argv[-1]), 1)"

pytestmark = pytest.mark.timeout(60)


class Diary:
    """What a supervisor told, and a way to wait for it."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, int]] = []
        self.news = asyncio.Event()

    def __call__(self, what: str, process: int, code: int) -> None:
        """Note what was told."""
        self.entries.append((what, process, code))
        self.news.set()

    def of(self, what: str) -> list[int]:
        """Return the processes of which this was told."""
        return [process for told, process, _ in self.entries if told == what]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        while not holds():
            self.news.clear()
            await self.news.wait()


def supervisor(diary: Diary, script: str, patience: float = 20) -> Supervisor:
    """Return a supervisor of a small Python program."""
    command = [sys.executable, "-S", "-E", "-c", script]
    return Supervisor(command=command, patience=timedelta(seconds=patience), told=diary)


def signalled() -> None:
    """Send this process SIGTERM, as who stops a service does."""
    os.kill(os.getpid(), signal.SIGTERM)


async def test_so_many_processes_run_and_end_when_asked() -> None:
    """SIGTERM is passed on, all are waited for, and the exit code is 0."""
    diary = Diary()
    running = asyncio.ensure_future(supervisor(diary, POLITE).run(3))
    await diary.until(lambda: len(diary.of("started")) == 3)

    signalled()

    assert await running == 0
    assert sorted(diary.of("ended")) == sorted(diary.of("started"))
    assert diary.of("died") == []


async def test_who_dies_is_replaced_and_the_others_stay() -> None:
    """P5: one death does not end the rest."""
    diary = Diary()
    running = asyncio.ensure_future(supervisor(diary, POLITE).run(2))
    await diary.until(lambda: len(diary.of("started")) == 2)
    first, second = diary.of("started")

    os.kill(first, signal.SIGKILL)
    await diary.until(lambda: len(diary.of("started")) == 3)
    signalled()
    await running

    assert diary.of("died") == [first]
    assert second in diary.of("ended")


async def test_what_dies_at_once_is_started_ever_more_slowly() -> None:
    """A process that cannot live does not keep the machine busy."""
    diary, loop, times = Diary(), asyncio.get_running_loop(), list[float]()

    def told(what: str, process: int, code: int) -> None:
        times.extend([loop.time()] if what == "started" else [])
        diary(what, process, code)

    made = supervisor(diary, BRIEF)
    made.told = told
    running = asyncio.ensure_future(made.run(1))
    await diary.until(lambda: len(times) == 4)
    signalled()
    await running

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap >= pause_before(n).total_seconds() for n, gap in enumerate(gaps, start=1))


async def test_a_start_that_fails_ends_nobody_and_is_tried_again(tmp_path: Path) -> None:
    """No memory for a process, or a program that is being replaced: the others work on, and the next start comes."""
    diary, program, away = Diary(), tmp_path / "worker", tmp_path / "away"
    program.symlink_to(sys.executable)
    made = supervisor(diary, POLITE)
    made.command = [str(program), *made.command[1:]]
    running = asyncio.ensure_future(made.run(2))
    await diary.until(lambda: len(diary.of("started")) == 2)
    first, second = diary.of("started")

    program.rename(away)
    os.kill(first, signal.SIGKILL)
    await diary.until(lambda: len(diary.of("not_started")) == 2)
    away.rename(program)
    await diary.until(lambda: len(diary.of("started")) == 3)
    signalled()

    assert await running == 0
    assert diary.of("died") == [first]
    assert second in diary.of("ended")
    assert {entry for entry in diary.entries if entry[0] == "not_started"} == {("not_started", 0, errno.ENOENT)}


async def test_who_has_ended_in_this_moment_keeps_no_signal_from_the_others() -> None:
    """A process can be gone before its supervisor has let go of it: those behind it are still told."""
    command = [sys.executable, "-S", "-E", "-c"]
    gone = await asyncio.create_subprocess_exec(*command, BRIEF)
    await gone.wait()
    living = await asyncio.create_subprocess_exec(*command, ON_STDIN, stdin=asyncio.subprocess.PIPE)

    send(signal.SIGKILL, [gone, living])

    assert await living.wait() == -signal.SIGKILL


async def test_who_ends_badly_is_told_by_the_exit_code(tmp_path: Path) -> None:
    """A worker that has to be killed makes the supervisor's own end no success."""
    os.mkfifo(ready := tmp_path / "ready")
    running = asyncio.ensure_future(supervisor(Diary(), STUBBORN.format(str(ready)), patience=0.2).run(1))
    await asyncio.to_thread(ready.read_bytes)

    signalled()

    assert await running == 1


@pytest.mark.parametrize(
    ("deaths", "pause"),
    [(1, FIRST_PAUSE), (2, 2 * FIRST_PAUSE), (5, 16 * FIRST_PAUSE), (20, LONGEST_PAUSE), (10**6, LONGEST_PAUSE)],
)
def test_the_pause_doubles_up_to_its_cap(deaths: int, pause: timedelta) -> None:
    """The first replacement comes at once, so that work resumes within seconds."""
    assert pause_before(deaths) == pause


@pytest.mark.parametrize("lived_s", [5, 8, 29, 10**6])
def test_who_worked_for_a_while_is_replaced_at_once_however_often_it_dies(lived_s: float) -> None:
    """Workers that are killed every few seconds never leave their mail to nobody for longer than a lease and 5 s."""
    deaths = 0
    for _ in range(20):
        deaths = deaths_in_a_row(deaths, timedelta(seconds=lived_s))

    assert pause_before(deaths) == FIRST_PAUSE


def test_who_dies_young_is_counted() -> None:
    """As long as a process does not get to work it is started ever more slowly."""
    assert [deaths_in_a_row(n, timedelta(seconds=4)) for n in range(3)] == [1, 2, 3]


def test_workers_get_the_time_that_their_calls_may_take() -> None:
    """Nobody is killed who keeps to the promise of ending within the call deadline and five seconds."""
    assert patience_of(timedelta(seconds=20)) > timedelta(seconds=25)


async def test_a_process_on_the_leash_sees_its_supervisor_go() -> None:
    """The other end of the leash closes with the supervisor, however it dies."""
    script = (
        f"import asyncio, sys; sys.path[:0] = {sys.path!r}\n"
        "from datetime import timedelta\nfrom mailapps.supervisor import Supervisor\n"
        f"made = Supervisor(command=[sys.executable, '-S', '-E', '-c', {ON_LEASH!r}], patience=timedelta(seconds=9), "
        "told=lambda what, process, code: print(what, process, flush=True))\nasyncio.run(made.run(1))"
    )
    outer = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert outer.stdout is not None
    process = int((await outer.stdout.readline()).split()[1])
    theirs = os.pidfd_open(process)

    outer.kill()
    await outer.wait()

    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(theirs, gone.set)
    async with asyncio.timeout(20):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(theirs)
    os.close(theirs)
