"""Processes: the roles beside each other on one store, and how each of them ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.apps.conftest import MAILCORE, Service, free_port, plain_environ, start, stop

from mailapps.roles import _give_notice

HI = {"from": "shop@shop.example", "to": "ann@example.com", "subject": "Hi", "text": "Hello"}


def client(url: str) -> httpx.Client:
    """Return a client that waits for a server that is still starting."""
    return httpx.Client(base_url=url, trust_env=False, timeout=60, transport=httpx.HTTPTransport(retries=8))


def fault(service: Service, action: dict[str, Any], **rule: object) -> None:
    """Script a fault at both providers."""
    with client(service.emulator) as emulator:
        for kind in ("sendgrid", "mailgun"):
            answer = emulator.put(f"/emulator/faults/{kind}", json={"rules": [{"action": action, **rule}]})
            assert answer.status_code == 200, answer.text


def mailcore(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start a command that says when it is ready."""
    command, env = [str(MAILCORE), *arguments], plain_environ(**environ)
    return subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@contextmanager
def running(folder: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command as long as the context lasts, and see it end well."""
    process = mailcore(folder, *arguments, **environ)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=40)
        assert process.returncode == 0, told


def sent(api: httpx.Client, email_id: str) -> dict[str, Any]:
    """Return an e-mail once it is settled; if it never is, the test's timeout ends this."""
    while True:
        email: dict[str, Any] = api.get(f"/api/emails/{email_id}").json()
        if email["settled_at"]:
            return email


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_an_api_and_another_process_share_one_file(tmp_path: Path, role: str) -> None:
    """What `api` accepts and never sends is sent by a `worker`, or more slowly by a `scheduler`, on the same store."""
    bind, emulator = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    settings = {"MAILCORE_BIND": bind, "MAILCORE_EMULATOR__BIND": emulator, "MAILCORE_WAKEUP_GRACE": "1s"}
    with ExitStack() as stack:
        stack.enter_context(running(tmp_path, "emulator", "--bind", emulator))
        stack.enter_context(running(tmp_path, "api", **settings))
        api = stack.enter_context(client(f"http://{bind}"))
        email_id = api.post("/api/emails", json=HI).json()["id"]
        accepted = api.get(f"/api/emails/{email_id}").json()
        stack.enter_context(running(tmp_path, role, **settings))

        email = sent(api, email_id)

    assert (accepted["status"], email["status"]) == ("queued", "sent")


def test_a_polite_stop_ends_what_is_under_way(tmp_path: Path) -> None:
    """SIGTERM: not ready at once, the attempt under way ends and is recorded, exit code 0 (I37, I38)."""
    service = start(tmp_path, "up")
    fault(service, {"kind": "pass"}, latency=1.5)
    with client(service.url) as api, client(service.url) as probe:
        probe.get("/health/ready")
        email_id = api.post("/api/emails", json=HI).json()["id"]
        under_way(service, email_id)

        service.process.send_signal(signal.SIGTERM)
        readiness = {probe.get("/health/ready").status_code for _ in range(5)}
        code = service.process.wait(timeout=40)
    again = start(tmp_path, "up")
    with client(again.url) as api:
        email = api.get(f"/api/emails/{email_id}").json()

    assert (code, stop(again)) == (0, 0)
    assert 503 in readiness
    assert [one["outcome"] for one in email["attempts"]] == ["accepted"]


def test_a_process_whose_engine_ends_by_a_fault_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    """A supervisor must hear of it to start another; the log has class and place, and nothing quotes the exception."""
    run = "async def run(self): raise ZeroDivisionError('bob@example.com')"
    lines = [
        "import mailapps.cli, mailcore.engine",
        run,
        "mailcore.engine.Engine.run = run",
        "mailapps.cli.main(['up'])",
    ]
    bind, emulator = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    environ = plain_environ(MAILCORE_BIND=bind, MAILCORE_EMULATOR__BIND=emulator)
    command = [sys.executable, "-c", "\n".join(lines)]

    ended = subprocess.run(command, cwd=tmp_path, env=environ, text=True, capture_output=True, check=False, timeout=60)

    line = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, line["error"], line["level"]) == (1, "ZeroDivisionError", "error")
    assert "bob@" not in ended.stderr + ended.stdout


async def test_the_listener_outlives_readiness() -> None:
    """A load balancer can hear that the process is on its way out before it finds the door closed (I38)."""
    stop, close = asyncio.Event(), asyncio.Event()
    notice = asyncio.create_task(_give_notice(stop, close))

    stop.set()
    for _ in range(10):
        await asyncio.sleep(0)
    closed_at_once = close.is_set()
    await notice

    assert (closed_at_once, close.is_set()) == (False, True)


def under_way(service: Service, email_id: str) -> None:
    """Wait until a provider has been asked to take an e-mail: an attempt that is only claimed may still be put back."""
    with client(service.emulator) as emulator:
        while not emulator.get("/emulator/requests", params={"email_id": email_id}).json()["requests"]:
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever cannot wait for a provider that hangs presses Ctrl-C twice; the e-mail's lease tells what happened."""
    service = start(tmp_path, "up")
    fault(service, {"kind": "hang"})
    with client(service.url) as api:
        under_way(service, api.post("/api/emails", json=HI).json()["id"])

    service.process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(timeout=1)
    service.process.send_signal(number)

    assert service.process.wait(timeout=5) == 128 + number


def test_an_empty_folder_gets_a_store_and_nothing_else(tmp_path: Path) -> None:
    """`mailcore up` leaves its database behind, and no other file."""
    service = start(tmp_path, "up")

    code = stop(service)

    assert code == 0
    assert {path.name for path in tmp_path.iterdir()} - {"out", "log"} <= {
        "mailcore.db",
        "mailcore.db-wal",
        "mailcore.db-shm",
    }
