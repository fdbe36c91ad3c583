"""Whatever an installation brings along has a licence that lets everybody use mailcore, and the page says which."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tools.licences import EXCEPTIONS, PAGE, PERMISSIVE, closure, installed, licence, normal, rows, terms

LISTED = dict(rows(PAGE.read_text(encoding="utf-8")))


def test_every_package_that_is_brought_along_is_listed_with_its_licence() -> None:
    """Whoever adds a dependency runs `nox -s licences`."""
    assert {one.name: LISTED.get(one.name) for one in installed()} == dict(installed())


def test_what_is_listed_is_locked() -> None:
    """The page lists no package that nobody installs any more."""
    locked = tomllib.loads(Path("uv.lock").read_text(encoding="utf-8"))["package"]

    assert set(LISTED) <= {normal(package["name"]) for package in locked}
    assert set(closure()) <= {normal(package["name"]) for package in locked}


@pytest.mark.parametrize("name", LISTED)
def test_a_licence_is_permissive_or_a_known_exception(name: str) -> None:
    """No licence reaches into the code of whoever uses mailcore."""
    assert terms(LISTED[name]) <= PERMISSIVE or LISTED[name] == EXCEPTIONS.get(name)


def test_a_licence_that_nobody_knows_is_no_permissive_one() -> None:
    """What states no licence, or an unknown one, fails the rule above."""
    assert licence(Stated({"License": "GPL-3.0", "License-Expression": None})).startswith("unknown: GPL")
    assert not terms("unknown: GPL-3.0") <= PERMISSIVE


class Stated:
    """A package that states this."""

    requires = ()

    def __init__(self, told: dict[str, str | None]) -> None:
        """Keep what it states."""
        self.told = told

    @property
    def metadata(self) -> Stated:
        """Its metadata."""
        return self

    def __getitem__(self, key: str) -> str | None:
        """Return a field."""
        return self.told.get(key)

    def get_all(self, _key: str) -> list[str]:
        """Return no classifiers."""
        return []
