"""Which e-mails a caller asks for: filters from a query string or a body, checked, as the store's Query. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl

from msgspec import Meta, Struct, convert, field
from msgspec.structs import asdict

from mailapps.api.problems import ShapeCode, invalid
from mailcore.addresses import parse
from mailcore.errors import Problem
from mailcore.lifecycle import Reason, Status
from mailcore.message import Lane
from mailcore.ports import Query
from mailcore.problems import ProblemCode, below
from mailcore.shape import MOST, Json, shape_problems

Aware = Annotated[datetime, Meta(tz=True)]
Word = Annotated[str, Meta(max_length=998)]

LONGEST: Final = 1000
"""So many dead letters are redriven by one request."""

_TIMES: Final = ("created_after", "created_before")
_MOST_PARAMETERS: Final = 100
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_TRUTH: Final = {"true": True, "false": False}


class Filters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which e-mails; every filter that is given must hold.

    Attributes:
        to: A recipient's address.
        provider: Some attempt went there.
        metadata: Pairs that must all be there; ``metadata=order:42`` in a query string, as often as needed.
        created_after: Created at that time or later.
        created_before: Created before that time.
    """

    reason: Reason | None = None
    to: Word | None = None
    tag: Word | None = None
    provider: Word | None = None
    lane: Lane | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    possible_duplicate: bool | None = None
    created_after: Aware | None = None
    created_before: Aware | None = None


class DeadLetterListing(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters, and which part of their list.

    Attributes:
        limit: How many at most.
        after: The `next_cursor` of the part before.
    """

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    after: Annotated[str, Meta(max_length=256)] | None = None


class Listing(DeadLetterListing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which e-mails, and which part of their list."""

    status: Status | None = None


class Redrive(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"all_": "all"}):
    """Which dead letters to queue again; at least one filter must be given, or `all` be true.

    Attributes:
        all_: All that the other filters find; without any, all that there are.
        dry_run: Only count them.
        limit: How many at most, the newest first; ask again for the rest.
    """

    all_: bool = False
    dry_run: bool = False
    limit: Annotated[int, Meta(ge=1, le=LONGEST)] = LONGEST

    def problems(self, now: datetime) -> Iterator[Problem]:  # noqa: ARG002 - as every body has it
        """Yield what is wrong with the filters, or that there is none."""
        if not self.all_:
            yield from filterless(self, 'or say "all": true, to queue every dead letter again')
        yield from filter_problems(self, "/")


Asked = TypeVar("Asked", bound=Struct)


def from_query_string(query_string: bytes, kind: type[Asked]) -> Asked:
    """Return what a query string asks for.

    Raises:
        RefusedError: A parameter is unknown, wrong or there twice; names every one.
    """
    try:
        pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        detail = f"a query has {_MOST_PARAMETERS} parameters at most"
        raise invalid([Problem("query:", ProblemCode.TOO_MANY, detail)]) from error
    value, found = _gathered(pairs)
    found += [_in_query(one) for one in islice(shape_problems(value, kind), MOST)]
    if found:
        raise invalid(found)
    return convert(value, kind)


def query_for(filters: Filters, *, place: str, status: Status | None = None, tenant: str | None = None) -> Query:
    """Return the store's query of checked filters.

    Args:
        place: Where the filters stood, in front of their names: ``query:`` or ``/``.
        status: The status that all must have.
        tenant: Whose all must be; None for anybody's.

    Raises:
        RefusedError: `to` is no address, or a time is outside the calendar.
    """
    if found := tuple(filter_problems(filters, place)):
        raise invalid(found)
    return Query(
        tenant=tenant,
        status=status,
        reason=filters.reason,
        lane=filters.lane,
        to=_normal(filters.to),
        tag=filters.tag,
        provider=filters.provider,
        metadata=filters.metadata,
        possible_duplicate=filters.possible_duplicate,
        created_after=filters.created_after and filters.created_after.astimezone(UTC),
        created_before=filters.created_before and filters.created_before.astimezone(UTC),
    )


def filterless(asked: Filters, otherwise: str) -> Iterator[Problem]:
    """Yield the problem of doing something to every e-mail for want of a filter.

    Args:
        otherwise: What else the caller may say.
    """
    given = {name: value for name, value in asdict(asked).items() if name not in {"all_", "dry_run", "limit"}}
    if all(value is None or value == {} for value in given.values()):
        yield Problem("", ProblemCode.REQUIRED, f"give at least one filter; {otherwise}")


def _gathered(pairs: list[tuple[str, str]]) -> tuple[dict[str, Json], list[Problem]]:
    """Return parameters by name as a body would have them, and the problems of those that cannot be."""
    value: dict[str, Json] = {}
    metadata: dict[str, Json] = {}
    found: list[Problem] = []
    for name, text in pairs:
        if name == "metadata":
            key, colon, wanted = text.partition(":")
            found += [] if colon else [Problem("query:metadata", ProblemCode.WRONG_TYPE, "expected key:value")]
            metadata[key] = wanted
        elif name in value:
            found.append(Problem(f"query:{below('', name)[1:]}", ShapeCode.REPEATED, "stands twice"))
        else:
            value[name] = _typed(name, text)
    if metadata:
        value["metadata"] = metadata
    return value, found


def _typed(name: str, text: str) -> Json:
    """Return a parameter's text as the type that JSON would give it; as text where it cannot be."""
    if name == "possible_duplicate":
        return _TRUTH.get(text, text)
    if name == "limit":
        return int(text) if _DIGITS.fullmatch(text) else text
    # a plus that was not escaped arrives as a space
    return text.replace(" ", "+") if name in _TIMES else text


def _in_query(one: Problem) -> Problem:
    """Return a problem of a body as one of the query string."""
    return Problem(f"query:{one.pointer[1:]}", one.code, one.detail)


def _normal(to: str | None) -> str | None:
    """Return an address as recipients are stored."""
    address = parse(to, "") if to is not None else None
    return None if address is None or isinstance(address, Problem) else address.email


def filter_problems(filters: Filters, place: str) -> Iterator[Problem]:
    """Yield what is wrong with the meaning of filters."""
    yield from _address_problems(filters, place)
    yield from _time_problems(filters, place)


def _address_problems(filters: Filters, place: str) -> Iterator[Problem]:
    """Yield what is wrong with the recipient's address."""
    address = parse(filters.to, f"{place}to") if filters.to is not None else None
    if isinstance(address, Problem):
        yield address


def _time_problems(filters: Filters, place: str) -> Iterator[Problem]:
    """Yield the times that are outside the calendar in UTC."""
    times: Mapping[str, datetime | None] = {name: getattr(filters, name) for name in _TIMES}
    for name, at in times.items():
        try:
            _ = at and at.astimezone(UTC)
        except OverflowError:
            yield Problem(f"{place}{name}", ProblemCode.OUT_OF_RANGE, "the calendar ends before it")
