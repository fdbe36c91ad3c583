"""Every route under /api, for the application and for its description."""

from __future__ import annotations

from typing import Final

from mailapps.api import cancelling, dead_letters, emails, erasures, keys, providers, suppressions, switches

ROUTES: Final = (
    *emails.ROUTES,
    *cancelling.ROUTES,
    *dead_letters.ROUTES,
    *providers.ROUTES,
    *switches.ROUTES,
    *suppressions.ROUTES,
    *erasures.ROUTES,
    *keys.ROUTES,
)
