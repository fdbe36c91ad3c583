"""The command check: whether the settings are right, and whether what they name is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import httpx
from cyclopts import Parameter

from mailadapters.providers.kind import KeyCheck, KeyState
from mailapps.cli.exits import Exit
from mailapps.cli.printing import Column, console, print_json, table_of
from mailapps.container import Container, provider_problems
from mailapps.guarding import must_ask
from mailapps.probing import queue_answers, store_answers
from mailapps.settings import Settings, place, shown
from mailapps.settings_rules import points_at_emulator
from mailapps.settings_sources import load
from mailapps.tuning import Role
from mailcore.errors import MailError, SettingsError
from mailcore.ports import Configured, WakeUpQueue

Row = Mapping[str, str]

_WITHIN: Final = timedelta(seconds=5)
_COLUMNS: Final = (Column("what"), Column("state"), Column("told"))


@runtime_checkable
class ChecksKey(Protocol):
    """A provider that can be asked whether its key works."""

    async def check_key(self, within: timedelta) -> KeyCheck | None:
        """Ask, without sending anything; None if it has no call for that."""
        ...


def check(
    *,
    config: Annotated[Path | None, Parameter(env_var="MAILCORE_CONFIG")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check the settings, and reach everything that they name: the store and every provider. Sends nothing.

    A provider is reached over its network, TLS included, and asked whether it takes the key, by a call that cannot
    send. A provider of somebody else's making may have no such call: its key is not checked.

    Args:
        config: The settings file; by default ./mailcore.toml, if it is there.
        json: Print JSON for machines.
    """
    settings = load(config, os.environ, provider_problems)
    rows = asyncio.run(_checked(settings))
    if json:
        print_json({"data": rows})
    else:
        out = console()
        cells = [(row["what"], row["state"], row["told"]) for row in rows]
        out.print(table_of(_COLUMNS, cells, out.width))
    return Exit.FAILED if any(row["state"] == "failed" for row in rows) else Exit.OK


async def _checked(settings: Settings) -> list[Row]:
    """Return a row for the settings and for everything that they name."""
    parts = Container(settings=settings, role=Role.UP)
    ports = parts.ports()
    try:
        told = f"{shown(settings.store)}, bind {settings.bind}"
        rows = [_row("settings", "ok", told), *missing_key(settings)]
        rows += [await _store(parts, settings), await _queue(ports.queue, settings)]
        return rows + list(await asyncio.gather(*(_provider(one, settings) for one in ports.providers)))
    finally:
        for one in ports.providers:
            await one.provider.aclose()
        await ports.queue.aclose()
        await ports.store.aclose()


def missing_key(settings: Settings) -> list[Row]:
    """Return why `mailcore api` would not start by these settings, which may do for every other role."""
    try:
        must_ask(settings)
    except SettingsError as error:
        return [_row("api", "unclear", f"would not start here: {error}")]
    return []


async def _store(parts: Container, settings: Settings) -> Row:
    """Return whether the store answers; an embedded one is made if it is not there yet."""
    try:
        await store_answers(parts.store())
    except MailError as error:
        return _row("store", "failed", str(error))
    return _row("store", "ok", shown(settings.store))


async def _queue(queue: WakeUpQueue, settings: Settings) -> Row:
    """Return whether the queue answers, if it is one between processes."""
    try:
        await queue_answers(queue)
    except MailError as error:
        return _row("queue", "failed", f"{shown(settings.queue)}: {error}")
    return _row("queue", "ok", shown(settings.queue))


async def _provider(one: Configured, settings: Settings) -> Row:
    """Return whether a provider can be reached, and takes its key."""
    what = f"provider {one.provider.name}"
    url = str(getattr(getattr(one.provider, "settings", None), "base_url", ""))
    if not url:
        return _row(what, "ok", "not reached: its kind does not say where it is; key not checked")
    problem = await _unreachable(url)
    host = urlsplit(url).netloc
    if problem is None:
        return await _key(one, f"reached {host}")
    if points_at_emulator({"base_url": url}, place(settings.emulator.bind)):
        return _row(what, "ok", f"the emulator at {host}, which does not run now: mailcore up starts it")
    return _row(what, "failed", f"cannot reach {host}: {problem}")


async def _key(one: Configured, reached: str) -> Row:
    """Return whether a provider that was reached takes its key."""
    what = f"provider {one.provider.name}"
    found = await one.provider.check_key(_WITHIN) if isinstance(one.provider, ChecksKey) else None
    if found is None:
        return _row(what, "ok", f"{reached}; key not checked: that shows with the first e-mail")
    match found.state:
        case KeyState.WORKS:
            return _row(what, "ok", f"{reached}; its key works")
        case KeyState.REFUSED:
            return _row(what, "failed", f"{reached}; its key is refused: {found.reason}")
        case KeyState.UNCLEAR:
            return _row(what, "unclear", f"{reached}; cannot tell whether its key works: {found.reason}")


async def _unreachable(url: str) -> str | None:
    """Return why nothing answers at a URL, or None if something does, whatever it says."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN.total_seconds()) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None


def _row(what: str, state: str, told: str) -> Row:
    """Return one line of the report."""
    return {"what": what, "state": state, "told": told}
