"""Adding and saving e-mails, many in one round trip, each with its own result even if the answer is lost.

A bulk write tells only how many documents it found. So every write carries a token that no other has, and if fewer
were found than asked for, the tokens that are stored by then tell whose save won. The same goes for a connection that
broke before the answer came: what is found counts, as far as no failover can take it back; what is not is unknown,
for it may still be on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure

from mailadapters.mongo import contents
from mailadapters.mongo.faults import LOST
from mailadapters.mongo.reading import Stored, stored
from mailadapters.mongo.schema import Collections
from mailadapters.mongo.shape import MESSAGE, Document, new_document, update
from mailcore.errors import EmailNotFoundError, StaleEmailError, StoreUnavailableError
from mailcore.lifecycle import Email, EmailId
from mailcore.stored import SMALL, Added

_NOT_KNOWN: Final = "the connection was lost: whether the e-mail was written is not known"


class New(NamedTuple):
    """An e-mail to be added, its message, and who adds it: a token that no other call has."""

    email: Email
    content: bytes
    token: str
    document: Document


def new(email: Email, content: bytes, token: str) -> New:
    """Return what to add; an e-mail that cannot be written raises here, where its caller is."""
    return New(email, content, token, new_document(email, token, content if len(content) <= SMALL else None))


class Next(NamedTuple):
    """The next version of an e-mail, and who saves it: a token that no other call has."""

    email: Email
    token: str
    change: UpdateOne


def next_version(email: Email, token: str) -> Next:
    """Return what to save: a write that wins if the stored version is the one before."""
    change = UpdateOne({"_id": email.id, "version": email.version - 1}, update(email, token))
    return Next(email, token, change)


class Mark(NamedTuple):
    """Whose version of an e-mail is stored; a tombstone has none."""

    version: int | None
    changed_by: str | None


async def add_all(collections: Collections, additions: Sequence[New]) -> Sequence[Added | Exception]:
    """Add e-mails; the first of those that share an id is the one."""
    firsts: dict[EmailId, New] = {}
    for new in additions:
        firsts.setdefault(new.email.id, new)
    there = await _added(collections, firsts)
    return [_answer(new, firsts[new.email.id], there) for new in additions]


def _answer(new: New, first: New, there: Mapping[EmailId, Stored]) -> Added | Exception:
    """Return what one caller is told."""
    holder = there.get(new.email.id, Stored(first.email, first.token))
    if isinstance(holder.email, Exception):
        return holder.email
    return Added(holder.email, fresh=new is first and holder.added_by == first.token)


async def _added(collections: Collections, additions: Mapping[EmailId, New]) -> Mapping[EmailId, Stored]:
    """Add e-mails of different ids; return those that were there, or of which it is not known."""
    apart = {email_id: new for email_id, new in additions.items() if MESSAGE not in new.document}
    taken = await contents.put(collections.contents, {one: new.content for one, new in apart.items()})
    there = await stored(collections.emails, taken)
    named = {email_id: apart[email_id] for email_id in taken - there.keys()}
    await contents.put(collections.contents, {new.token: new.content for new in named.values()})
    late = await _inserted(collections, [_document(new, named) for one, new in additions.items() if one not in there])
    strays = [apart[one] for one in late.keys() & apart if late[one].added_by not in {"", apart[one].token}]
    if strays:
        names = {new.token if new.email.id in named else new.email.id: new.content for new in strays}
        await contents.remove(collections.contents, names)
    return {**there, **late}


async def _inserted(collections: Collections, new: Sequence[Document]) -> dict[EmailId, Stored]:
    """Insert e-mails; return those that were there already, and after a lost answer all."""
    if not new:
        return {}
    try:
        taken = await contents.inserted(collections.emails, new)
        found = await stored(collections.emails, taken)
    except ConnectionFailure:
        taken = {document["_id"] for document in new}
        found = await stored(collections.emails_confirmed, taken)
    unknown = Stored(StoreUnavailableError(_NOT_KNOWN), "")
    return {email_id: found.get(email_id, unknown) for email_id in taken}


def _document(new: New, named: Mapping[EmailId, New]) -> Document:
    """Return an e-mail's document, which says where its message is if that has a name of its own."""
    return {**new.document, "content": new.token} if new.email.id in named else new.document


async def save_all(collections: Collections, saves: Sequence[Next]) -> Sequence[Exception | None]:
    """Replace e-mails by their next versions; one that is no longer the version before is left alone."""
    answers: dict[str, Exception | None] = {}
    left = saves
    while left:
        leading: dict[EmailId, Next] = {}
        for save in left:
            leading.setdefault(save.email.id, save)
        answers |= await _saved(collections, list(leading.values()))
        left = [save for save in left if save.token not in answers]
        beaten = [save for save in left if _beaten(save, leading[save.email.id], answers)]
        answers |= {save.token: _stale(save) for save in beaten}
        left = [save for save in left if save.token not in answers]
    return [answers[save.token] for save in saves]


def _beaten(save: Next, leading: Next, answers: Mapping[str, Exception | None]) -> bool:
    """Return whether a save cannot win any more because another of its flight has won."""
    return answers[leading.token] is None and save.email.version <= leading.email.version


async def _saved(collections: Collections, saves: Sequence[Next]) -> dict[str, Exception | None]:
    """Save e-mails of different ids; return by their tokens what to tell each."""
    known = True
    try:
        result = await collections.emails.bulk_write([save.change for save in saves], ordered=False)
        if result.matched_count == len(saves):
            return dict.fromkeys((save.token for save in saves), None)
    except LOST as error:
        if isinstance(error, BulkWriteError) and error.details.get("writeConcernErrors"):
            raise
        known = False
    marks = await _marks(collections, saves)
    return {save.token: _verdict(save, marks.get(save.email.id), known=known) for save in saves}


async def _marks(collections: Collections, saves: Sequence[Next]) -> dict[EmailId, Mark]:
    """Return whose versions are stored, as far as no failover can take them back."""
    ids = [save.email.id for save in saves]
    fields = {"version": 1, "changed_by": 1}
    found = collections.emails_confirmed.find({"_id": {"$in": ids}}, fields, batch_size=len(ids) + 1)
    return {one["_id"]: Mark(one.get("version"), one.get("changed_by")) async for one in found}


def _verdict(save: Next, mark: Mark | None, *, known: bool) -> Exception | None:
    """Return what became of a save, going by whose version is stored.

    Args:
        known: The server has answered, so that a save that is not there never will be.
    """
    if mark is not None and mark.changed_by == save.token:
        return None
    if mark is None or mark.version is None:
        return EmailNotFoundError(f"no e-mail {save.email.id}")
    if mark.version < save.email.version and not known:
        return StoreUnavailableError(_NOT_KNOWN)
    return _stale(save)


def _stale(save: Next) -> StaleEmailError:
    """Return what to tell a save that came too late."""
    return StaleEmailError(f"{save.email.id} is not version {save.email.version - 1} any more")
