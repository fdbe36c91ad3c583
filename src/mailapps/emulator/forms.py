"""Forms as browsers and SDKs post them, `multipart/form-data` (RFC 7578) and urlencoded: bytes to fields."""

from __future__ import annotations

import re
from email.message import Message as HeaderBlock
from email.parser import HeaderParser
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
# What the HTML standard escapes in a name, and the backslashes of older senders.
_ESCAPE = re.compile(r"%(22|0D|0A|00)|\\(.)", re.IGNORECASE)


class Upload(Struct, frozen=True, kw_only=True):
    """A part of a form that carries a file. Without a filename it is None, and Mailgun loses it."""

    field: str
    filename: str | None
    content_type: str
    content: bytes


class Form(Struct, frozen=True):
    """The text fields of a form, in their order and with repeats, and its files."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[Upload, ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field."""
        return tuple(value for field, value in self.fields if field == name)

    def one(self, name: str) -> str | None:
        """Return the last value of a field, or None if the form has none."""
        return next(reversed(self.all(name)), None)

    def prefixed(self, prefix: str) -> tuple[tuple[str, str], ...]:
        """Return the fields whose name starts so, without the prefix."""
        return tuple((name.removeprefix(prefix), value) for name, value in self.fields if name.startswith(prefix))


def parse_form(content_type: str, body: bytes, *, files: frozenset[str]) -> Form:
    """Return the form in a body; an unknown content type or a broken body is an empty form.

    Args:
        content_type: The request's header.
        body: The request's bytes.
        files: The fields that hold files even if their part names no file.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return Form(tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    boundary = _BOUNDARY.search(content_type)
    if media_type != "multipart/form-data" or boundary is None:
        return Form()
    return _multipart(body, (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape"), files)


def _multipart(body: bytes, boundary: bytes, files: frozenset[str]) -> Form:
    """Return the form in a multipart body."""
    fields: list[tuple[str, str]] = []
    uploads: list[Upload] = []
    for part in _parts(body, boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
        name = _parameter(headers, "name") or ""
        filename = _parameter(headers, "filename")
        if filename is None and name not in files:
            fields.append((name, content.decode("utf-8", "replace")))
        else:
            kind = " ".join(str(headers.get("content-type", "application/octet-stream")).split())
            uploads.append(Upload(field=name, filename=filename, content_type=kind, content=content))
    return Form(tuple(fields), tuple(uploads))


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """Return the parts between the boundaries, without the line breaks around them."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    return [piece.removeprefix(b"\r\n") for piece in pieces[1:] if not piece.startswith(b"--")]


def _parameter(headers: HeaderBlock, name: str) -> str | None:
    """Return a parameter of the part's Content-Disposition.

    Read by hand: browsers and SDKs write UTF-8 and percent-escaped quotes there, which RFC 2231 garbles.
    """
    disposition = str(headers.get("content-disposition", ""))
    extended = re.search(rf";\s*{name}\*=(?:utf-8|UTF-8)''([^;\s]+)", disposition)
    plain = re.search(rf';\s*{name}="((?:[^"\\]|\\.)*)"', disposition) or re.search(
        rf";\s*{name}=([^;\s]+)", disposition
    )
    if extended:
        return unquote(extended[1])
    return plain and _ESCAPE.sub(lambda found: unquote(found[0]) if found[1] else found[2], plain[1])
