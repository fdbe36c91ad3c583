"""The commands that run something: up, api, worker, scheduler, emulator."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from mailapps.cli.banner import banner
from mailapps.cli.exits import CommandError, Exit, UsageError
from mailapps.container import provider_problems
from mailapps.logs import set_up, watching
from mailapps.roles import Started, listening, play, run, tune_interpreter
from mailapps.settings import EMULATOR_BIND, Settings, place, shown
from mailapps.settings_sources import load
from mailapps.supervisor import Supervisor, patience_of
from mailapps.tuning import Role, stays_here
from mailcore.errors import MailError

Leash = Annotated[int | None, Parameter(show=False)]
Alone = Annotated[bool, Parameter(negative="")]
Bind = Annotated[str, Parameter(env_var="MAILCORE_EMULATOR__BIND")]
Config = Annotated[Path | None, Parameter(env_var="MAILCORE_CONFIG")]


def up(*, config: Config = None) -> None:
    """Run everything in one process: API, worker, scheduler, and the emulator if a provider points at it.

    Without any settings e-mails are kept in ./mailcore.db and go to the emulator's inbox; nothing leaves this machine.

    Args:
        config: The settings file; by default ./mailcore.toml, if it is there.
    """
    _play(Role.UP, config)


def api(*, config: Config = None) -> None:
    """Run the HTTP API alone. What it accepts is sent by `mailcore worker` on the same store.

    Args:
        config: The settings file; by default ./mailcore.toml, if it is there.
    """
    _play(Role.API, config)


def worker(*, config: Config = None, alone: Alone = False, leash: Leash = None) -> int:
    """Send e-mails from the store, without an API. Any number of workers share one store.

    With a queue between processes (Redis, SQS) it keeps `processes` of them running, and starts one again that dies.

    Args:
        config: The settings file; by default ./mailcore.toml, if it is there.
        alone: Be one process without a supervisor, where somebody else restarts it: systemd, Kubernetes.
        leash: The end of a pipe of a supervisor.
    """
    settings = load(config, os.environ, provider_problems)
    if alone or leash is not None or stays_here(settings):
        _run(settings, Role.WORKER, leash)
        return Exit.OK
    return _supervise(settings, config)


def scheduler(*, config: Config = None) -> None:
    """Wake workers up for e-mails that are due, and erase what has been kept for long enough. `up` does so, too.

    Any number may run: one leads, by a lease in the store, and another follows within 20 seconds. Every few seconds
    (`sweep`) each also sends what is due, a few at a time, so that e-mails go on, slowly, while no worker runs.

    Args:
        config: The settings file; by default ./mailcore.toml, if it is there.
    """
    _play(Role.SCHEDULER, config)


def emulator(*, bind: Bind = EMULATOR_BIND, ledger: Path | None = None) -> None:
    """Run the provider emulator: it speaks the providers' wire formats, fails on command, and shows what it took.

    Args:
        bind: Where to listen, host:port.
        ledger: A file that gets a line of JSON for every request.
    """
    from mailapps.emulator import EmulatorSettings
    from mailapps.emulator import run as run_emulator

    try:
        at = place(bind)
    except ValueError as error:
        raise UsageError(f"--bind: {error}") from None
    console = Console()

    def ready(url: str) -> None:
        console.print(f"emulator  {url}  (the inbox; Ctrl-C ends it)", highlight=False)

    with listening(bind, "--bind"):
        asyncio.run(run_emulator(EmulatorSettings(host=at.host, port=at.port, ledger=ledger), ready))


def _supervise(settings: Settings, config: Path | None) -> int:
    """Keep worker processes running; return the exit code."""
    set_up(settings.log, color=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    log = structlog.get_logger("mailcore")
    command = [sys.executable, "-m", "mailapps", "worker", *(["--config", str(config)] if config else []), "--leash"]

    def told(what: str, process: int, code: int) -> None:
        (log.error if what in {"died", "not_started"} else log.info)(f"worker_{what}", process=process, code=code)

    Console().print(Text.from_markup(banner(Started(role=Role.WORKER, settings=settings))), soft_wrap=True)
    supervisor = Supervisor(command=command, patience=patience_of(settings.call_deadline), told=told)
    return asyncio.run(supervisor.run(settings.processes))


def _play(role: Role, config: Path | None) -> None:
    """Run a role by the settings."""
    _run(load(config, os.environ, provider_problems), role)


def _run(settings: Settings, role: Role, leash: int | None = None) -> None:
    """Run a role in this process; on a leash the supervisor has said the rest already."""
    set_up(settings.log, color=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    log = structlog.get_logger("mailcore")
    console = Console()

    def tell(started: Started) -> None:
        tune_interpreter()
        log.info("started", role=str(role), api=started.api, emulator=started.emulator, store=shown(settings.store))
        if started.api is not None and settings.admin_key is None:
            log.warning("no_key_asked_for", api=started.api)
        if leash is None:
            console.print(Text.from_markup(banner(started)), soft_wrap=True)

    try:
        run(play(settings, role, watching(log), tell, leash))
    except (CommandError, MailError, OSError, ModuleNotFoundError):  # a library that is missing is told by `main`
        raise
    except Exception:
        logging.getLogger("mailcore").exception("ended by a fault")  # told by class and place; its text may quote mail
        sys.exit(Exit.FAILED)
    log.info("stopped", role=str(role))
