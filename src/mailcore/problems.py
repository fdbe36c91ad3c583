"""What can be wrong with a text: the closed list of codes, and the checks that all fields share.

Every check is one pass over the text with a single character class, so that none grows faster than its input.
"""

from __future__ import annotations

import re
from enum import StrEnum

from mailcore.errors import Problem

DETAIL_LENGTH = 240
"""A detail is never longer than this, whatever the caller wrote."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_BODY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_PLAIN_NAME = re.compile("[A-Za-z0-9_.-]{1,64}")
# RFC 2047 section 2. A reader would decode it to another text than the author wrote, CR LF included.
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,64}\?[bBqQ]\?")


class ProblemCode(StrEnum):
    """Why a part of a message is refused. The list only grows."""

    REQUIRED = "required"
    """Nothing stands where something must."""

    WRONG_TYPE = "wrong_type"
    """A value of another type than the field takes."""

    UNKNOWN_FIELD = "unknown_field"
    """A field that nothing here has; often a misspelling."""

    INVALID_CHOICE = "invalid_choice"
    """Not one of the words that the field takes."""

    INVALID_BASE64 = "invalid_base64"
    """Not base64 with its padding (RFC 4648 section 4)."""

    INVALID_TIME = "invalid_time"
    """Not a time as RFC 3339 writes it, with its offset."""

    TOO_LONG = "too_long"
    """A text has more characters (an address: octets) than the table of limits allows."""

    TOO_LARGE = "too_large"
    """A body, or all attachments together, have more bytes than the table of limits allows."""

    TOO_MANY = "too_many"
    """A list has more items than the table of limits allows; its items were not looked at."""

    CONTROL_CHARACTER = "control_character"
    """A line break, NUL or other control character in a text that must be one line."""

    NOT_UNICODE = "not_unicode"
    """A lone surrogate: half of a character, which no encoding can carry."""

    BIDI_OVERRIDE = "bidi_override"
    """A character that turns the reading direction, so that the text shows as another one."""

    ENCODED_WORD = "encoded_word"
    """``=?utf-8?q?…?=``: write the text itself, it is encoded on its way."""

    INVALID_ADDRESS = "invalid_address"
    """Not one address of the form ``local@domain`` or ``Name <local@domain>``."""

    MIXED_SCRIPTS = "mixed_scripts"
    """One label of a domain mixes Latin, Greek, Cyrillic or Armenian letters, which look alike."""

    INVALID_FILENAME = "invalid_filename"
    """A file name with a path, a leading dot, or a name that a system keeps for itself."""

    INVALID_CONTENT_TYPE = "invalid_content_type"
    """Not a media type of the form ``type/subtype``, or one that holds other parts."""

    INVALID_CONTENT_ID = "invalid_content_id"
    """Not a word that the HTML can name as ``cid:…``."""

    INVALID_NAME = "invalid_name"
    """A header's name or a metadata key with characters that it may not have."""

    RESERVED_HEADER = "reserved_header"
    """A header that mailcore or the provider sets from a field of the message."""

    RESERVED_KEY = "reserved_key"
    """A metadata key under which mailcore puts its own id at the providers."""

    DUPLICATE = "duplicate"
    """The same header, tag or content_id twice."""

    SUPPRESSED = "suppressed"
    """A recipient that must not be written to, by the suppression list."""

    NO_OFFSET = "no_offset"
    """A time without an offset from UTC."""

    OUT_OF_RANGE = "out_of_range"
    """A time that is too far ahead, in the past, or in the wrong order with another."""

    INVALID_KEY = "invalid_key"
    """An idempotency key that is not 1 to 255 printable ASCII characters."""


def problem(pointer: str, code: ProblemCode, detail: str) -> Problem:
    """Return a problem whose detail is cut to a length that can be logged and shown."""
    cut = detail if len(detail) <= DETAIL_LENGTH else f"{detail[: DETAIL_LENGTH - 1]}…"
    return Problem(pointer, code, cut)


def below(pointer: str, name: str) -> str:
    """Return the JSON pointer to a member (RFC 6901).

    It goes into logs and answers: a name is cut to 64 characters, and what could break a line becomes ``?``.
    """
    if _PLAIN_NAME.fullmatch(name):
        return f"{pointer}/{name}"
    shown = _SURROGATE.sub("?", _CONTROL.sub("?", name[:64]))
    return f"{pointer}/{shown.replace('~', '~0').replace('/', '~1')}"


def line_problem(text: str, pointer: str, limit: int) -> Problem | None:
    """Return the first reason why a text cannot stand in a header line, or None.

    Args:
        limit: The most characters that it may have.
    """
    if len(text) > limit:
        return problem(pointer, ProblemCode.TOO_LONG, f"at most {limit} characters, this has {len(text)}")
    if text.isascii() and text.isprintable() and "=?" not in text:
        return None  # as nearly all are: none of the searches below finds anything
    if found := _CONTROL.search(text):
        return problem(pointer, ProblemCode.CONTROL_CHARACTER, f"holds the control character {_named(found)}")
    if _ENCODED_WORD.search(text):
        return problem(pointer, ProblemCode.ENCODED_WORD, "write the text itself: it is encoded on its way")
    return _surrogate_problem(text, pointer)


def shown_problem(text: str, pointer: str, limit: int) -> Problem | None:
    """Return the first reason why a text cannot be shown to people as a name, or None."""
    if wrong := line_problem(text, pointer, limit):
        return wrong
    if text.isascii():
        return None
    if found := _BIDI.search(text):
        return problem(pointer, ProblemCode.BIDI_OVERRIDE, f"holds {_named(found)}, which turns what is shown")
    return None


def body_problem(text: str, pointer: str, limit: int) -> Problem | None:
    """Return the first reason why a text cannot be a body, or None.

    Args:
        limit: The most bytes of UTF-8 that it may have.
    """
    if len(text) > limit or (not text.isascii() and len(text.encode("utf-8", "replace")) > limit):
        return problem(pointer, ProblemCode.TOO_LARGE, f"at most {limit} bytes of UTF-8")
    if found := _CONTROL_IN_BODY.search(text):
        return problem(pointer, ProblemCode.CONTROL_CHARACTER, f"holds the control character {_named(found)}")
    return None if text.isascii() else _surrogate_problem(text, pointer)


def _surrogate_problem(text: str, pointer: str) -> Problem | None:
    """Return the problem of a text that no encoding can carry, or None."""
    if found := _SURROGATE.search(text):
        return problem(pointer, ProblemCode.NOT_UNICODE, f"holds {_named(found)}, half a character")
    return None


def _named(found: re.Match[str]) -> str:
    """Return a character by its code point: its own form could break the line that reports it."""
    return f"U+{ord(found.group()):04X}"
