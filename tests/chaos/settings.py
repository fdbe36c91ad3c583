"""What the processes of a rig run by: as in production, or the same proportions in a fifth of the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

ADMIN_KEY = "zyxwvutsrqponmlkjihgfedcba"
"""In its file at `key`."""


class Pace(Struct, frozen=True, kw_only=True):
    """Settings that say how long things take.

    Attributes:
        lines: Of mailcore.toml.
        drain_s: So long after the last fault everything must be settled.
    """

    name: str
    lines: str
    lease: timedelta
    deadline: timedelta
    drain_s: float


USUAL = Pace(
    name="usual", lines="", lease=timedelta(seconds=60), deadline=timedelta(seconds=20), drain_s=150
)  # every default as it is

QUICK = Pace(
    name="quick",
    lines="""
lease = "11s"
call_deadline = "3s"
poll = "250ms"
sweep = "1s"
sweep_grace = "500ms"
wakeup_grace = "2s"
unknown_grace = "500ms"
retry.base = "200ms"
retry.cap = "1s"
""",
    lease=timedelta(seconds=11),
    deadline=timedelta(seconds=3),
    drain_s=150,
)

_PROVIDERS = {"sendgrid": ("/sendgrid", ""), "mailgun": ("/mailgun/v3", 'domain = "shop.example"\n')}


def written(addresses: Mapping[str, str], pace: Pace, more: str) -> str:
    """Return a mailcore.toml.

    Args:
        addresses: Of `store`, `queue`, `bind`, `metrics` and each provider's server; and the file `key`.
        pace: How long things take.
        more: Further lines.
    """
    tables = "".join(
        f'\n[providers.{name}]\nkind = "{name}"\napi_key = "key-{name}"\nbase_url = "{addresses[name]}{path}"\n{lines}'
        for name, (path, lines) in _PROVIDERS.items()
    )
    return f"""
store = "{addresses["store"]}"
queue = "{addresses["queue"]}"
bind = "{addresses["bind"]}"
metrics.bind = "{addresses["metrics"]}"
admin_key = {{ file = "{addresses["key"]}" }}
default_from = "Shop <no-reply@shop.example>"
log.format = "json"
emulator.bind = "127.0.0.1:1"
{pace.lines}{more}
{tables}"""
