"""What `import mailcore` may cost a program that uses it."""

import json
import subprocess
import sys

# fmt: off
HEAVY = {
    "aiohttp", "apsw", "asyncio", "cyclopts", "dependency_injector", "dramatiq", "email_validator", "httpx",
    "hypothesis", "litestar", "pymongo", "pytest", "redis", "rich", "structlog", "uvicorn", "uvloop",
}
# fmt: on


def test_importing_mailcore_loads_no_driver() -> None:
    """`import mailcore` loads no driver, no asyncio and no address validator."""
    program = "import json, sys, mailcore; print(json.dumps(sorted(sys.modules)))"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    assert HEAVY.intersection(json.loads(run.stdout)) == set()
