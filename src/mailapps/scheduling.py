"""How a process takes its turn as the scheduler that leads, and what its store must keep for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final, cast

from mailadapters import system
from mailapps.settings import Settings
from mailcore.assembly import Tuning
from mailcore.courier import Courier
from mailcore.errors import SettingsError
from mailcore.keyring import KeepsKeys
from mailcore.leadership import KeepsLease, Leadership
from mailcore.ports import EmailStore, Ports
from mailcore.records import Records
from mailcore.retention import KeepsFor, Retention, RetentionRules
from mailcore.roster import Roster
from mailcore.scheduler import Scheduler, SweepRules
from mailcore.suppression_list import KeepsSuppressions, SuppressionList
from mailcore.switchboard import KeepsSwitches
from mailcore.waking import WakesEngines

KEEPS: Final[Mapping[str, type]] = {
    "the operator's switches": KeepsSwitches,
    "a leader's lease": KeepsLease,
    "things for a time only": KeepsFor,
    "API keys": KeepsKeys,
    "a suppression list": KeepsSuppressions,
}


def must_keep(store: EmailStore) -> None:
    """Return if a store keeps all that the service needs beside e-mails.

    Raises:
        SettingsError: It does not; names what.
    """
    lacking = [what for what, keeps in KEEPS.items() if not isinstance(store, keeps)]
    if lacking:
        raise SettingsError(f"store: it cannot keep {', '.join(lacking)}; see docs/how-to/add-a-store.md")


def scheduler_of(ports: Ports, tuning: Tuning, settings: Settings) -> Scheduler:
    """Return what leads if nobody else does.

    Its roster has as many slots as a page has e-mails: what it finds is for others to send.
    """
    rules, records = tuning.rules, Records(ports=ports)
    roster = Roster(ports=ports, rules=rules, slots=settings.sweep_page)
    wakes = isinstance(ports.queue, WakesEngines)
    kept = settings.retention
    ages = RetentionRules(content=kept.content, addresses=kept.addresses, records=kept.records)
    leases = cast("KeepsLease", ports.store)
    return Scheduler(
        courier=Courier(
            ports=ports, rules=rules, roster=roster, records=records, suppressions=SuppressionList(ports=ports)
        ),
        leadership=Leadership(store=leases, clock=ports.clock, holder=system.new_token()),
        retention=Retention(store=cast("KeepsFor", ports.store), records=records, rules=ages),
        rules=SweepRules(every=settings.sweep, grace=settings.sweep_grace, page=settings.sweep_page, wakes=wakes),
    )


@asynccontextmanager
async def scheduling(scheduler: Scheduler, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Run a scheduler in the background; should it end by itself, that stops the process."""
    task = asyncio.get_running_loop().create_task(scheduler.run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        scheduler.stop()
        await task
