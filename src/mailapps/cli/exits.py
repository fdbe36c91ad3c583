"""How a command ends: its exit codes, and the errors that carry them to `main`."""

from __future__ import annotations

from enum import IntEnum


def plain(text: str) -> str:
    """Return a text of somebody else's as a terminal may show it: nothing in it moves the cursor or changes colours."""
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)


class Exit(IntEnum):
    """What a command's exit code means; docs/reference/command-line.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    PARTLY = 4


def exit_of(done: int, failed: int) -> Exit:
    """Return how a command ends of whose parts so many were done and so many were not."""
    if not failed:
        return Exit.OK
    return Exit.PARTLY if done else Exit.FAILED


class CommandError(Exception):
    """A command that did not do what it was asked; the text is for people and says what to do.

    Attributes:
        code: The exit code.
    """

    code = Exit.FAILED


class UsageError(CommandError):
    """It was asked for something that makes no sense."""

    code = Exit.USAGE


class UnreachableError(CommandError):
    """The service is not there."""

    code = Exit.UNREACHABLE
