"""The command check: whether the settings are right, and whether what they name is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
from cyclopts import Parameter

from mailapps.cli.exits import Exit
from mailapps.cli.printing import Column, console, print_json, table_of
from mailapps.container import Container, Role, provider_problems, store_answers
from mailapps.settings import Settings, place
from mailapps.settings_rules import points_at_emulator
from mailapps.settings_sources import load
from mailcore.errors import MailError
from mailcore.ports import Configured

Row = Mapping[str, str]

_TIMEOUT_S: Final = 5.0
_COLUMNS: Final = (Column("what"), Column("state"), Column("told"))


def check(
    *,
    config: Annotated[Path | None, Parameter(env_var="MAILCORE_CONFIG")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check the settings, and reach everything that they name: the store and every provider. Sends nothing.

    A provider is reached over its network, TLS included. Whether it takes the key is not known before the first
    e-mail: the providers' APIs that mailcore uses have no call that only asks.

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
        told = f"{settings.store}, bind {settings.bind}"
        rows = [_row("settings", "ok", told), await _store(parts, settings), _row("queue", "ok", settings.queue)]
        return rows + list(await asyncio.gather(*(_provider(one, settings) for one in ports.providers)))
    finally:
        for one in ports.providers:
            await one.provider.aclose()
        await ports.store.aclose()


async def _store(parts: Container, settings: Settings) -> Row:
    """Return whether the store answers; an embedded one is made if it is not there yet."""
    try:
        await store_answers(parts.store())
    except MailError as error:
        return _row("store", "failed", str(error))
    return _row("store", "ok", settings.store)


async def _provider(one: Configured, settings: Settings) -> Row:
    """Return whether a provider can be reached."""
    what = f"provider {one.provider.name}"
    url = str(getattr(getattr(one.provider, "settings", None), "base_url", ""))
    if not url:
        return _row(what, "ok", "not reached: its kind does not say where it is; key not checked")
    problem = await _unreachable(url)
    host = urlsplit(url).netloc
    if problem is None:
        return _row(what, "ok", f"reached {host}; key not checked: that shows with the first e-mail")
    if points_at_emulator({"base_url": url}, place(settings.emulator.bind)):
        return _row(what, "ok", f"the emulator at {host}, which does not run now: mailcore up starts it")
    return _row(what, "failed", f"cannot reach {host}: {problem}")


async def _unreachable(url: str) -> str | None:
    """Return why nothing answers at a URL, or None if something does, whatever it says."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None


def _row(what: str, state: str, told: str) -> Row:
    """Return one line of the report."""
    return {"what": what, "state": state, "told": told}
