"""No key that opens anything is in the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tools.leaks import KEYS, leaks

KNOWN = {
    "docs/reference/http-api.md": ["mailcore"],  # examples that are run, each in a memory that was gone a moment later
    "tests/adapters/providers/tls/server.key": ["private key"],  # of the tests' own servers; nothing else trusts it
}

# Put together here, so that this file holds none of them whole.
EXAMPLES = {
    "SendGrid": "SG" + "." + "a" * 22 + "." + "B" * 43,
    "Mailgun": "key" + "-" + "0123456789abcdef" * 2,
    "mailcore": "mc" + "_live_" + "k" * 8 + "_" + "S" * 43,
    "AWS": "AKIA" + "A" * 16,
    "GitHub": "ghp" + "_" + "a" * 36,
    "PyPI": "pypi" + "-AgEIcHlwaS5vcmc" + "a" * 60,
    "private key": "-----BEGIN EC PRIVATE" + " KEY-----",
    "password in a URL": "mongodb://admin:" + "correct-horse-battery" + "@db.example/mail",
}


def test_no_tracked_file_holds_a_key() -> None:
    """What was committed once is known for good."""
    files = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")

    found = {name: list(leaks(Path(name).read_bytes())) for name in files if name and Path(name).is_file()}

    assert len(found) > 100
    assert {name: kinds for name, kinds in found.items() if kinds} == KNOWN


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_each_kind_would_be_found(kind: str) -> None:
    """The search above knows what it looks for."""
    assert list(leaks(f"api_key = '{EXAMPLES[kind]}'\n".encode())) == [kind]
