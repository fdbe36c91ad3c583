"""Compare two builds of the wheel, and look at what is in it: `python tools/check_wheel.py FIRST SECOND`.

A build that can be repeated lets anybody see that a published wheel was made from these sources.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

from leaks import leaks

OURS = ("mailcore/", "mailadapters/", "mailapps/")
ALSO = (".dist-info/METADATA", ".dist-info/RECORD", ".dist-info/WHEEL", ".dist-info/entry_points.txt")
NEEDED = ("mailcore/py.typed", "mailapps/api/assets/", ".dist-info/licenses/LICENSE")


def problems(first: Path, second: Path) -> Iterator[str]:
    """Yield what is wrong with a wheel that was built twice."""
    if sha256(first.read_bytes()).digest() != sha256(second.read_bytes()).digest():
        yield "two builds of the same sources differ"
    with ZipFile(first) as wheel:
        names = wheel.namelist()
        yield from (f"{name} holds a key: {kind}" for name in names for kind in leaks(wheel.read(name)))
    yield from (f"{name} does not belong in it" for name in names if not (name.endswith("/") or belongs(name)))
    yield from (f"{one} is missing" for one in NEEDED if not any(one in name for name in names))


def belongs(name: str) -> bool:
    """Tell whether a file is one that users install."""
    inside = name.startswith(OURS) or ".dist-info/licenses/" in name or name.endswith(ALSO)
    return inside and not name.endswith((".toml", ".db", ".pyc", ".env")) and "/tests/" not in name


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]), Path(sys.argv[2])))
    print(*found or ["the wheel is what it should be"], sep="\n")
    raise SystemExit(len(found))
