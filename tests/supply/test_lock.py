"""uv.lock pins what is tested and shipped: every file by its hash, and from PyPI alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from tools.licences import normal

LOCK = tomllib.loads(Path("uv.lock").read_text(encoding="utf-8"))
PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: dict[str, dict[str, Any]] = {
    package["name"]: package for package in LOCK["package"] if "registry" in package["source"]
}


def test_every_file_is_pinned_by_its_hash() -> None:
    """What was not locked is not installed."""
    files = [file for one in PACKAGES.values() for file in (*one.get("wheels", ()), *filter(None, [one.get("sdist")]))]

    assert len(files) > len(PACKAGES)
    assert [file["url"] for file in files if not file.get("hash", "").startswith("sha256:")] == []


def test_packages_come_from_pypi_and_nowhere_else() -> None:
    """The address of a mirror, where somebody locked through one, leads others nowhere or astray."""
    hosts = {file["url"].split("/")[2] for one in PACKAGES.values() for file in one.get("wheels", ())}

    assert {one["source"]["registry"] for one in PACKAGES.values()} == {"https://pypi.org/simple"}
    assert hosts == {"files.pythonhosted.org"}
    assert [one["name"] for one in LOCK["package"] if one["name"] not in PACKAGES] == ["mailcore-engine"]


def test_what_the_project_asks_for_is_what_is_locked() -> None:
    """Whoever changes a dependency runs `uv lock`; the lint session checks it to the last bound."""
    project = PROJECT["project"]
    groups = PROJECT["dependency-groups"].values()
    asked = [*project["dependencies"], *(one for some in project["optional-dependencies"].values() for one in some)]
    asked += [one for group in groups for one in group if isinstance(one, str)]

    wanted = [Requirement(one) for one in asked if not one.startswith("mailcore-engine")]

    assert wanted
    assert [str(one) for one in wanted if not locked(one)] == []


def locked(wanted: Requirement) -> bool:
    """Tell whether a version that suffices is locked."""
    package = PACKAGES.get(normal(wanted.name))
    return package is not None and wanted.specifier.contains(package["version"])
