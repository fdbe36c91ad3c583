"""The examples and links of the README and the documentation."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```python([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def examples(*, run: bool) -> Iterator[object]:
    """Yield the Python examples that are to be run, or only compiled, named by page and line."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            indent, flags, body = match.groups()
            code = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
            line = text.count("\n", 0, match.start()) + 1
            if ("no-run" not in flags) is run:
                yield pytest.param(code, id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("code", examples(run=True))
def test_an_example_runs(code: str, tmp_path: Path) -> None:
    """What the documentation shows works as shown, in an empty folder."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("code", examples(run=False))
def test_an_example_that_cannot_run_here_compiles(code: str) -> None:
    """Even a fragment is Python."""
    compiled = compile(code, "example", "exec", dont_inherit=True)

    assert compiled.co_code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A reader meets no dead link between our own pages."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]

    dead = [target for target in targets if not (page.parent / target).exists()]

    assert dead == []
