"""What tells one submission from another: its fingerprint, its key, and the id made of the key."""

from __future__ import annotations

import hashlib
import re
from base64 import b32hexencode
from collections.abc import Mapping
from functools import cache

from msgspec import Struct, msgpack
from msgspec.structs import FieldInfo, fields

from mailcore.errors import InvalidMessageError
from mailcore.message import Message
from mailcore.problems import ProblemCode, problem

KEY_POINTER = "header:Idempotency-Key"
"""Where a wrong key stands: in no body, so this is no JSON pointer and can be mistaken for none."""

_FINGERPRINT_VERSION = "1"
_KEY = re.compile(r"[ -~]{1,255}")
_ID_BYTES = 16


def fingerprint(message: Message) -> str:
    """Return what is equal for equal messages, as they were written: before `checked` and any default.

    The order of keys, a default that was written out and the offset of a time make no difference. The version
    in front changes with the form that is hashed, so that an old one is never taken for another message's.
    """
    canonical = msgpack.encode(_written(message), order="deterministic")
    return f"{_FINGERPRINT_VERSION}:{hashlib.sha256(canonical).hexdigest()}"


def checked_key(key: str) -> str:
    """Return an idempotency key that may be used.

    Raises:
        InvalidMessageError: It is not 1 to 255 printable ASCII characters.
    """
    if _KEY.fullmatch(key):
        return key
    detail = "an idempotency key is 1 to 255 printable ASCII characters"
    raise InvalidMessageError([problem(KEY_POINTER, ProblemCode.INVALID_KEY, detail)])


def email_id_for_key(tenant: str, key: str) -> str:
    """Return the id of the one e-mail that this tenant's key can name; as long as an id from a UUID.

    The lengths stand before the texts, so that no pair of tenant and key reads as another.
    """
    parts = [text.encode() for text in (tenant, key)]
    prefixed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"em_{base32hex(hashlib.sha256(prefixed).digest()[:_ID_BYTES])}"


def base32hex(octets: bytes) -> str:
    """Return lower-case base32hex without padding (RFC 4648 section 7), which sorts as the bytes do."""
    return b32hexencode(octets).decode("ascii").rstrip("=").lower()


def _written(struct: Struct) -> Mapping[str, object]:
    """Return the fields that say something, by name.

    One that says what its default says is left out, so that a field added later changes no old fingerprint.
    """
    return {
        field.encode_name: _canonical(value)
        for field in _fields(type(struct))
        if (value := getattr(struct, field.name)) and value != field.default
    }


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    """Return the fields of a Struct; msgspec reads its annotations anew at every call."""
    return fields(kind)


def _canonical(value: object) -> object:
    """Return a value as msgpack writes it the same way every time (it writes aware times as instants)."""
    if isinstance(value, Struct):
        return _written(value)
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- items of any type
    return value
