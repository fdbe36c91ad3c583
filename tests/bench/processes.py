"""Processes that are measured: how to start one, and what it costs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.e2e.town import MAILCORE, free_port

TICKS = os.sysconf("SC_CLK_TCK")

ADMIN_KEY = "zyxwvutsrqponmlkjihgfedcba"
"""What the API asks for wherever its store is one that others can reach."""


@dataclass(frozen=True)
class Measured:
    """A process under measurement; its figures come from /proc."""

    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has had so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        """Return how much memory it has now, in MB."""
        return self._status("VmRSS")

    def largest_mb(self) -> float:
        """Return the most memory that it ever had, in MB."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        """Return a size out of its status, in MB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise LookupError(name)


@contextmanager
def process(*command: str, folder: Path, url: str = "") -> Iterator[Measured]:
    """Run a process until it is not needed any more; wait until its address, if it has one, answers at all."""
    with (folder / "log.txt").open("ab") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        if url:
            _await(url)
        yield Measured(running)
    finally:
        running.terminate()
        running.wait(60)


def _await(url: str) -> None:
    """Wait until an address answers."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


@contextmanager
def floor(kind: str, *arguments: object, folder: Path) -> Iterator[str]:
    """Run a floor; give its address."""
    port = free_port()
    told = [kind, str(port), *map(str, arguments)]
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); sys.argv[1:] = {told!r};"
        "runpy.run_module('tests.bench.floors', run_name='__main__')"
    )
    url = f"http://127.0.0.1:{port}"
    with process(sys.executable, "-c", code, url=f"{url}/health/live", folder=folder):
        yield url


@contextmanager
def mailcore(role: str, config: Path, *more: str, url: str = "") -> Iterator[Measured]:
    """Run one of our own roles."""
    with process(str(MAILCORE), role, "--config", str(config), *more, url=url, folder=config.parent) as running:
        yield running


def configured(folder: Path, provider: str, lines: str, *, port: int = 0) -> tuple[Path, str]:
    """Write settings with one provider at an address; return their file and where an API of them answers."""
    path, port = fresh(folder) / "mailcore.toml", port or free_port()
    key = path.with_name("admin.key")
    key.touch(0o600)
    key.write_text(ADMIN_KEY)
    path.write_text(
        f'admin_key = {{ file = "{key}" }}\nbind = "127.0.0.1:{port}"\nlog.level = "warning"\n{lines}\n'
        f'[providers.sendgrid]\nkind = "sendgrid"\napi_key = "SG.bench"\nbase_url = "{provider}"\n'
    )
    return path, f"http://127.0.0.1:{port}"


def fresh(folder: Path) -> Path:
    """Return a new empty folder."""
    return Path(tempfile.mkdtemp(dir=folder))
