"""E-mails, messages, health, switches, API keys and suppressions as documents, and back: what the stores share.

Readers are tolerant, so that two releases can run side by side: fields that this release does not know are left
out, and fields that an older release did not write take their defaults. What still cannot be understood, such
as a status of a newer release, is an UnreadableError, which stores count and pass over in lists.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import fields, replace

from mailcore.errors import StoreUnavailableError
from mailcore.health import Health
from mailcore.keys import ApiKey, ApiKeys
from mailcore.lifecycle import Email, EmailId, Reason, Status
from mailcore.message import Address, Attachment, Message
from mailcore.suppression import Grounds, Suppression
from mailcore.switches import Switch, Switches

T = TypeVar("T", bound=Struct)

STATUSES: Final = frozenset(str(status) for status in Status)
REASONS: Final = frozenset(str(reason) for reason in Reason)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NATIVE: Final = (datetime, bytes)
_FAR: Final = 2**63
"""Beyond what stores hold; a cursor from far off is nobody's."""
_LISTS: Final = ("to", "cc", "bcc", "reply_to", "attachments", "tags")

_json: Final = msgspec.json.Encoder()
_msgpack: Final = msgspec.msgpack.Encoder()
_email: Final = msgspec.json.Decoder(Email)
_health: Final = msgspec.json.Decoder(Health)
_key: Final = msgspec.json.Decoder(ApiKey)
_suppression: Final = msgspec.json.Decoder(Suppression)
_switch: Final = msgspec.json.Decoder(Switch)
_message: Final = msgspec.msgpack.Decoder(Message)


class UnreadableError(StoreUnavailableError):
    """A stored document says something that this release does not understand."""


