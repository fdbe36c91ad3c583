"""Settings: whatever somebody writes is a setting, or is told to be none."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from mailadapters.configuration import LONGEST, duration, nearest, read
from mailapps.container import provider_problems
from mailapps.settings import Place, Settings, place
from mailapps.settings_sources import _checked, merged
from mailcore.errors import SettingsError

UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
KEYS = [field.name for field in fields(Settings)]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["5s", "9999999d", "0.001ms", "127.0.0.1:80", "0.0.0.0:1", "sqlite:///x", "memory://", "priority"]
)  # fmt: skip
NAMES = st.sampled_from([*KEYS, "kind", "env", "cap", "bind", "x"])
VALUES = st.recursive(SCALARS, lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=3))


def loaded(tree: dict[str, Any], environ: dict[str, str]) -> Settings | SettingsError:
    """Return what comes of settings."""
    try:
        return _checked(merged(tree, environ), environ, provider_problems)
    except SettingsError as error:
        return error


@given(st.dictionaries(st.sampled_from([*KEYS, "unknown"]), VALUES, max_size=5))
def test_any_file_gives_settings_or_problems(tree: dict[str, Any]) -> None:
    """No value of any key makes reading crash."""
    assert isinstance(loaded(tree, {}), Settings | SettingsError)


@given(st.dictionaries(st.sampled_from([f"MAILCORE_{key.upper()}" for key in KEYS]), st.text(max_size=12), max_size=4))
def test_any_environment_gives_settings_or_problems(environ: dict[str, str]) -> None:
    """No text in any variable makes reading crash."""
    base: dict[str, Any] = {"providers": {"one": {"kind": "sendgrid", "api_key": "x"}}}

    assert isinstance(loaded(base, environ), Settings | SettingsError)


@given(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=5))
def test_each_unknown_key_has_its_own_line(names: list[str]) -> None:
    """As many problems, as many lines."""
    said = loaded({f"{name}_unknown": 1 for name in names} | {"providers": {}}, {})

    lines = str(said).splitlines()
    assert [line.split()[0] for line in lines] == [f"{name}_unknown" for name in names]


@given(st.integers(1, 10_000), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_of_units(number: int, unit: str) -> None:
    """`90s` is ninety seconds."""
    assert duration(f"{number}{unit}") == number * UNITS[unit]


@given(st.text())
def test_a_duration_is_positive_and_within_the_calendar(text: str) -> None:
    """Whatever passes can be calculated with."""
    try:
        span = duration(text)
    except ValueError:
        return

    assert timedelta(0) < span <= LONGEST


@given(st.from_regex(r"\A[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)\Z"))
def test_a_well_formed_duration_is_refused_only_for_its_size(text: str) -> None:
    """Zero and more than ten years are no durations."""
    number = float(text.rstrip("msdh"))

    if not 0 < number <= 3650:
        return
    assert timedelta(0) < duration(text) <= LONGEST


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_and_port_is_a_place(address: IPv4Address | IPv6Address, port: int) -> None:
    """IPv4 plain, IPv6 in brackets; loopback is what the address says."""
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

    found = place(text)

    assert found == Place(str(address), port)
    assert found.loopback == address.is_loopback


class Two(Struct, frozen=True, kw_only=True):
    """Two settings of a kind."""

    first: int
    second: str = ""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, ["t.first is missing"]),
        (
            {"first": "x", "scond": 1},
            ["t.scond is no setting; did you mean second?", 't.first: expected a whole number, got "x"'],
        ),
        ({"first": 1, "second": 2}, ["t.second: expected a text in quotes, got 2"]),
    ],
)
def test_a_table_is_read_field_by_field(table: dict[str, object], said: list[str]) -> None:
    """Whatever the Struct, each wrong field has a line, and a text may stand for a number."""
    with pytest.raises(SettingsError) as caught:
        read(Two, table, "t.")

    assert str(caught.value).splitlines() == said
    assert read(Two, {"first": "7"}) == Two(first=7)


@given(st.text(max_size=10), st.lists(st.text(min_size=1, max_size=10), max_size=4))
def test_a_suggestion_is_one_of_the_right_keys(key: str, known: list[str]) -> None:
    """Nobody is led to a key that there is not."""
    said = nearest(key, known)

    assert said.startswith("there are: ") or any(said == f"did you mean {one}?" for one in known)
