"""Form bodies: urlencoded without files, else multipart/form-data with a boundary that is always the same.

Written here rather than by the HTTP library because a repeat must be byte for byte the same, and so that what
stands in a part's header is escaped by a rule that tests hold to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import count
from urllib.parse import urlencode

from msgspec import Struct

Pairs = Sequence[tuple[str, str]]


class FilePart(Struct, frozen=True, kw_only=True):
    """A file in a form."""

    field: str
    filename: str
    content_type: str
    content: bytes


def form(pairs: Pairs, files: Sequence[FilePart], seed: str) -> tuple[str, bytes]:
    """Return the content type and the body of a form; equal arguments give equal bytes.

    Args:
        seed: The boundary is derived from it.
    """
    if not files:
        return "application/x-www-form-urlencoded", urlencode(pairs).encode("ascii")
    parts = [*map(_field_part, pairs), *map(_file_part, files)]
    boundary = _boundary(seed, parts)
    delimiter = b"--" + boundary.encode("ascii")
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", body


def _field_part(pair: tuple[str, str]) -> bytes:
    """Return one value with its headers."""
    name, value = pair
    return f'Content-Disposition: form-data; name="{escaped(name)}"\r\n\r\n{value}'.encode()


def _file_part(file: FilePart) -> bytes:
    """Return one file with its headers; its name in raw UTF-8, as Mailgun does not read RFC 2231's form."""
    names = f'name="{escaped(file.field)}"; filename="{escaped(file.filename)}"'
    head = f"Content-Disposition: form-data; {names}\r\nContent-Type: {_line(file.content_type)}\r\n\r\n"
    return head.encode() + file.content


def escaped(text: str) -> str:
    """Return text as it may stand between quotes in a part's header: the HTML standard's three escapes.

    Source: HTML, "multipart/form-data encoding algorithm". Other controls cannot end a line there.
    """
    return _line(text).replace('"', "%22")


def _line(text: str) -> str:
    """Return text that cannot end the line it stands in."""
    return re.sub(r"[\r\n\x00]", lambda found: f"%{ord(found[0]):02X}", text)


def _boundary(seed: str, parts: Sequence[bytes]) -> str:
    """Return the first boundary derived from the seed that no part contains.

    Who wrote the parts may know the seed, and could else put a boundary, and so a part, into one of them.
    """
    digests = (hashlib.sha256(f"{seed}\n{attempt}".encode()).hexdigest()[:32] for attempt in count())
    return next(boundary for boundary in digests if not any(boundary.encode() in part for part in parts))
