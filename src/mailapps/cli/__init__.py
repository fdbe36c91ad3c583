"""The command line `mailcore`.

Only the registry is loaded at first; a command's module is loaded when the command runs, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

INSTALL = "pip install 'mailcore-engine[embedded]'"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; say what to install where a library is missing."""
    try:
        from mailapps.cli.app import run

        code = run(sys.argv[1:] if argv is None else argv)
    except ImportError as error:
        missing = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        if not missing.name or missing.name.startswith(("mailapps", "mailadapters", "mailcore")):
            raise  # ours is there: this is a fault, and not for users to mend
        text = f"mailcore: this needs a library that is not installed, {missing.name}: {INSTALL}"
        sys.exit(text)
    sys.exit(code)
