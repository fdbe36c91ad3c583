"""Reading single e-mails and their contents, many in one step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Final

import apsw
import msgspec

from mailadapters.documents import UnreadableError, email_from_text, message_from_bytes
from mailadapters.sqlite.rows import json_text, run
from mailcore.errors import EmailNotFoundError
from mailcore.lifecycle import Email, EmailId
from mailcore.message import Message
from mailcore.stored import SMALL, Fetched

FOUND: Final = """
    SELECT group_concat(id || ' ' || doc, char(10)) FROM (
        SELECT id, doc FROM emails WHERE id IN (SELECT value FROM json_each(?1))
        UNION ALL SELECT id, doc FROM tombstones WHERE id IN (SELECT value FROM json_each(?1))
    )
"""
_FETCHED: Final = """
    SELECT json_group_array(json_array(id, emails.doc, CASE WHEN length(contents.doc) <= ?2 THEN hex(contents.doc) END))
    FROM emails LEFT JOIN contents USING (seq) WHERE id IN (SELECT value FROM json_each(?1))
"""
"""Small messages come along as hexadecimal digits, so that all is one step."""
_CONTENT: Final = "SELECT contents.doc FROM emails JOIN contents USING (seq) WHERE emails.id = ?"


_rows = msgspec.json.Decoder(list[tuple[EmailId, str, str | None]])


def stored(db: apsw.Connection, email_ids: Collection[EmailId]) -> dict[EmailId, Email | Exception]:
    """Return those of the e-mails that there are, or what is left of them; an error for one that cannot be read."""
    return emails_in(run(db, FOUND, (json_text(email_ids),)))


def emails_in(found: str | None) -> dict[EmailId, Email | Exception]:
    """Return the e-mails that FOUND found."""
    parted = (line.partition(" ") for line in found.split("\n")) if found else ()
    return {email_id: _read(doc) for email_id, _, doc in parted}


def fetch_all(db: apsw.Connection, wanted: Sequence[Sequence[EmailId]]) -> Sequence[dict[EmailId, Fetched] | Exception]:
    """Return those of some e-mails that can be read, with small messages; all callers' in one step."""
    ids = [email_id for some in wanted for email_id in some]
    there = dict(_fetched(run(db, _FETCHED, (json_text(ids), SMALL))))
    return [{one: there[one] for one in some if one in there} for some in wanted]


def _fetched(rows: str) -> Iterator[tuple[EmailId, Fetched]]:
    """Yield what _FETCHED found and can be read."""
    for email_id, doc, octets in _rows.decode(rows):
        with suppress(UnreadableError):
            message = None if octets is None else message_from_bytes(bytes.fromhex(octets))
            yield email_id, Fetched(email_from_text(doc), message)


def get_all(db: apsw.Connection, email_ids: Sequence[EmailId]) -> Sequence[Email | Exception]:
    """Return e-mails by their ids."""
    there = stored(db, set(email_ids))
    return [there.get(email_id) or EmailNotFoundError(f"no e-mail {email_id}") for email_id in email_ids]


def content_all(db: apsw.Connection, email_ids: Sequence[EmailId]) -> Sequence[Message | Exception]:
    """Return messages by their e-mails' ids, one step each: they may be large."""
    return [_content(db, email_id) for email_id in email_ids]


def _content(db: apsw.Connection, email_id: EmailId) -> Message | Exception:
    """Return one message."""
    octets: bytes | None = run(db, _CONTENT, (email_id,))
    if octets is None:
        return EmailNotFoundError(f"no content of {email_id}")
    try:
        return message_from_bytes(octets)
    except UnreadableError as error:
        return error


def _read(doc: str) -> Email | Exception:
    """Return an e-mail, or why it cannot be read."""
    try:
        return email_from_text(doc)
    except UnreadableError as error:
        return error
