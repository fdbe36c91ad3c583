"""One real `mailcore up` for all the tests of the command line, in an empty folder and on free ports."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog

from mailapps.cli.app import run

MAILCORE = Path(sys.executable).with_name("mailcore")
Ran = tuple[int, str, str]
"""How a command ended: its exit code, what it printed, and what it complained of."""

Mailcore = Callable[..., Ran]
KEY = "pk_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        said: Its standard output, the banner.
        log: Its standard error, the log.
    """

    process: subprocess.Popen[bytes]
    url: str
    emulator: str
    folder: Path

    @property
    def said(self) -> str:
        """What it printed for people."""
        return (self.folder / "out").read_text()

    @property
    def log(self) -> str:
        """What it logged."""
        return (self.folder / "log").read_text()


def free_port() -> int:
    """Return a port of loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_environ(**more: str) -> dict[str, str]:
    """Return the environment without any setting of ours, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILCORE_")}
    return {**inherited, **more}


def start(folder: Path, *arguments: str, **environ: str) -> Service:
    """Start `mailcore` in a folder and wait until its API answers."""
    port, emulator = free_port(), free_port()
    settings = {"MAILCORE_BIND": f"127.0.0.1:{port}", "MAILCORE_EMULATOR__BIND": f"127.0.0.1:{emulator}", **environ}
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        command = [str(MAILCORE), *arguments]
        process = subprocess.Popen(command, cwd=folder, env=plain_environ(**settings), stdout=out, stderr=log)
    service = Service(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{emulator}", folder)
    until_it_answers(service)
    return service


def until_it_answers(service: Service) -> None:
    """Ask until the service is ready, or fail with its log if it has ended."""
    retrying = httpx.HTTPTransport(retries=8)  # connects again after 0, 0.5, 1, 2 … seconds
    with httpx.Client(transport=retrying, base_url=service.url, trust_env=False, timeout=60) as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 200, service.log


def stop(service: Service) -> int:
    """End a service politely, and return its exit code."""
    service.process.send_signal(signal.SIGTERM)
    return service.process.wait(timeout=40)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that asks for a key and sends to the emulator."""
    running = start(tmp_path_factory.mktemp("service"), "up", MAILCORE_ADMIN_KEY=KEY)
    yield running
    assert stop(running) == 0, running.log


@pytest.fixture
def mailcore(
    service: Service, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Mailcore:
    """Return what runs a command against the service, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILCORE_URL", service.url)
    monkeypatch.setenv("MAILCORE_ADMIN_KEY", KEY)

    def ran(*arguments: str) -> Ran:
        capfd.readouterr()
        code = run(arguments)
        told = capfd.readouterr()
        return code, told.out, told.err

    return ran


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Leave no trace of a test in the process's logging."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
