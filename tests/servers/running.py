"""A real server that a test may kill, freeze, thaw and restart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from shutil import which

import pytest

PORTS = range(10_000, 32_000)
"""Below those that Linux gives to outgoing connections."""

Command = Callable[[int], Sequence[str]]
"""Makes the command that starts a server on a port."""


class Missing(Exception):  # noqa: N818 - it is no error until somebody says so
    """There is no such server on this machine; the text says how to get one."""


def free_port() -> int:
    """Return a port of the loopback that nobody has now, nor gets by chance before it is listened at.

    Those that the system itself picks from are left out: any connection may have taken one meanwhile.
    """
    while True:
        port = PORTS.start + int.from_bytes(os.urandom(4)) % len(PORTS)  # noqa: TID251 - seeded dice collide in parallel tests
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Server:
    """A server at an address, and its process if the tests started it.

    Attributes:
        url: Where it is, without a database.
        command: Starts it again on the same port; None if it is not ours.
        ready: A text that its output has once it listens.
    """

    url: str
    command: Sequence[str] | None = None
    ready: str = ""
    process: subprocess.Popen[str] | None = field(default=None, init=False)
    said: deque[str] = field(default_factory=lambda: deque[str](maxlen=40), init=False)
    _listener: threading.Thread | None = field(default=None, init=False)

    def start(self) -> Server:
        """Start it, unless it is not ours, and wait until it listens."""
        if self.command is None:
            return self
        tied = ["setpriv", "--pdeathsig", "KILL", "--"] if which("setpriv") else []  # no orphans after a crashed run
        command = [*tied, *self.command]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._await_readiness()
        return self

    def kill(self) -> None:
        """Kill it as a crash would: no goodbye."""
        self._own().kill()
        self._own().wait()

    def freeze(self) -> None:
        """Stop it in mid-air: connections stay, nothing answers any more once this returns."""
        self._own().send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._own().pid, os.WSTOPPED)  # its last thread may run on for a moment

    def thaw(self) -> None:
        """Let it go on."""
        self._own().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again where it was, with the data that it had kept."""
        self.close()
        self.start()

    def close(self) -> None:
        """End it, in whatever state it is."""
        if self.process is not None and self.process.stdout is not None:
            self.process.kill()
            self.process.wait()
            if self._listener is not None:
                self._listener.join()
            self.process.stdout.close()

    def _own(self) -> subprocess.Popen[str]:
        """Return its process, or skip a test that would harm a server that is not ours."""
        if self.process is None:
            pytest.skip(f"{self.url} was not started by the tests, which must not stop it")
        return self.process

    def _await_readiness(self) -> None:
        """Read what it says until it listens, and then for ever in the background, so that it never blocks."""
        lines = self._own().stdout
        assert lines is not None
        for line in lines:
            self.said.append(line)
            if self.ready in line:
                self._listener = threading.Thread(target=self.said.extend, args=(lines,), daemon=True)
                self._listener.start()
                return
        raise AssertionError(f"{self.url} did not start: {''.join(self.said)}")
