"""Runs a simulation on sources from which one guard was taken away.

``python -m tests.dst.hunt`` searches a seed for every mutant; ``… hunt LAYER FROM TO`` runs a layer on the sources
that PYTHONPATH names, and prints the first seed at which it breaks.
"""

from __future__ import annotations

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
    layers: dict[str, Any] = {"walk": _walk}
    for seed in seeds:
        try:
            layers[layer](seed)
        except Exception as error:  # noqa: BLE001 - a mutant may break in any way
            return f"{seed} {type(error).__name__}: {error}"
    return ""


def _walk(seed: int) -> None:
    """Run a walk of one e-mail."""
    from mailcore.testing import draws
    from tests.dst.one_email import walk

    walk(draws(seed))


def main() -> None:
    """Run a layer, or search for every mutant."""
    if sys.argv[1:]:
        layer, first, last = sys.argv[1:]
        print(broken_at(layer, range(int(first), int(last))))
        return
    missed = 0
    for mutant in MUTANTS:
        found = complaint(mutant, range(10**6))
        missed += not found
        print(f"{mutant.guard}: {found or 'NOT CAUGHT'}", flush=True)
    sys.exit(f"{missed} mutants live" if missed else 0)


if __name__ == "__main__":
    main()
