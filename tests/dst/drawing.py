"""Draws the life of an e-mail from its table of transitions: ``python -m tests.dst.drawing``."""

from __future__ import annotations

import re
from pathlib import Path

from mailcore.lifecycle import SETTLED, TRANSITIONS, Status

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "state-machine.md"
MARKED = re.compile(r"(?<=<!-- drawing -->\n).*(?=<!-- /drawing -->)", re.DOTALL)


def drawing() -> str:
    """Return the table as text that is a diagram to Mermaid, and a list to everybody else."""
    ways = [f"    {before} --> {after}" for before in Status for after in Status if after in TRANSITIONS[before]]
    ends = [f"    {status} --> [*]" for status in Status if status in SETTLED]
    begins = [f"    [*] --> {status}" for status in (Status.SCHEDULED, Status.QUEUED)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *begins, *ways, *ends, "```", ""])


def drawn(page: str) -> str:
    """Return a page with the drawing as it must be."""
    return MARKED.sub(lambda _: drawing(), page)


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
