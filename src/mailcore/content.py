"""What may stand in a message beside its addresses and times: one checker for each field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from mailcore.errors import Problem
from mailcore.message import OUR_ID, Attachment, Limits, Message
from mailcore.problems import ProblemCode, below, body_problem, line_problem, problem, shown_problem

# RFC 5322 section 3.6.8: printable ASCII but the colon. 76 leaves room for the colon in a line of 78.
_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_RESERVED_HEADERS = frozenset(
    (
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "return-path",
        "received",
        "dkim-signature",
    ),
)
_RESERVED_PREFIXES = ("arc-", "content-", "resent-")
_METADATA_KEY = re.compile(r"[^$.\x00-\x1f\x7f-\x9f][^.\x00-\x1f\x7f-\x9f]*")
_TOKEN = r"[A-Za-z0-9!#$&^_+.-]+"  # noqa: S105  RFC 6838 section 4.2, no secret
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_PARAMETER = re.compile(rf' *{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]*") *')
_MEDIA_TYPE_LENGTH = 127
# What every provider takes and a form field's file name can carry (Mailgun names inline parts by it).
_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=-]{0,77}")
_PATH = re.compile(r"[/\\]|^[A-Za-z]:|%(?:2[eEfF]|5[cC]|00)")
# A form writes a quote and a line break so (HTML, "multipart/form-data encoding algorithm"), and a reader undoes it.
_ESCAPE = re.compile(r"%(?:22|0[aAdD])")
# Windows opens a device whatever the extension.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def content_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield everything that is wrong with a message's content, in the order of its fields."""
    if wrong := _subject_problem(message.subject, limits):
        yield wrong
    yield from _body_problems(message, limits)
    if message.attachments:
        yield from _attachments_problems(message, limits)
    if message.headers:
        yield from _headers_problems(message, limits)
    if message.tags:
        yield from _tags_problems(message, limits)
    if message.metadata:
        yield from _metadata_problems(message, limits)


def _too_many(count: int, limit: int, pointer: str) -> Problem:
    """Return the problem of a list that is too long for its items to be looked at."""
    return problem(pointer, ProblemCode.TOO_MANY, f"at most {limit}, there are {count}")


def _repeats(names: Sequence[str]) -> set[int]:
    """Return the positions of names that stand before, too."""
    if len(names) == len(set(names)):
        return set()  # as of most messages
    first: dict[str, int] = {}
    return {at for at, name in enumerate(names) if first.setdefault(name, at) != at}


def _subject_problem(subject: str, limits: Limits) -> Problem | None:
    """Return what is wrong with the subject."""
    if not subject or subject.isspace():
        return problem("/subject", ProblemCode.REQUIRED, "a subject is required")
    return line_problem(subject, "/subject", limits.subject_length)


def _body_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the bodies."""
    if not message.text and not message.html:
        yield problem("/text", ProblemCode.REQUIRED, "a message needs a body: write text or html, or both")
    if message.text and (wrong := body_problem(message.text, "/text", limits.body_bytes)):
        yield wrong
    if message.html and (wrong := body_problem(message.html, "/html", limits.body_bytes)):
        yield wrong


def _attachments_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the attachments, together and each."""
    attachments = message.attachments
    if len(attachments) > limits.attachments:
        yield _too_many(len(attachments), limits.attachments, "/attachments")
        return
    size = sum(len(attachment.content) for attachment in attachments)
    if size > limits.attachment_bytes:
        detail = f"at most {limits.attachment_bytes} bytes together once decoded, these have {size}"
        yield problem("/attachments", ProblemCode.TOO_LARGE, detail)
    for at, attachment in enumerate(attachments):
        yield from _attachment_problems(attachment, f"/attachments/{at}", limits)
    inline = [(at, one.content_id) for at, one in enumerate(attachments) if one.content_id is not None]
    for at in _repeats([content_id for _, content_id in inline]):
        pointer = f"/attachments/{inline[at][0]}/content_id"
        yield problem(pointer, ProblemCode.DUPLICATE, "another attachment has this content_id")


