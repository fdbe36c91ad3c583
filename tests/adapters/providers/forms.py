"""A strict reader of form bodies, written apart from what builds them."""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import parse_qsl

from msgspec import Struct

_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)"\r\nContent-Type: ([^\r\n]*))?'
)
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", "%00": "\0"}


class Form(Struct):
    """What a form holds, in its order."""

    fields: dict[str, list[str]]
    files: list[tuple[str, str, str, bytes]]
    """Field, file name, content type, content."""


def read(content_type: str, body: bytes) -> Form:
    """Return what a form holds; anything that is not exactly a form is an error."""
    if content_type == "application/x-www-form-urlencoded":
        return _form(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True), [])
    boundary = re.fullmatch(r"multipart/form-data; boundary=([0-9a-f]{32})", content_type)
    assert boundary
    mark = b"--" + boundary[1].encode()
    first, *parts, last = body.split(mark)
    assert first == b""
    assert last == b"--\r\n"
    pairs: list[tuple[str, str]] = []
    files: list[tuple[str, str, str, bytes]] = []
    for part in parts:
        assert part.startswith(b"\r\n")
        assert part.endswith(b"\r\n")
        head, content = part[2:-2].split(b"\r\n\r\n", 1)
        found = _HEAD.fullmatch(head)
        assert found, head
        if found[2] is None:
            pairs.append((_unescaped(found[1]), content.decode()))
        else:
            files.append((_unescaped(found[1]), _unescaped(found[2]), _unescaped(found[3]), content))
    return _form(pairs, files)


def escape(text: str) -> str:
    """Return what is left of text that no escape can bring back: one that looks like an escape already."""
    return _unescaped(text.encode())


def _form(pairs: list[tuple[str, str]], files: list[tuple[str, str, str, bytes]]) -> Form:
    """Return a form of its pairs."""
    fields: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        fields[name].append(value)
    return Form(dict(fields), files)


def _unescaped(raw: bytes) -> str:
    """Return text without the escapes of a part's header."""
    return re.sub("%22|%0D|%0A|%00", lambda found: _ESCAPES[found[0]], raw.decode())
