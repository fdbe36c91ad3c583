"""What a checked message needs of a provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcore.message import Attachment, Envelope, Message
from mailcore.provider import Feature, Needs


def needs(message: Message, who: Envelope) -> Needs:
    """Return what a checked message to these people needs of a provider."""
    size = _octets(message.text or "") + _octets(message.html or "")
    if message.attachments:
        size += sum(len(attachment.content) for attachment in message.attachments)
    return Needs(
        bytes=size,
        recipients=len(who.recipients),
        features=frozenset(_features(message, who)),
        sender_domain=who.sender.domain,
        headers=frozenset(map(str.lower, message.headers)),
        metadata_bytes=_octets("".join((*message.metadata, *message.metadata.values()))),
    )


def _octets(text: str) -> int:
    """Return the size of a text in bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _features(message: Message, who: Envelope) -> Iterator[Feature]:
    """Yield what a provider must be able to express."""
    if message.headers:
        yield Feature.HEADERS
    if message.metadata:
        yield Feature.METADATA
    if not message.html:
        yield Feature.TEXT_ONLY
    yield from _envelope_features(who)
    if message.tags:
        yield from _tag_features(message.tags)
    if message.attachments:
        yield from _attachment_features(message.attachments)


def _envelope_features(who: Envelope) -> Iterator[Feature]:
    """Yield what authors and recipients need."""
    if not who.to:
        yield Feature.WITHOUT_TO
    if who.reply_to:
        yield Feature.REPLY_TO
    if len(who.reply_to) > 1:
        yield Feature.REPLY_TO_MANY
    everybody = (who.sender, *who.recipients, *who.reply_to)
    if [one for one in everybody if not (one.email.isascii() or one.local.isascii())]:
        yield Feature.UNICODE_LOCAL


def _tag_features(tags: Sequence[str]) -> Iterator[Feature]:
    """Yield what the tags need."""
    yield Feature.TAGS
    if len(tags) > 1:
        yield Feature.MANY_TAGS
    if not all(map(str.isascii, tags)):
        yield Feature.UNICODE_TAGS


def _attachment_features(attachments: Sequence[Attachment]) -> Iterator[Feature]:
    """Yield what the attachments need."""
    if any(attachment.content_id is None for attachment in attachments):
        yield Feature.ATTACHMENTS
    if any(attachment.content_id is not None for attachment in attachments):
        yield Feature.INLINE
    if not all(attachment.filename.isascii() for attachment in attachments):
        yield Feature.UNICODE_FILENAME