def _attachment_problems(attachment: Attachment, pointer: str, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with one attachment."""
    if wrong := _filename_problem(attachment.filename, f"{pointer}/filename", limits):
        yield wrong
    if not _is_media_type(attachment.content_type):
        detail = "must be type/subtype in ASCII, parameters after a semicolon; multipart is refused"
        yield problem(f"{pointer}/content_type", ProblemCode.INVALID_CONTENT_TYPE, detail)
    if not attachment.content:
        yield problem(f"{pointer}/content", ProblemCode.REQUIRED, "an empty file is refused by providers")
    if attachment.content_id is not None and not _CONTENT_ID.fullmatch(attachment.content_id):
        detail = "at most 78 of A-Z a-z 0-9 . _ @ + = -, the first a letter or digit, without angle brackets"
        yield problem(f"{pointer}/content_id", ProblemCode.INVALID_CONTENT_ID, detail)


def _filename_problem(filename: str, pointer: str, limits: Limits) -> Problem | None:
    """Return what is wrong with a file name: it is refused, never mended behind the author's back."""
    if not filename:
        return problem(pointer, ProblemCode.REQUIRED, "a file name is required")
    if wrong := shown_problem(filename, pointer, limits.filename_length):
        return wrong
    plain = unicodedata.normalize("NFKC", filename)
    if _PATH.search(plain):
        return problem(pointer, ProblemCode.INVALID_FILENAME, "must be a name without a path")
    if _ESCAPE.search(plain):
        return problem(pointer, ProblemCode.INVALID_FILENAME, "must not hold %22, %0A or %0D, which are read as others")
    if plain[0] in ". " or plain[-1] in ". ":
        return problem(pointer, ProblemCode.INVALID_FILENAME, "must not begin or end with a dot or a space")
    if _DEVICE.fullmatch(plain):
        return problem(pointer, ProblemCode.INVALID_FILENAME, "must not be the name of a device")
    return None


def _is_media_type(text: str) -> bool:
    """Return whether it is a media type that can stand in a header, parameters included."""
    kind, *parameters = text[: _MEDIA_TYPE_LENGTH + 1].split(";")
    return (
        len(text) <= _MEDIA_TYPE_LENGTH
        and bool(_MEDIA_TYPE.fullmatch(kind))
        and not kind.lower().startswith("multipart/")
        and all(_PARAMETER.fullmatch(parameter) for parameter in parameters)
    )


def _headers_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the extra headers."""
    if len(message.headers) > limits.headers:
        yield _too_many(len(message.headers), limits.headers, "/headers")
        return
    repeats = _repeats([name.lower() for name in message.headers])
    for at, (name, value) in enumerate(message.headers.items()):
        pointer = below("/headers", name)
        if wrong := _header_name_problem(name, pointer):
            yield wrong
        if wrong := _header_value_problem(value, pointer, limits):
            yield wrong
        if at in repeats:
            yield problem(pointer, ProblemCode.DUPLICATE, "this header is there already, in another case")


def _header_name_problem(name: str, pointer: str) -> Problem | None:
    """Return what is wrong with a header's name."""
    if not _HEADER_NAME.fullmatch(name):
        detail = "a header's name is 1 to 76 of printable ASCII but the colon"
        return problem(pointer, ProblemCode.INVALID_NAME, detail)
    if name.lower() in _RESERVED_HEADERS or name.lower().startswith(_RESERVED_PREFIXES):
        return problem(pointer, ProblemCode.RESERVED_HEADER, "this header is set from other fields")
    return None


def _header_value_problem(value: str, pointer: str, limits: Limits) -> Problem | None:
    """Return what is wrong with a header's value."""
    if not value.strip(" "):
        return problem(pointer, ProblemCode.REQUIRED, "a header needs a value")
    return line_problem(value, pointer, limits.header_length)


def _tags_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the tags."""
    if len(message.tags) > limits.tags:
        yield _too_many(len(message.tags), limits.tags, "/tags")
        return
    repeats = _repeats(message.tags)
    for at, tag in enumerate(message.tags):
        pointer = f"/tags/{at}"
        if not tag.strip(" "):
            yield problem(pointer, ProblemCode.REQUIRED, "a tag must not be empty")
        if wrong := line_problem(tag, pointer, limits.tag_length):
            yield wrong
        if at in repeats:
            yield problem(pointer, ProblemCode.DUPLICATE, "this tag is there already")


def _metadata_problems(message: Message, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the metadata."""
    if len(message.metadata) > limits.metadata:
        yield _too_many(len(message.metadata), limits.metadata, "/metadata")
        return
    for key, value in message.metadata.items():
        pointer = below("/metadata", key)
        if wrong := _metadata_key_problem(key, pointer, limits):
            yield wrong
        if wrong := line_problem(value, pointer, limits.metadata_length):
            yield wrong


def _metadata_key_problem(key: str, pointer: str, limits: Limits) -> Problem | None:
    """Return what is wrong with a metadata key: a store could read it as an operator or a path, or it is ours."""
    if wrong := line_problem(key, pointer, limits.metadata_key_length):
        return wrong
    if not _METADATA_KEY.fullmatch(key):
        detail = "a key is not empty, has no dot and does not begin with $"
        return problem(pointer, ProblemCode.INVALID_NAME, detail)
    if key.lower() == OUR_ID:
        detail = "mailcore puts the e-mail's id under this key at the providers: choose another"
        return problem(pointer, ProblemCode.RESERVED_KEY, detail)
    return None
