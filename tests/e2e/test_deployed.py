"""What deploy/compose.yaml starts, started here without containers: its commands, its settings, its health checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.apps.metrics.numbers import numbers, total
from tests.e2e.town import Running, Town, accept, free_port, reach, start, until
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: Mapping[str, Mapping[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
ADMIN_KEY = "zyxwvutsrqponmlkjihgfedcba"
KEYS = {"admin_key": ADMIN_KEY, "key_pepper": "p" * 32, "sendgrid_key": "SG.x", "mailgun_key": "mg"}

pytestmark = pytest.mark.timeout(120)


async def started(place: Town, name: str, elsewhere: Mapping[str, str]) -> Running:
    """Start what a container runs, with its own command and variables, but for where its neighbours are."""
    port = free_port()
    bound = {key: f"127.0.0.1:{port}" for key in SERVICES[name]["environment"] if key.endswith("BIND")}
    environ = {**elsewhere, **bound, "MAILCORE_CONFIG": str(place.folder / "mailcore.toml")}
    running = start_with(environ, [*SERVICES[name]["command"]], port, place.folder / f"{name}-{port}.log")
    running.http.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
    place.running.append(running)
    await until(f"{name} answers", running.answers)
    return running


def start_with(environ: Mapping[str, str], words: list[str], port: int, log: Path) -> Running:
    """Start mailcore with variables of its own; `start` leaves out those of the test's environment."""
    program = ["/usr/bin/env", *(f"{key}={value}" for key, value in environ.items()), sys.executable, "-m", "mailapps"]
    return start([*words], f"http://127.0.0.1:{port}", log, program=program)


async def test_the_containers_of_the_compose_file_send_mail_together(
    place: Town, shared_redis: Server, mongo_url: str
) -> None:
    """An API, two workers and two schedulers on one database; the health checks' own program says that all is well."""
    text = (DEPLOY / "mailcore.toml").read_text().replace("/run/secrets/", f"{place.folder}/")
    (place.folder / "mailcore.toml").write_text(text)
    for name, key in KEYS.items():
        (place.folder / name).touch(0o600)
        (place.folder / name).write_text(key)
    elsewhere = {
        "MAILCORE_STORE": mongo_url,
        "MAILCORE_QUEUE": fresh_url(shared_redis),
        "MAILCORE_PROVIDERS__SENDGRID__BASE_URL": f"{place.emulator.url}/sendgrid",
        "MAILCORE_PROVIDERS__MAILGUN__BASE_URL": f"{place.emulator.url}/mailgun/v3",
    }
    names = [name for name, service in SERVICES.items() if service["image"] == "mailcore"]
    api, *others = [
        await started(place, name, elsewhere)
        for name in names
        for _ in range(SERVICES[name]["deploy"].get("replicas", 1))
    ]

    emails = [await reach(api, await accept(api, subject=f"No. {number}"), "sent") for number in range(10)]

    shares = [numbers((await one.http.get("/metrics")).content) for one in (api, *others)]
    assert len(emails) == 10
    assert len(others) == 4
    assert sum(total(one, "mailcore_accepted_total") for one in shares) == 10
    assert sum(total(one, "mailcore_settled_total", status="sent") for one in shares) == 10
    assert [healthy(names[0], api), healthy("worker", others[0])] == [0, 0]
    assert [one.terminate() for one in (*others, api)] == [0] * 5
    assert healthy("worker", others[0]) != 0


def healthy(name: str, running: Running) -> int:
    """Return the exit code of a container's health check, asked of the process that runs here."""
    _, _, *words = SERVICES[name]["healthcheck"]["test"]
    port = httpx.URL(running.url).port
    own = "8000" if name == "api" else "9464"
    here = [word.replace(f":{own}/", f":{port}/") for word in words]
    return subprocess.run([sys.executable, *here], stderr=subprocess.DEVNULL, check=False).returncode
