"""Filling the suppression list from a file, part by part: what is wrong is left out and told, the rest is kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import httpx
from msgspec import Struct

from mailapps.cli.bulk import Sleep, Step, answered
from mailapps.cli.client import TIMEOUT_S, Json, RefusedError, address_of, problem_of
from mailapps.cli.lines import BadLine, Columns, Line
from mailapps.cli.options import Reach
from mailapps.cli.patience import Patience

COLUMNS: Final = Columns(plain=frozenset({"address", "reason", "source", "expires_at"}))

PART: Final = 500
"""So many the service takes at once."""

_PLACE: Final = re.compile(r"/suppressions/([0-9]+)")


class Wrong(Struct, frozen=True):
    """A line that suppresses nobody.

    Attributes:
        line: Where it begins, counted from 1.
        problems: Everything that is wrong with it: pointer, code, detail.
    """

    line: int
    problems: Sequence[Json]


@dataclass
class Filled:
    """What came of a file.

    Attributes:
        kept: Addresses that must not be written to now.
        wrong: Lines that were refused.
    """

    kept: int = 0
    wrong: list[Wrong] = field(default_factory=list[Wrong])


async def fill(
    lines: Iterator[Line | BadLine],
    defaults: Mapping[str, Any],
    reach: Reach,
    told: Filled,
    step: Step,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Suppress the address of every line of a file.

    Args:
        lines: The file's lines.
        defaults: What holds where a line says nothing else.
        reach: Where the service is.
        told: Gets what came of them, also if this does not come to its end.
        step: Is called after each line.
        sleep: Waits so many seconds.

    Raises:
        UnreachableError: The service went away; the file may be given again.
        RefusedError: The service takes nothing, whatever the line.
    """
    url, headers = address_of(reach)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        while part := list(islice(lines, PART)):
            bad = [one for one in part if isinstance(one, BadLine)]
            told.wrong += [Wrong(one.line, (problem_of(one.problem, "unreadable"),)) for one in bad]
            entries = [Line(one.number, {**defaults, **one.value}) for one in part if isinstance(one, Line)]
            await _keep(client, entries, told, sleep)
            for _ in part:
                step()


async def _keep(client: httpx.AsyncClient, part: list[Line], told: Filled, sleep: Sleep) -> None:
    """Suppress the addresses of a part; where the service names wrong ones, those of the others."""
    while part:
        body = {"suppressions": [one.value for one in part]}
        request = client.build_request("POST", "/api/suppressions", json=body)
        try:
            answer = await answered(client, request, Patience(), sleep)
        except RefusedError as error:
            wrong = _by_place(error.problems)
            if not wrong:
                raise
            told.wrong += [Wrong(part[at].number, problems) for at, problems in wrong.items()]
            part = [one for at, one in enumerate(part) if at not in wrong]
        else:
            told.kept += answer.json()["kept"]
            return


def _by_place(problems: Sequence[Json]) -> dict[int, list[Json]]:
    """Return what is wrong with each entry, by its place; each pointer begins within it."""
    found: dict[int, list[Json]] = {}
    for one in problems:
        if place := _PLACE.match(one["pointer"]):
            within = {**one, "pointer": one["pointer"][place.end() :]}
            found.setdefault(int(place[1]), []).append(within)
    return found
