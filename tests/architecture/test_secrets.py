"""No secret is compared by ==, nor looked for by `in`: both tell by their time where two texts differ."""

from __future__ import annotations

import ast
from pathlib import Path

SECRET_WORDS = {
    "admin_key",
    "api_key",
    "bearer",
    "digest",
    "digest_of",
    "key_pepper",
    "password",
    "pepper",
    "reveal",
    "secret",
}
OPERATORS = ast.Eq | ast.NotEq | ast.In | ast.NotIn


def compared_secrets(source: str) -> list[int]:
    """Return the lines on which something that sounds like a secret is compared, or looked for."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, OPERATORS) for op in node.ops):
            lines += [node.lineno] if any(map(sounds_secret, (node.left, *node.comparators))) else []
    return lines


def sounds_secret(side: ast.expr) -> bool:
    """Whether a side of a comparison is named like a secret, or called for one."""
    named = side.func if isinstance(side, ast.Call) else side
    name = getattr(named, "id", None) or getattr(named, "attr", None)
    inner = named.value if isinstance(named, ast.Attribute) and isinstance(side, ast.Call) else None
    return name in SECRET_WORDS or (inner is not None and sounds_secret(inner))


def test_no_secret_is_compared_by_equality() -> None:
    """hmac.compare_digest takes the same time wherever two secrets differ; == does not."""
    sources = sorted(Path("src").rglob("*.py"))

    found = {str(path): lines for path in sources if (lines := compared_secrets(path.read_text(encoding="utf-8")))}

    assert sources
    assert found == {}


def test_a_secret_compared_by_equality_would_be_found() -> None:
    """The search sees names, attributes and calls on them, on either side; None is no secret."""
    source = (
        "a == config.admin_key\nkey.reveal() != b\nx == 1\nkey.digest in y\nb == key.reveal().encode()\nbearer is None"
    )

    assert compared_secrets(source) == [1, 2, 4, 5]
