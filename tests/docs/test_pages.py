"""The shelves of the documentation: every page can be found, and speaks of what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHELVES = ("tutorial", "how-to", "reference", "explanation")
PAGES = sorted(page for shelf in SHELVES for page in (DOCS / shelf).glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_is_on_the_index(page: Path) -> None:
    """A page that the index does not name is found by nobody."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")

    assert f"]({page.relative_to(DOCS)})" in index, "give the page a line in docs/index.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_fence_names_its_language_and_nothing_else(page: Path) -> None:
    """With anything beside the language the site shows the fence as running text."""
    fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert [fence for fence in fences if not re.fullmatch(r"[a-z]*", fence)] == []


@pytest.mark.parametrize("package", ["mailcore", "mailadapters", "mailapps"])
def test_the_architecture_names_every_module_and_nothing_else(package: str) -> None:
    """Whoever looks for a module finds it where the page says, and whoever meets one reads there what it is."""
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    [table] = re.findall(rf"^\| in `src/{package}` \| holds \|\n(.*?)(?:\n\n|\Z)", page, flags=re.MULTILINE | re.DOTALL)
    named = [name for row in table.splitlines()[1:] for name in re.findall(r"`([\w/.]+)`", row.split("|")[1])]

    there = [f"{one.name}/" if one.is_dir() else one.name for one in (ROOT / "src" / package).iterdir()]

    assert sorted(named) == sorted(name for name in there if not name.startswith("__") and name != "py.typed")


def test_the_promise_is_told_everywhere_in_the_same_words() -> None:
    """The README and the explanation promise the same, no more and no less."""
    said = {_promise(ROOT / "README.md"), _promise(DOCS / "explanation" / "delivery-semantics.md")}

    assert len(said) == 1
    assert all(said)


def _promise(page: Path) -> str:
    """Return the paragraph below the heading, whatever its line breaks."""
    below = page.read_text(encoding="utf-8").partition("## The promise\n\n")[2]
    return " ".join(below.partition("\n\n")[0].split())


def test_the_tutorial_runs_what_the_readme_runs() -> None:
    """A newcomer meets one line that runs the service, and one curl."""
    readme, tutorial = (
        page.read_text(encoding="utf-8") for page in (ROOT / "README.md", DOCS / "tutorial" / "first-email.md")
    )

    assert _commands(readme) == _commands(tutorial)


def _commands(text: str) -> list[str]:
    """Return the lines that run the service, and the whole of the curl that sends."""
    return re.findall(r"^python3 .*mailcore up$|^curl -i [^`]*", text, flags=re.MULTILINE)
