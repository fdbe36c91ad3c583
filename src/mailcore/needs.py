"""What a checked message needs of a provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcore.message import Attachment, Message, envelope
from mailcore.provider import Feature, Needs


def needs(message: Message) -> Needs:
    """Return what a checked message needs of a provider.

    Raises:
        TypeError: The message was not checked.
    """
    who = envelope(message)
    bodies = _octets(message.text or "", message.html or "")
    return Needs(
        bytes=bodies + sum(len(attachment.content) for attachment in message.attachments),
        recipients=len(who.recipients),
        features=frozenset(_features(message)),
        sender_domain=who.sender.domain,
        headers=frozenset(name.lower() for name in message.headers),
        metadata_bytes=_octets(*message.metadata, *message.metadata.values()),
    )


def _octets(*texts: str) -> int:
    """Return the size of texts together, in bytes of UTF-8."""
    return sum(len(text.encode()) for text in texts)


def _features(message: Message) -> Iterator[Feature]:
    """Yield what a provider must be able to express."""
    who = envelope(message)
    everybody = (who.sender, *who.recipients, *who.reply_to)
    present = {
        Feature.HEADERS: bool(message.headers),
        Feature.METADATA: bool(message.metadata),
        Feature.REPLY_TO: bool(who.reply_to),
        Feature.REPLY_TO_MANY: len(who.reply_to) > 1,
        Feature.UNICODE_LOCAL: not all(one.local.isascii() for one in everybody),
        Feature.WITHOUT_TO: not who.to,
        Feature.TEXT_ONLY: not message.html,
    }
    yield from (feature for feature, there in present.items() if there)
    yield from _tag_features(message.tags)
    yield from _attachment_features(message.attachments)


def _tag_features(tags: Sequence[str]) -> Iterator[Feature]:
    """Yield what the tags need."""
    if tags:
        yield Feature.TAGS
    if len(tags) > 1:
        yield Feature.MANY_TAGS
    if not all(tag.isascii() for tag in tags):
        yield Feature.UNICODE_TAGS


def _attachment_features(attachments: Sequence[Attachment]) -> Iterator[Feature]:
    """Yield what the attachments need."""
    if any(attachment.content_id is None for attachment in attachments):
        yield Feature.ATTACHMENTS
    if any(attachment.content_id is not None for attachment in attachments):
        yield Feature.INLINE
    if not all(attachment.filename.isascii() for attachment in attachments):
        yield Feature.UNICODE_FILENAME