def millis(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970, the rest cut off."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Return the moment of so many milliseconds since 1970."""
    return _EPOCH + milliseconds * _MILLISECOND


def email_text(email: Email) -> str:
    """Return an e-mail as one line of JSON."""
    return _json.encode(email).decode()


def email_from_text(text: str | bytes) -> Email:
    """Return the e-mail of a JSON document.

    Raises:
        UnreadableError: This release does not understand it.
    """
    try:
        return _email.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable("an e-mail", error) from error


def email_document(email: Email) -> dict[str, Any]:
    """Return an e-mail as plain values, its moments as they are."""
    document: dict[str, Any] = msgspec.to_builtins(email, builtin_types=(datetime,))
    return document


def email_from_document(document: Mapping[str, Any]) -> Email:
    """Return the e-mail of plain values.

    Raises:
        UnreadableError: This release does not understand it.
    """
    try:
        return msgspec.convert(document, Email, builtin_types=(datetime,))
    except msgspec.ValidationError as error:
        raise _unreadable("an e-mail", error) from error


def message_bytes(message: Message) -> bytes:
    """Return a message as MessagePack: attachments stay bytes."""
    return _msgpack.encode(message)


def message_from_bytes(octets: bytes) -> Message:
    """Return the message of a MessagePack document.

    Raises:
        UnreadableError: This release does not understand it.
    """
    try:
        return _tupled(_message.decode(octets))
    except msgspec.ValidationError:  # most likely a field of a newer release: Message itself forbids those
        return message_from_document(_document(octets))
    except msgspec.DecodeError as error:
        raise _unreadable("a message", error) from error


def _document(octets: bytes) -> dict[str, Any]:
    """Return the plain values of a MessagePack document."""
    try:
        return msgspec.msgpack.decode(octets, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise _unreadable("a message", error) from error


def message_document(message: Message) -> dict[str, Any]:
    """Return a message as plain values, its moments and bytes as they are."""
    document: dict[str, Any] = msgspec.to_builtins(message, builtin_types=_NATIVE)
    return document


def message_from_document(document: Mapping[str, Any]) -> Message:
    """Return the message of plain values.

    Raises:
        UnreadableError: This release does not understand it.
    """
    known = _known(document, Message)
    try:
        files = msgspec.convert(document.get("attachments", ()), list[dict[str, Any]], builtin_types=_NATIVE)
        known["attachments"] = [_known(one, Attachment) for one in files]
        return _tupled(msgspec.convert(known, Message, builtin_types=_NATIVE))
    except msgspec.ValidationError as error:
        raise _unreadable("a message", error) from error


def health_text(health: Health) -> str:
    """Return a provider's health as one line of JSON."""
    return _json.encode(health).decode()


def health_from_text(text: str | bytes) -> Health:
    """Return the health of a JSON document.

    Raises:
        UnreadableError: This release does not understand it.
    """
    try:
        return _health.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable("a provider's health", error) from error


def key_text(key: ApiKey) -> str:
    """Return an API key as one line of JSON."""
    return _json.encode(key).decode()


def keys_from_texts(texts: Iterable[str | bytes]) -> ApiKeys:
    """Return the API keys of JSON documents; one that this release does not understand opens nothing here."""
    keys: dict[str, ApiKey] = {}
    for text in texts:
        with suppress(msgspec.DecodeError):
            key = _key.decode(text)
            keys[key.id] = key
    return keys


def switches_from_texts(texts: Mapping[str, str | bytes]) -> tuple[Switches, int]:
    """Return the switches of JSON documents by their names, and how many this release does not understand."""
    switches: dict[str, Switch] = {}
    for name, text in texts.items():
        with suppress(msgspec.DecodeError):
            switches[name] = _switch.decode(text)
    return switches, len(texts) - len(switches)


class SuppressionRow(Struct, frozen=True, array_like=True):
    """A suppression as it is stored: what queries compare, and the rest as one line of JSON.

    Attributes:
        ends: In milliseconds since 1970; None if it does not.
    """

    tenant: str
    mailbox: str
    ends: int | None
    doc: str


def suppression_row(one: Suppression) -> SuppressionRow:
    """Return a suppression as it is stored."""
    ends = None if one.expires_at is None else millis(one.expires_at)
    return SuppressionRow(one.tenant, one.mailbox, ends, _json.encode(one).decode())


def suppressions_from_rows(rows: Iterable[SuppressionRow]) -> tuple[tuple[Suppression, ...], int]:
    """Return stored suppressions, and how many of them this release does not understand.

    Those count all the same: nobody is written to because a newer release knows one reason more not to.
    """
    read = [(_read_suppression(row), row) for row in rows]
    return tuple(one or _unread_suppression(row) for one, row in read), sum(one is None for one, _ in read)


def _read_suppression(row: SuppressionRow) -> Suppression | None:
    """Return a suppression as it was said; None if this release does not understand it."""
    try:
        return _suppression.decode(row.doc)
    except msgspec.DecodeError:
        return None


def _unread_suppression(row: SuppressionRow) -> Suppression:
    """Return what is known of a suppression whose document is not understood."""
    return Suppression(
        tenant=row.tenant,
        address=row.mailbox,
        reason=Grounds.MANUAL,
        source="another release of mailcore, in words that this one does not know",
        created_at=_EPOCH,
        expires_at=None if row.ends is None else moment(row.ends),
    )


def cursor(created_at: int, email_id: EmailId) -> str:
    """Return a place in a list as opaque text.

    Args:
        created_at: In milliseconds since 1970.
    """
    return urlsafe_b64encode(f"{created_at}.{email_id}".encode()).decode().rstrip("=")


def place(cursor: str) -> tuple[int, EmailId]:
    """Return the place in a list that a cursor stands for.

    Raises:
        ValueError: It is no cursor.
    """
    padded = cursor + "=" * (-len(cursor) % 4)
    moment, dot, email_id = urlsafe_b64decode(padded.encode("ascii")).decode().partition(".")
    created_at = int(moment)
    if not dot or not email_id or not -_FAR < created_at < _FAR:
        raise ValueError("not a cursor of this list")
    return created_at, email_id


def _known(document: Mapping[str, Any], kind: type[T]) -> dict[str, Any]:
    """Return the fields of a document that this release has."""
    return {field.encode_name: document[field.encode_name] for field in fields(kind) if field.encode_name in document}


def _tupled(message: Message) -> Message:
    """Return a message whose sequences are tuples, as a checked one's are."""
    written: dict[str, Any] = {name: getattr(message, name) for name in _LISTS}
    lists = {name: tuple(value) for name, value in written.items() if not isinstance(value, str | Address | tuple)}
    return replace(message, **lists) if lists else message


def _unreadable(what: str, error: Exception) -> UnreadableError:
    """Return what to raise for a document, without repeating what stands in it."""
    return UnreadableError(f"{what} in the store was written by another release and cannot be read: {error}")
