"""Write docs/reference/licences.md: everything that an installation brings along, and the licence of each.

`nox -s licences` runs it. A test compares the page with what is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "licences.md"
PROJECT = "mailcore-engine"
EXTRAS = frozenset({"embedded", "mongo", "redis", "dramatiq", "sqs", "otel"})

PERMISSIVE = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0", "Unlicense", "any-OSI"})
EXCEPTIONS: Mapping[str, str] = {"certifi": "MPL-2.0", "dramatiq": "LGPL-3.0-or-later"}
"""Used as they are, as packages of their own, and so nothing is asked of the code beside them."""

_SPELLINGS: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "License :: OSI Approved :: MIT License": "MIT",
}


class Licensed(NamedTuple):
    """A package and its licence, as SPDX writes it."""

    name: str
    licence: str


def normal(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure() -> set[str]:
    """Return every package that an installation brings along on this machine."""
    pending, seen = {(PROJECT, EXTRAS)}, set[tuple[str, frozenset[str]]]()
    while pending:
        name, extras = wanted = pending.pop()
        seen.add(wanted)
        required = needed(distribution(name), extras)
        pending |= {(normal(one.name), frozenset(one.extras)) for one in required} - seen
    return {name for name, _ in seen} - {PROJECT}


def needed(found: Distribution, extras: AbstractSet[str]) -> Iterator[Requirement]:
    """Yield what a package requires here, with these extras."""
    for requirement in map(Requirement, found.requires or []):
        asked = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if asked:
            yield requirement


def licence(found: Distribution) -> str:
    """Return the licence that a package states, as SPDX writes it."""
    told = found.metadata
    stated = (told["License-Expression"] or told["License"] or "").strip().partition("\n")[0]
    classifiers = [one for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    candidates = [stated, *classifiers]
    for one in candidates:
        spelling = _SPELLINGS.get(one, one)
        if terms(spelling) <= PERMISSIVE | set(EXCEPTIONS.values()):
            return spelling
    return f"unknown: {' '.join(candidates)}"


def terms(expression: str) -> AbstractSet[str]:
    """Return the licences that an expression names."""
    return {one.strip(" ()") for one in re.split(r" (?:AND|OR) ", expression)}


def installed() -> list[Licensed]:
    """Return what an installation brings along here, by name."""
    return [Licensed(name, licence(distribution(name))) for name in sorted(closure())]


def rows(text: str) -> list[Licensed]:
    """Return the rows of the page's table."""
    return [Licensed(*pair) for pair in re.findall(r"^\| `(.+)` \| (.+) \|$", text, re.MULTILINE)]


def main() -> None:
    """Put the table into the page."""
    head, line, _ = PAGE.read_text(encoding="utf-8").partition("| package | licence |\n")
    table = "".join(f"| `{name}` | {of} |\n" for name, of in installed())
    PAGE.write_text(f"{head}{line}|---|---|\n{table}", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except PackageNotFoundError as error:
        raise SystemExit(f"install everything first: {error}") from error
