"""What a provider said, made fit to be stored: no keys, no full addresses, no controls, not long."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from mailcore.outcome import Accepted, Outcome
from mailcore.secret import MASK

LONGEST_DETAIL = 500
LONGEST_CODE = 64
LONGEST_ID = 255

# What is looked at. Masking shortens an address to no less than a twelfth, so that what is kept of a cut
# text never reaches its end, where half an address could stand unmasked.
_LOOKED_AT = 12 * LONGEST_DETAIL

# Bounded repeats: the time stays linear. An at sign may come percent-encoded, in a URL for example.
_ADDRESS = re.compile(r'("[^"\n]{1,64}"|[^\s<>"\'(),;:\[\]@%]{1,64})(?:@|%40)([^\s<>"\'(),;:\[\]@%]{1,255})')

_CONTROLS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def scrubbed(outcome: Outcome, secrets: Iterable[str]) -> Outcome:
    """Return an outcome whose texts carry none of the secrets, no full address, and fit the store."""
    known = tuple(secrets)
    detail = scrubbed_text(outcome.detail, known)
    if isinstance(outcome, Accepted):
        return replace(outcome, detail=detail, provider_id=_kept(outcome.provider_id))
    return replace(outcome, detail=detail, code=scrubbed_text(outcome.code, known)[:LONGEST_CODE])


def scrubbed_text(text: str, secrets: Iterable[str]) -> str:
    """Return text on one line without secrets, addresses as ``j***@example.com``, at most 500 long."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    line = _CONTROLS.sub(" ", text).strip()
    return _ADDRESS.sub(_masked, line[:_LOOKED_AT])[:LONGEST_DETAIL]


def _masked(found: re.Match[str]) -> str:
    """Return an address of which only the first character of the local part and the domain are shown."""
    local = found[1].lstrip('"')
    return f"{local[:1]}{MASK}@{found[2]}"


def _kept(provider_id: str | None) -> str | None:
    """Return an id as it came, or None for one that no provider makes."""
    if provider_id is None or len(provider_id) > LONGEST_ID or not provider_id.isprintable():
        return None
    return provider_id
