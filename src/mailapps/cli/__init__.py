"""The command line `mailcore`.

Only the registry is loaded at first; a command's module is loaded when the command runs, so that `--help` is quick.
"""

from mailapps.cli.app import main

__all__ = ["main"]
