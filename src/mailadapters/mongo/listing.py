"""Lists, newest first, by any filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mailadapters.documents import UnreadableError, email_from_text, millis
from mailadapters.mongo.schema import Collection
from mailadapters.mongo.shape import DOUBTFUL, LISTED, RARE, Document, listed, pair
from mailcore.lifecycle import Email, EmailId
from mailcore.ports import Query

Place = tuple[int, EmailId]


class Found(NamedTuple):
    """What was found, how many could not be read, and where to go on; None at the end."""

    emails: Sequence[Email]
    unreadable: int
    after: str | None


async def find(emails: Collection, query: Query, behind: str | None, limit: int) -> Found:
    """Return at most so many e-mails from behind a place on, newest first."""
    order = _order(query)
    cursor = emails.find(_filter(query, behind), {"doc": 1, order: 1}, batch_size=limit + 1)
    documents = [one async for one in cursor.sort(order, -1).limit(limit)]
    found: list[Email] = []
    for document in documents:
        try:
            found.append(email_from_text(document["doc"]))
        except UnreadableError:
            continue
    after = documents[-1][order] if len(documents) == limit else None
    return Found(found, len(documents) - len(found), after)


async def count(emails: Collection, query: Query) -> int:
    """Return how many e-mails a query finds."""
    return await emails.count_documents(_filter(query, None))


def _order(query: Query) -> str:
    """Return the field that a list goes by: that of the rare e-mails it asks for, if it does."""
    if query.possible_duplicate:
        return DOUBTFUL
    return RARE.get(query.status, LISTED) if query.status is not None else LISTED


def _filter(query: Query, behind: str | None) -> Document:
    """Return the conditions that must all hold."""
    conditions: Document = {_order(query): _span(query, behind)}
    conditions.update(_compared(query))
    conditions.update(_contained(query))
    return conditions


def _span(query: Query, behind: str | None) -> Mapping[str, str]:
    """Return between which places in the list to look."""
    ends = [behind] if behind is not None else []
    if query.created_before is not None:
        ends.append(listed(millis(query.created_before), ""))
    start = listed(millis(query.created_after), "") if query.created_after is not None else ""
    return {"$gte": start, "$lt": min(ends)} if ends else {"$gte": start}


def _compared(query: Query) -> Iterator[tuple[str, Any]]:
    """Yield the conditions on single fields."""
    named = {"tenant": query.tenant, "status": query.status, "reason": query.reason, "lane": query.lane}
    yield from ((name, str(value)) for name, value in named.items() if value is not None)
    if query.possible_duplicate is False:
        yield DOUBTFUL, {"$exists": False}


def _contained(query: Query) -> Iterator[tuple[str, Any]]:
    """Yield the conditions on lists within the document."""
    named = {"recipients": query.to, "tags": query.tag, "providers": query.provider}
    yield from ((name, value) for name, value in named.items() if value is not None)
    if query.metadata:
        yield "metadata", {"$all": [pair(key, value) for key, value in query.metadata.items()]}
