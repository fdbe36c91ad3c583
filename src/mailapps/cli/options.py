"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

_REACH = Group("Reaching the service")


@Parameter(name="*", group=_REACH)
@dataclass(frozen=True, kw_only=True)
class Reach:
    """How to reach the running service, and how to answer."""

    url: Annotated[str | None, Parameter(env_var="MAILCORE_URL")] = None
    """Where the service is; by default where the settings bind it."""

    key: str | None = None
    """The API key. Better in MAILCORE_ADMIN_KEY or MAILCORE_ADMIN_KEY_FILE: arguments can be seen by others."""

    config: Annotated[Path | None, Parameter(env_var="MAILCORE_CONFIG")] = None
    """The settings file; by default ./mailcore.toml."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print JSON for machines instead of a table for people."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which e-mails; every filter that is given must hold."""

    reason: str | None = None
    """Why they are where they are, such as gave_up."""

    to: str | None = None
    """A recipient's address."""

    tag: str | None = None
    """One of their tags."""

    provider: str | None = None
    """Some attempt went there."""

    lane: str | None = None
    """urgent, transactional or bulk."""

    metadata: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A pair key:value of their metadata; may be given several times."""

    possible_duplicate: Annotated[bool, Parameter(negative="")] = False
    """Only those that may have been sent twice."""

    created_after: str | None = None
    """Created at that time or later, such as 2026-12-01T08:00:00Z."""

    created_before: str | None = None
    """Created before that time."""


def query(filters: Filters) -> dict[str, object]:
    """Return filters as the API takes them in a query string; those that are not given are left out."""
    given = {name: value for name, value in vars(filters).items() if value and name != "possible_duplicate"}
    return {**given, "possible_duplicate": "true"} if filters.possible_duplicate else given
