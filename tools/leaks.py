"""What no file of the project or of a wheel may hold: keys that open something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

KEYS: Final = {
    "SendGrid": rb"SG\.[\w-]{22}\.[\w-]{43}",
    "Mailgun": rb"\bkey-[0-9a-f]{32}\b",
    "mailcore": rb"\bmc_(?:live|test)_[0-9A-Za-z]{8}_[0-9A-Za-z]{32,}",
    "AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub": rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{22,})",
    "PyPI": rb"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}",
    "private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "password in a URL": rb"\b(?:mongodb(?:\+srv)?|rediss?|amqps?)://[^\s:@/{}<>\"']+:(?!PASSWORD\b)[^\s@/{}<>\"'*]{12,}@",
}
_KEYS: Final = {name: re.compile(pattern) for name, pattern in KEYS.items()}


def leaks(content: bytes) -> Iterator[str]:
    """Yield what kinds of keys stand in a file."""
    return (name for name, pattern in _KEYS.items() if pattern.search(content))
