"""mailcore: hand it a message, and one of several e-mail providers takes it.

Everything named here is public; nothing else is, but `mailcore.provider` (for authors of providers) and
`mailcore.testing` (for tests). The names load when they are first used, so that `import mailcore` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailcore.appeal import Resolution
    from mailcore.assembly import Tuning, open  # noqa: A004 - `mailcore.open` reads like the built-in that it resembles
    from mailcore.attempt import Attempt
    from mailcore.engine import Pace
    from mailcore.errors import (
        CapReachedError,
        ConflictError,
        EmailNotFoundError,
        InvalidMessageError,
        KeyReusedError,
        MailError,
        NoProviderCanCarryError,
        Problem,
        QueueUnavailableError,
        SettingsError,
        StaleEmailError,
        StoreUnavailableError,
        SuppressedError,
        UnavailableError,
    )
    from mailcore.lifecycle import Email, Reason, Status
    from mailcore.mailer import Explanation, Mailer
    from mailcore.message import Address, Attachment, Lane, Message, OnUnknown
    from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown
    from mailcore.ports import Configured, Query
    from mailcore.rules import Rules
    from mailcore.stored import Added, Page
    from mailcore.suppression import Grounds, Suppression, SuppressionPage
    from mailcore.suppression_list import SuppressionList

_HOMES = {
    "appeal": ["Resolution"],
    "assembly": ["Tuning", "open"],
    "attempt": ["Attempt"],
    "engine": ["Pace"],
    "errors": [
        "CapReachedError",
        "ConflictError",
        "EmailNotFoundError",
        "InvalidMessageError",
        "KeyReusedError",
        "MailError",
        "NoProviderCanCarryError",
        "Problem",
        "QueueUnavailableError",
        "SettingsError",
        "StaleEmailError",
        "StoreUnavailableError",
        "SuppressedError",
        "UnavailableError",
    ],
    "lifecycle": ["Email", "Reason", "Status"],
    "mailer": ["Explanation", "Mailer"],
    "message": ["Address", "Attachment", "Lane", "Message", "OnUnknown"],
    "outcome": ["Accepted", "Deferred", "Misconfigured", "Outcome", "Rejected", "Scope", "Throttled", "Unknown"],
    "ports": ["Added", "Configured", "Page", "Query"],
    "rules": ["Rules"],
    "suppression": ["Grounds", "Suppression", "SuppressionPage"],
    "suppression_list": ["SuppressionList"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Accepted",
    "Added",
    "Address",
    "Attachment",
    "Attempt",
    "CapReachedError",
    "Configured",
    "ConflictError",
    "Deferred",
    "Email",
    "EmailNotFoundError",
    "Explanation",
    "Grounds",
    "InvalidMessageError",
    "KeyReusedError",
    "Lane",
    "MailError",
    "Mailer",
    "Message",
    "Misconfigured",
    "NoProviderCanCarryError",
    "OnUnknown",
    "Outcome",
    "Pace",
    "Page",
    "Problem",
    "Query",
    "QueueUnavailableError",
    "Reason",
    "Rejected",
    "Resolution",
    "Rules",
    "Scope",
    "SettingsError",
    "StaleEmailError",
    "Status",
    "StoreUnavailableError",
    "SuppressedError",
    "Suppression",
    "SuppressionList",
    "SuppressionPage",
    "Throttled",
    "Tuning",
    "UnavailableError",
    "Unknown",
    "open",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used.

    Raises:
        AttributeError: There is no such public name.
    """
    if name not in _HOME_OF:
        message = f"module 'mailcore' has no attribute '{name}'"
        raise AttributeError(message)
    return getattr(import_module(f"mailcore.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
