"""A small town of real processes for the end-to-end tests: the emulator, and services that send to it.

Everything is a process of its own, started as a user would start it, so that any of them can be killed.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.servers.running import free_port

MAILCORE = Path(sys.executable).with_name("mailcore")
PATIENCE_S = 40.0
LEASE_S = 7.0
DEADLINE_S = 1.0
Json = dict[str, Any]

SETTINGS = f"""
store = "sqlite:///{{folder}}/mail.db"
bind = "127.0.0.1:{{port}}"
default_from = "Shop <no-reply@shop.example>"
lease = "{LEASE_S:g}s"
call_deadline = "{DEADLINE_S:g}s"
poll = "100ms"
sweep = "500ms"
wakeup_grace = "1s"
unknown_grace = "500ms"
strategy = "priority"
retry.base = "200ms"
retry.cap = "1s"
log.format = "json"
emulator.bind = "127.0.0.1:1"
"""
"""As in production, only quicker; and in strict order of providers, so that a test knows which comes first."""


async def until(what: str, holds: Callable[[], Awaitable[Any]], within_s: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true, and return it; fail with what was awaited."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if answer := await holds():
            return answer
        await asyncio.sleep(0.03)
    raise AssertionError(f"not within {within_s:g} s: {what}")


@dataclass
class Running:
    """A process with an HTTP address."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    http: httpx.AsyncClient

    async def answers(self) -> bool:
        """Return whether it answers, or fail with its log if it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return (await self.http.get("/health/live")).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kill it as a crash would: no goodbye."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Ask it to end, and return its exit code once it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@dataclass
class Town:
    """One emulator, and whatever services a test starts beside it."""

    folder: Path
    emulator: Running
    running: list[Running] = field(default_factory=list)

    def configure(self, *kinds: str, port: int, more: str = "") -> Path:
        """Write mailcore.toml with these kinds of providers, in that order."""
        paths = {"sendgrid": "/sendgrid", "mailgun": "/mailgun/v3"}
        tables = [
            f'[providers.{kind}]\nkind = "{kind}"\napi_key = "key-{kind}"\n'
            f'base_url = "{self.emulator.url}{paths[kind]}"\n'
            + ('domain = "shop.example"\n' if kind == "mailgun" else "")
            for kind in kinds
        ]
        path = self.folder / f"mailcore-{port}.toml"
        path.write_text(SETTINGS.format(folder=self.folder, port=port) + more + "\n" + "\n".join(tables))
        return path

    async def service(self, *kinds: str, role: str = "up", more: str = "", port: int | None = None) -> Running:
        """Start a service in this town and wait until it answers."""
        port = port or free_port()
        config = self.configure(*(kinds or ("sendgrid", "mailgun")), port=port, more=more)
        url = f"http://127.0.0.1:{port}"
        running = start([role, "--config", str(config)], url, self.folder / f"{role}-{len(self.running)}.log")
        self.running.append(running)
        if role in {"up", "api"}:
            await until(f"{role} answers", running.answers)
        return running

    async def break_down(self, kind: str, *actions: Json, **rule: Any) -> None:
        """Script a provider's faults; without any it works again."""
        rules = [{"action": action, **rule} for action in actions]
        answer = await self.emulator.http.put(f"/emulator/faults/{kind}", json={"rules": rules})
        assert answer.status_code == 200, answer.text

    async def requests(self, **wanted: str) -> list[Json]:
        """Return the emulator's ledger, oldest first."""
        answer = await self.emulator.http.get("/emulator/requests", params={"limit": "100000", **wanted})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["requests"])

    async def accepted(self) -> list[str]:
        """Return the ids of what providers took, oldest first, as often as they took it."""
        return [row["email_id"] for row in await self.requests(verdict="accepted")]


def start(arguments: Sequence[str], url: str, log: Path, program: Sequence[str | Path] = (MAILCORE,)) -> Running:
    """Start mailcore with these arguments, and with none of the settings of whoever runs the tests."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAILCORE_")}
    with log.open("ab") as out:
        process = subprocess.Popen([*program, *arguments], stdout=out, stderr=out, env=environ, cwd=log.parent)
    return Running(process, url, log, httpx.AsyncClient(base_url=url, timeout=10, trust_env=False))


def complaints(said: str) -> list[str]:
    """Return what a log has of errors that nobody foresaw; that a worker was killed is foreseen."""
    return [line for line in said.splitlines() if '"level":"error"' in line and '"event":"worker_died"' not in line]


@asynccontextmanager
async def town(folder: Path) -> AsyncGenerator[Town]:
    """Start an emulator in a folder; at the end, end everything that still runs."""
    port = free_port()
    arguments = ["emulator", "--bind", f"127.0.0.1:{port}", "--ledger", str(folder / "ledger.jsonl")]
    emulator = start(arguments, f"http://127.0.0.1:{port}", folder / "emulator.log")
    built = Town(folder, emulator, [emulator])
    try:
        await until("the emulator answers", emulator.answers)
        yield built
    finally:
        for running in built.running:
            running.kill()
            await running.http.aclose()


def letter(**fields: Any) -> Json:
    """Return a message as a caller posts it."""
    return {"to": "ann@example.com", "subject": "Your receipt", "text": "Thank you.", **fields}


async def post(service: Running, key: str | None = None, **fields: Any) -> httpx.Response:
    """Post one message."""
    headers = {"Idempotency-Key": key} if key else {}
    return await service.http.post("/api/emails", json=letter(**fields), headers=headers)


async def accept(service: Running, **fields: Any) -> str:
    """Post one message that must be accepted, and return its e-mail's id."""
    answer = await post(service, **fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def show(service: Running, email_id: str) -> Json:
    """Return an e-mail with its attempts."""
    answer = await service.http.get(f"/api/emails/{email_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def reach(service: Running, email_id: str, status: str, within_s: float = PATIENCE_S) -> Json:
    """Return an e-mail once it has a status."""

    async def has_it() -> Json | None:
        email = await show(service, email_id)
        return email if email["status"] == status else None

    found = await until(f"{email_id} is {status}", has_it, within_s)
    assert isinstance(found, dict)
    return found


def outcomes(email: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return where the attempts went and what came of them, oldest first."""
    return [(attempt["provider"], attempt["outcome"]) for attempt in email["attempts"]]


def loads(text: str) -> list[Json]:
    """Return the objects of a file with one of JSON a line."""
    return [json.loads(line) for line in text.splitlines()]
