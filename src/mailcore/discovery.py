"""Finds the parts of an engine by their entry points.

The core imports no adapter: stores, queues, providers, strategies and the system's clock come from whatever
distribution offers them under these groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import entry_points
from typing import Annotated, Protocol, cast

from msgspec import Meta, Struct, ValidationError, convert

from mailcore.errors import SettingsError
from mailcore.ports import Clock, Configured, Draw, NewId, Provider


class System(Protocol):
    """What the group ``mailcore.systems`` offers: the only source of time, dice and ids."""

    new_clock: Callable[[], Clock]
    draw: Draw
    new_email_id: NewId
    new_token: Callable[[], str]


Connect = Callable[[str, Mapping[str, object], Callable[[], datetime]], Provider]
"""What the group ``mailcore.providers`` offers: name, settings and clock to a provider. SettingsError if wrong."""


class Share(Struct, frozen=True, kw_only=True):
    """How much of the mail a provider should take."""

    weight: Annotated[float, Meta(gt=0)] = 1.0
    max_per_second: Annotated[float, Meta(gt=0)] | None = None


def found(group: str, name: str) -> object:
    """Load what a distribution offers under a name; of two, the one that comes first on the path, as with imports.

    Raises:
        SettingsError: Nobody offers it; the text lists what there is.
    """
    offered = {point.name: point for point in reversed(tuple(entry_points(group=group)))}
    if name not in offered:
        message = (
            f"no {group.removeprefix('mailcore.')} entry is called '{name}'; there are: {', '.join(sorted(offered))}"
        )
        raise SettingsError(message)
    try:
        return offered[name].load()
    except ImportError as error:
        extra = name.partition("+")[0]  # mongodb+srv
        message = (
            f"'{name}' needs a library that is not installed ({error.name}): pip install 'mailcore-engine[{extra}]'"
        )
        raise SettingsError(message) from error


def by_url(group: str, url: str) -> object:
    """Open what a url names, by its scheme."""
    make = cast("Callable[[str], object]", found(group, url.partition(":")[0]))
    return make(url)


def configured(one: Configured | Mapping[str, object], clock: Clock) -> Configured:
    """Return a provider ready to use, from its settings if that is what it is given as.

    Raises:
        SettingsError: The kind is unknown, or a setting is missing, unknown or wrong.
    """
    if isinstance(one, Configured):
        return one
    known = {"kind", "name", "weight", "max_per_second"}
    own = {key: value for key, value in one.items() if key not in known}
    kind = str(one.get("kind", ""))
    name = str(one.get("name", kind))
    try:
        connect = cast("Connect", found("mailcore.providers", kind))
    except SettingsError as error:
        message = f"providers.{name}.kind: {error}"
        raise SettingsError(message) from error
    try:
        share = convert({key: one[key] for key in ("weight", "max_per_second") if key in one}, Share)
    except ValidationError as error:
        message = f"provider '{name}': {error}"
        raise SettingsError(message) from error
    provider = connect(name, own, clock.now)
    return Configured(provider=provider, weight=share.weight, max_per_second=share.max_per_second)
