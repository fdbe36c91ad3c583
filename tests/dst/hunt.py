"""Runs a simulation on sources from which one guard was taken away.

``python -m tests.dst.hunt`` searches a seed for every mutant, and pins them in ``pins.json`` if told ``--pin``;
``… hunt LAYER FROM TO`` runs a layer on the sources that PYTHONPATH names, and prints the first seed at which it
breaks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.dst.mutants import MUTANTS, SOURCES, Mutant

TOP = Path(__file__).parents[2]
PINNED = Path(__file__).with_name("pins.json")
PINS: dict[str, int] = json.loads(PINNED.read_text())
"""At which seed the simulation breaks without a guard, by the guard's name."""
WITHIN = 60


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Path]:
    """Make a copy of the sources without the guard."""
    text = (SOURCES / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        raise LookupError(f"the guard '{mutant.guard}' does not stand once in {mutant.file}: mend its mutant")
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        for path in (SOURCES / "mailcore").rglob("*.py"):
            link = copy / path.relative_to(SOURCES)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        (copy / mutant.file).unlink()
        (copy / mutant.file).write_text(text.replace(mutant.old, mutant.new))
        yield copy


def complaint(mutant: Mutant, seeds: range) -> str:
    """Return the first seed at which the mutant's layer breaks and its complaint; empty if it does not in time."""
    with mutated(mutant) as copy:
        paths = os.pathsep.join([str(copy), str(TOP)])
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.dst.hunt", mutant.layer, str(seeds.start), str(seeds.stop)],
                env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
                cwd=TOP,
                capture_output=True,
                text=True,
                timeout=WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ""
    return done.stdout.strip() or done.stderr.strip()[-300:]


def broken_at(layer: str, seeds: range) -> str:
    """Return the first seed at which a layer breaks, and how; empty if it holds."""
    layers: dict[str, Any] = {"walk": _walk, "world": _world}
    for seed in seeds:
        try:
            layers[layer](seed)
        except Exception as error:  # noqa: BLE001 - a mutant may break in any way
            return f"{seed} {type(error).__name__}: {error}"
    return ""


def _walk(seed: int) -> None:
    """Run a walk of one e-mail."""
    from tests.dst.one_email import walk

    from mailcore.testing import draws

    walk(draws(seed))


def _world(seed: int) -> None:
    """Let a whole world live."""
    from tests.dst.world import live

    from mailcore.testing import draws

    live(draws(seed))


def search(*, pin: bool) -> int:
    """Search a seed for every mutant; return how many live."""
    pins: dict[str, int] = {}
    for mutant in MUTANTS:
        found = complaint(mutant, range(10**6))
        print(f"{mutant.guard}: {found or 'NOT CAUGHT'}", flush=True)
        if "BrokenError" in found:
            pins[mutant.guard] = int(found.split()[0])
    if pin:
        PINNED.write_text(json.dumps(pins, indent=1) + "\n")
    return len(MUTANTS) - len(pins)


def main() -> None:
    """Run a layer, or search for every mutant."""
    if len(sys.argv) > 2:
        layer, first, last = sys.argv[1:]
        print(broken_at(layer, range(int(first), int(last))))
    elif living := search(pin="--pin" in sys.argv):
        sys.exit(f"{living} mutants live")


if __name__ == "__main__":
    main()
