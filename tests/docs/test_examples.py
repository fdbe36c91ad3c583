"""The examples and links of the README and the documentation."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```python([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def examples() -> list[object]:
    """Return every Python example as a program, named by page and line; a `no-run` one only compiles."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            indent, flags, body = match.groups()
            code = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
            program = f"compile({code!r}, 'example', 'exec')" if "no-run" in flags else code
            line = text.count("\n", 0, match.start()) + 1
            found.append(pytest.param(program, id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("program", examples())
def test_an_example_works(program: str, tmp_path: Path) -> None:
    """What the documentation shows works as shown, in an empty folder and without a warning."""
    command = [sys.executable, "-W", "error", "-c", program]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True, timeout=60)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A reader meets no dead link between our own pages."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]

    dead = [target for target in targets if not (page.parent / target).exists()]

    assert dead == []
