"""What a process says of itself once it runs."""

from __future__ import annotations

from rich.markup import escape

from mailapps.roles import Started
from mailapps.settings import Settings, place, shown
from mailapps.settings_rules import points_at_emulator
from mailapps.tuning import Role, stays_here

_BODY = """{
  "from": "Shop <no-reply@shop.example>", "to": "Ann <ann@example.com>",
  "subject": "Your receipt", "text": "Thank you for your order."}"""


def banner(started: Started) -> str:
    """Return a few lines of rich markup: where everything is, and the first thing to try."""
    lines = [f"[bold]mailcore {started.role}[/bold]", *_places(started)]
    lines += _unguarded(started)
    if started.role is Role.API:
        lines.append("No e-mail is sent from here: run mailcore worker beside it.")
    if started.role is Role.SCHEDULER and stays_here(started.settings):
        lines.append("With this store every worker looks for due e-mails itself; this one sends what they leave.")
    if started.role in {Role.WORKER, Role.SCHEDULER} and (lonely := _at_emulator(started.settings)):
        verb = "points" if len(lonely) == 1 else "point"
        lines.append(escape(f"Run mailcore emulator beside it: {', '.join(lonely)} {verb} there."))
    if started.role is Role.UP:
        lines += [
            "",
            "Send an e-mail, from another terminal:",
            *_curl(started),
            "",
            "and see what became of it: mailcore show ID",
        ]
    return "\n".join([*lines, "", "[dim]Ctrl-C ends it politely.[/dim]"])


def _unguarded(started: Started) -> list[str]:
    """Return what there is to say of an API that asks nobody for a key, or knows one key alone."""
    if started.api is None:
        return []
    if started.settings.admin_key is None:
        return ["[yellow]Nobody is asked for an API key[/yellow]: every program on this machine may do everything."]
    if started.settings.key_pepper is None and not place(started.settings.bind).loopback:
        return ["There are no API keys but the admin key until MAILCORE_KEY_PEPPER_FILE is set."]
    return []


def _places(started: Started) -> list[str]:
    """Return a line for everything that has an address."""
    places = {
        "API": started.api,
        "docs": f"{started.api}/docs" if started.api else None,
        "inbox": f"{started.emulator}/" if started.emulator else None,
        "store": shown(started.settings.store),
        "queue": shown(started.settings.queue) if not stays_here(started.settings) else None,
        "providers": ", ".join(started.settings.providers),
    }
    return [f"  {name:<10}{escape(text)}" for name, text in places.items() if text]


def _at_emulator(settings: Settings) -> list[str]:
    """Return the providers that point at the emulator."""
    at = place(settings.emulator.bind)
    return [name for name, table in settings.providers.items() if points_at_emulator(table, at)]


def _curl(started: Started) -> list[str]:
    """Return the first command to try."""
    key = " -H 'Authorization: Bearer YOUR_KEY'" if started.settings.admin_key else ""
    return [escape(f"curl -i {started.api}/api/emails -H 'Content-Type: application/json'{key} -d '{_BODY}'")]
