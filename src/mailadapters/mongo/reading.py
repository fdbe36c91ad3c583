"""Reading single e-mails, many in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from mailadapters.documents import UnreadableError, email_from_text, message_from_bytes
from mailadapters.mongo.schema import Collection, Collections
from mailadapters.mongo.shape import MESSAGE
from mailcore.errors import EmailNotFoundError
from mailcore.lifecycle import Email, EmailId
from mailcore.stored import Fetched


class Stored(NamedTuple):
    """An e-mail that is there, or why it cannot be read; and who added it."""

    email: Email | Exception
    added_by: str


async def get_all(collections: Collections, email_ids: Sequence[EmailId]) -> Sequence[Email | Exception]:
    """Return e-mails by their ids."""
    there = await stored(collections.emails, set(email_ids))
    missing = {one: EmailNotFoundError(f"no e-mail {one}") for one in email_ids if one not in there}
    return [missing[one] if one in missing else there[one].email for one in email_ids]


async def fetch(emails: Collection, email_ids: Sequence[EmailId]) -> Mapping[EmailId, Fetched]:
    """Return those of some e-mails that can be read, with messages that lie in the same documents."""
    ids = list(email_ids)
    fetched: dict[EmailId, Fetched] = {}
    async for one in emails.find({"_id": {"$in": ids}}, {"doc": 1, MESSAGE: 1}, batch_size=len(ids) + 1):
        octets = one.get(MESSAGE)
        with suppress(UnreadableError):
            message = message_from_bytes(octets) if octets else None
            fetched[one["_id"]] = Fetched(email_from_text(one["doc"]), message)
    return fetched


async def stored(emails: Collection, email_ids: Iterable[EmailId]) -> dict[EmailId, Stored]:
    """Return those of the e-mails that there are, by their ids."""
    ids = list(email_ids)
    if not ids:
        return {}
    found = emails.find({"_id": {"$in": ids}}, {"doc": 1, "added_by": 1}, batch_size=len(ids) + 1)
    return {one["_id"]: Stored(read(one["doc"]), one.get("added_by", "")) async for one in found}


def read(doc: str) -> Email | Exception:
    """Return an e-mail, or why it cannot be read."""
    try:
        return email_from_text(doc)
    except UnreadableError as error:
        return error
