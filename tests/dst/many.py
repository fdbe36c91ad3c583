"""Runs many walks and worlds, and prints each seed that breaks: ``python -m tests.dst.many 10000``."""

from __future__ import annotations

import sys

from tests.dst.hunt import broken_at


def main(walks: int) -> None:
    """Run so many walks, and a tenth as many worlds."""
    found = [
        f"{layer} {broken}"
        for layer, count in (("walk", walks), ("world", walks // 10))
        for seed in range(count)
        if (broken := broken_at(layer, range(seed, seed + 1)))
    ]
    print("\n".join(found) or f"{walks} walks and {walks // 10} worlds hold")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
