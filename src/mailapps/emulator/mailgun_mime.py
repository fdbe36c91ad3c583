"""Mailgun's `messages.mime`: a message that its sender has built himself, read as the form that would say the same.

So the rules and the words of the form hold for both. Who gets it is said by the form's own `to`; the recipients in
the message's head are only shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message as Part
from typing import Final

from mailapps.emulator.forms import Form, Upload

MESSAGE: Final = "message"
_FIELDS: Final = {"from": "from", "subject": "subject", "reply-to": "h:Reply-To"}
_OF_THE_FORM: Final = frozenset({"to", "cc", "bcc", "date", "message-id", "mime-version"})
_TEXTS: Final = {"text/plain": "text", "text/html": "html"}


def unpacked(form: Form) -> Form:
    """Return the form that says the same; a message that is not there or cannot be read says nothing."""
    content = next((one.content for one in form.files if one.field == MESSAGE), b"")
    kept = tuple((name, value) for name, value in form.fields if name == "to" or name.startswith(("o:", "v:")))
    try:
        message = message_from_bytes(content)
        leaves = [part for part in message.walk() if not part.is_multipart()]
    except RecursionError:
        return Form(kept)
    texts = [part for part in leaves if _is_text(part)]
    files = tuple(_upload(part) for part in leaves if not _is_text(part))
    return Form((*kept, *_head(message), *((_TEXTS[part.get_content_type()], _text(part)) for part in texts)), files)


def _head(message: Part) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form for what stands in a message's head."""
    for name, value in message.items():
        lowered, unfolded = name.lower(), "".join(str(value).splitlines())
        if lowered in {"from", "reply-to"}:
            yield _FIELDS[lowered], unfolded
        elif lowered not in _OF_THE_FORM and not lowered.startswith("content-"):
            yield _FIELDS.get(lowered, f"h:{name}"), decoded(unfolded)


def decoded(text: str) -> str:
    """Return a text without the encoded words of RFC 2047; what is not decodable stays as it is."""
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError, HeaderParseError):
        return text


def _is_text(part: Part) -> bool:
    """Whether a part is the message's text or HTML, rather than a file."""
    return part.get_content_type() in _TEXTS and part.get_content_disposition() is None


def _bytes(part: Part) -> bytes:
    """Return what a part holds."""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Part) -> str:
    """Return a part's text; an unknown charset is read as UTF-8."""
    try:
        return _bytes(part).decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return _bytes(part).decode("utf-8", "replace")


def _upload(part: Part) -> Upload:
    """Return a part that is a file; one with a content id is shown inside the HTML."""
    content_id = str(part.get("content-id", "")).strip("<> ")
    return Upload(
        field="inline" if content_id else "attachment",
        filename=content_id or part.get_filename(),
        content_type=part.get_content_type(),
        content=_bytes(part),
    )
