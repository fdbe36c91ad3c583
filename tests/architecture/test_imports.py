"""The import arrows, as contracts in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_every_import_follows_the_arrows() -> None:
    """Each module imports only what stands below it, and what decides imports no clock, dice or driver."""
    # In a process of its own: import-linter sets logging up for its process and silences every logger of ours.
    command = [LINT_IMPORTS, "--config", "pyproject.toml", "--no-cache", "--no-logo"]

    run = subprocess.run(command, capture_output=True, check=False, text=True, cwd=Path(__file__).parents[2])

    assert run.returncode == 0, run.stdout
