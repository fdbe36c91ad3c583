"""The registry of commands, and what is done with the errors that they may end in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from mailapps.cli.exits import CommandError, Exit, UsageError, plain
from mailcore.errors import MailError, SettingsError

COMMANDS: Final = {
    "Run": {
        "up": ("running:up", "Run everything in one process: API, worker, scheduler, emulator."),
        "api": ("running:api", "Run the HTTP API; workers elsewhere send."),
        "worker": ("running:worker", "Send e-mails from the store; no API."),
        "scheduler": ("running:scheduler", "Wake workers up for what is due; erase what is old."),
        "emulator": ("running:emulator", "Run the provider emulator with its inbox."),
    },
    "Ask a running service": {
        "send": ("sending:send", "Send one e-mail, or many from a file."),
        "list": ("asking:list_emails", "List e-mails, newest first."),
        "show": ("asking:show", "Show what happened to an e-mail, and why."),
        "cancel": ("acting:cancel", "Withdraw e-mails that are not sent yet."),
        "resolve": ("acting:resolve", "Settle an e-mail that is held by an unknown outcome."),
        "dead-letters": ("asking:dead_letters", "List the e-mails that failed for good."),
        "redrive": ("acting:redrive", "Queue dead letters again."),
        "erase": ("erasing:erase", "Erase what is known of one person."),
        "suppressions": ("suppressing:suppressions", "Say who must not be written to."),
        "providers": ("asking:providers", "Show how the providers stand."),
        "provider-mode": ("switching:provider_mode", "Stop or force a provider, or leave it to itself."),
        "pause": ("switching:pause", "Begin nothing new in a lane, or in all."),
        "resume": ("switching:resume", "Let a paused lane go on."),
        "switches": ("switching:switches", "Show what was switched by hand, by whom and why."),
        "keys": ("keying:keys", "Make, list, replace and revoke API keys."),
    },
    "Look ahead": {
        "check": ("checking:check", "Check the settings, and reach everything they name."),
        "simulate": ("simulating:simulate", "Show how the strategies fare in made-up outages."),
    },
}


_SHOWN: Final = 80


def registry(asked: str = "") -> App:
    """Return the application; nothing but the names and a line for each command is loaded yet.

    Args:
        asked: The command that is about to run: its help is all that its own text says.
    """
    app = App(
        name="mailcore",
        help="An e-mail sending engine: it keeps every message until one of several providers has taken it.",
        help_epilogue="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the service is not reachable, "
        "4 some of it done and some failed.",
        version=lambda: version("mailcore-engine"),
        help_format="markdown",
        default_parameter=Parameter(show_default=lambda value: value or None),  # "[default: ()]" helps nobody
    )
    for title, commands in COMMANDS.items():
        group = Group(title, sort_key=list(COMMANDS).index(title))
        for number, (name, (place, line)) in enumerate(commands.items()):
            short = None if name == asked else line
            app.command(f"mailapps.cli.{place}", name=name, help=short, group=group, sort_key=number)
    options = Group("Options", sort_key=len(COMMANDS))
    for flag in ("--help", "--version"):
        app[flag].group = options
    return app


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; what is wrong is told in plain words on standard error."""
    app = registry(next(iter(argv), ""))
    try:
        done = app(list(argv), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return told(UsageError(_misused(error, argv)))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return Exit.OK
    except (CommandError, MailError, OSError) as error:
        return told(error)
    return done if isinstance(done, int) else Exit.OK


def _misused(error: CycloptsError, argv: Sequence[str]) -> str:
    """Return what is wrong with a command line, and where it is explained."""
    known = {name for commands in COMMANDS.values() for name in commands}
    command = f"mailcore {argv[0]}" if argv and argv[0] in known else "mailcore"
    if isinstance(error, UnusedCliTokensError):
        said = f"{command} takes no more words: {' '.join(error.unused_tokens or ())[:_SHOWN]}"
    else:
        said = " ".join(str(error).split())
    return f"{said}\nsee {command} --help"


def told(error: Exception) -> int:
    """Say what went wrong, a line for each thing, and return the exit code."""
    lines = plain(str(error)).splitlines() or [type(error).__name__]
    title = "mailcore: the settings are wrong" if isinstance(error, SettingsError) else f"mailcore: {lines.pop(0)}"
    print("\n".join([title, *(f"  {line}" for line in lines)]), file=sys.stderr)  # noqa: T201 - what a command says
    if isinstance(error, SettingsError):
        return Exit.USAGE
    return error.code if isinstance(error, CommandError) else Exit.FAILED
