"""The commands of API keys: keys create, list, rotate, revoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter
from cyclopts.validators import Number

from mailapps.cli.client import Json, Service
from mailapps.cli.options import Reach
from mailapps.cli.printing import Column, cleaned, console, print_json, table_of, time_of

keys: Final = App(name="keys", help="Make, list, replace and revoke API keys.")

KeyId = Annotated[str, Parameter(name="ID")]
_KEYS: Final = (
    Column("id", whole=True),
    Column("state"),
    Column("scopes"),
    Column("tenant", least=70),
    Column("name", least=80),
    Column("last used", least=100),
    Column("expires", least=110),
    Column("daily", least=120),
    Column("senders", least=140),
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a new key is to be."""

    scope: Annotated[tuple[Literal["send", "read", "content", "admin"], ...], Parameter(negative="")]
    """send, read (not contents), content, or admin, which includes them; may be given several times."""

    name: str = ""
    """For people: who uses it."""

    tenant: str | None = None
    """Whose e-mails it reaches; by default those of the key that this command uses."""

    sender: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """An address or domain that it may send from; may be given several times; by default any."""

    expires: str | None = None
    """When it ends by itself, such as 2026-12-01T08:00:00Z."""

    requests: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """How often it may ask in --per seconds; by default what the service allows every key."""

    per: Annotated[int, Parameter(validator=Number(gte=1, lte=86400))] = 60
    """See --requests."""

    daily: Annotated[int | None, Parameter(validator=Number(gte=1, lte=1_000_000))] = None
    """How many e-mails it may submit a day; by default any number."""


@keys.command
def create(*, wanted: Wanted, reach: Reach | None = None) -> None:
    """Make an API key. It is shown once: keep it where its user's secrets are."""
    _show("/api/keys", _body(wanted), reach)


@keys.command(name="list")
def list_keys(*, reach: Reach | None = None) -> None:
    """List the API keys, the oldest first; those that have ended, too. Secrets are shown by nobody."""
    reach = reach or Reach()
    with Service(reach) as service:
        found = service.get("/api/keys")
    if reach.json:
        print_json(found)
        return
    out = console()
    rows = [_row(cleaned(one)) for one in found["data"]]
    out.print(table_of(_KEYS, rows, out.width) if rows else "none; make one by: mailcore keys create --scope send")


@keys.command
def rotate(key_id: KeyId, /, *, until: str | None = None, reach: Reach | None = None) -> None:
    """Make a key like this one. Both open until the old one ends: give the new one to its user meanwhile.

    Args:
        key_id: The old key's id, key_….
        until: When the old one ends, such as 2026-12-01T08:00:00Z; by default in 24 hours.
    """
    _show(f"/api/keys/{quote(key_id, safe='')}/rotate", {"until": until}, reach)


@keys.command
def revoke(key_id: KeyId, /, *, reach: Reach | None = None) -> None:
    """Revoke a key: within 5 seconds it opens nothing in any process.

    Args:
        key_id: The key's id, key_…: the 8 characters after `mc_live_` in the key itself.
    """
    reach = reach or Reach()
    with Service(reach) as service:
        ended = service.delete(f"/api/keys/{quote(key_id, safe='')}")
    if reach.json:
        print_json(ended)
    else:
        console().print(f"{ended['id']}: {ended['state']}", soft_wrap=True)


def _body(wanted: Wanted) -> Json:
    """Return what the API is asked for."""
    return {
        "scopes": list(wanted.scope),
        "name": wanted.name,
        "tenant": wanted.tenant,
        "senders": list(wanted.sender),
        "expires_at": wanted.expires,
        "rate_limit": None if wanted.requests is None else {"requests": wanted.requests, "per_s": wanted.per},
        "daily": wanted.daily,
    }


def _show(path: str, wanted: Json, reach: Reach | None) -> None:
    """Have a key made, and show it once."""
    reach = reach or Reach()
    with Service(reach) as service:
        made = service.post(path, wanted)
    if reach.json:
        print_json(made)
        return
    out = console()
    told = cleaned(made)
    out.print(told["key"], soft_wrap=True)
    out.print(f"\n{told['id']}, {' and '.join(told['scopes'])}, tenant {told['tenant']}.", soft_wrap=True)
    out.print("It is shown once: keep it now. Send it as Authorization: Bearer <key>.", soft_wrap=True)


def _row(key: Mapping[str, Any]) -> Sequence[str]:
    """Return a key's cells."""
    return (
        key["id"],
        key["state"],
        " ".join(key["scopes"]),
        key["tenant"],
        key["name"],
        time_of(key["last_used_at"]),
        time_of(key["expires_at"]),
        str(key["daily"] or "any"),
        " ".join(key["senders"]) or "any",
    )
