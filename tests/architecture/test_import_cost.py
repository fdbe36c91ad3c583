"""What may be loaded: by a program that imports mailcore, and by a worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# fmt: off
HEAVY = {
    "aiobotocore", "aiohttp", "apsw", "asyncio", "cyclopts", "dependency_injector", "dramatiq", "email_validator",
    "httpx", "hypothesis", "litestar", "opentelemetry", "pymongo", "pytest", "redis", "rich", "structlog", "uvicorn",
    "uvloop",
}
# fmt: on


WORKER = """
import json, os, signal, sys
from mailapps.cli import running
from mailapps.cli.app import run

play = running.play
async def seen(*given):
    settings, role, watch, tell, leash = given
    def told(started):
        print(json.dumps(sorted(sys.modules)), file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)
    await play(settings, role, watch, told, leash)
running.play = seen
sys.exit(run(["worker"]))
"""


def loaded(program: str, folder: Path) -> set[str]:
    """Return the modules that a program tells of in its last line on standard error."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, cwd=folder)
    last = next(line for line in run.stderr.splitlines() if line.startswith("["))
    return set(json.loads(last))


def test_importing_mailcore_loads_no_driver(tmp_path: Path) -> None:
    """`import mailcore` loads no driver, no asyncio and no address validator."""
    program = "import json, sys, mailcore; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"

    assert HEAVY.intersection(loaded(program, tmp_path)) == set()


def test_a_worker_loads_no_server(tmp_path: Path) -> None:
    """A worker that runs has loaded neither the API's framework nor its server, nor the emulator."""
    modules = loaded(WORKER, tmp_path)

    assert {"apsw", "mailapps.roles"} <= modules
    assert modules.isdisjoint({"litestar", "uvicorn", "httptools", "mailapps.api.app", "mailapps.emulator"})


def test_a_worker_with_metrics_loads_no_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its listener is uvicorn alone: neither the API's framework nor its routes are loaded for three small answers."""
    monkeypatch.setenv("MAILCORE_METRICS__BIND", "127.0.0.1:0")

    modules = loaded(WORKER, tmp_path)

    assert {"uvicorn", "mailapps.metrics.scraping"} <= modules
    assert modules.isdisjoint({"litestar", "mailapps.api.app", "mailapps.api.emails", "mailapps.emulator"})
