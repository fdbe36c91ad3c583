"""What may be asked of the suppression list, checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from mailapps.api.filters import Aware, Word
from mailapps.api.key_rules import is_ahead
from mailcore.addresses import mailbox, parse
from mailcore.errors import Problem
from mailcore.message import Address
from mailcore.problems import ProblemCode, line_problem
from mailcore.suppression import Grounds, Suppression

MOST: Final = 500
"""So many addresses are suppressed by one request."""

SOURCE_LENGTH: Final = 100


class NewSuppression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that must not be written to, as it is given and exported.

    Attributes:
        address: It names a mailbox: neither case nor another form of its letters gets past it.
        reason: Why: `bounced`, `complained`, `unsubscribed` or `manual`.
        source: Who says so, for people; the caller's key if it is empty. One line, at most 100 characters.
        expires_at: When it ends by itself; null if it does not.
    """

    address: str
    reason: Grounds = Grounds.MANUAL
    source: str = ""
    expires_at: Aware | None = None

    def problems(self, pointer: str, now: datetime) -> Iterator[Problem]:
        """Yield what is wrong with an entry, in the order of its fields."""
        address = parse(self.address, f"{pointer}/address")
        if isinstance(address, Problem):
            yield address
        if wrong := line_problem(self.source, f"{pointer}/source", SOURCE_LENGTH):
            yield wrong
        if self.expires_at is not None and not is_ahead(self.expires_at, now):
            yield Problem(f"{pointer}/expires_at", ProblemCode.OUT_OF_RANGE, "must be ahead, and within the calendar")


class NewSuppressions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses that must not be written to: all of them are kept, or none.

    Attributes:
        suppressions: 1 to 500; each takes the place of what was said of its mailbox before.
    """

    suppressions: tuple[NewSuppression, ...]

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Yield what is wrong with each entry; of too many none is looked at."""
        if not self.suppressions:
            yield Problem("/suppressions", ProblemCode.REQUIRED, "name at least one address")
        elif len(self.suppressions) > MOST:
            detail = f"at most {MOST} at once, this has {len(self.suppressions)}"
            yield Problem("/suppressions", ProblemCode.TOO_MANY, detail)
        else:
            for at, one in enumerate(self.suppressions):
                yield from one.problems(f"/suppressions/{at}", now)


class SuppressionListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which suppressions, and which part of their list.

    Attributes:
        address: That of this mailbox alone.
        limit: How many at most.
        after: The `next_cursor` of the part before.
    """

    address: Word | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    after: Annotated[str, Meta(max_length=1024)] | None = None


def drafted(data: NewSuppressions, tenant: str, by: str, now: datetime) -> list[Suppression]:
    """Return what was asked for, and has no problems, as suppressions; of several of one mailbox the last.

    Args:
        by: Who says it where no source is named.
    """
    made = [
        Suppression(
            tenant=tenant,
            address=address.email,
            reason=one.reason,
            source=one.source or by,
            created_at=now,
            expires_at=one.expires_at and one.expires_at.astimezone(UTC),
        )
        for one in data.suppressions
        if isinstance(address := parse(one.address, ""), Address)
    ]
    return list({one.mailbox: one for one in made}.values())


def unshortened(drafts: Iterable[Suppression], known: Mapping[str, Suppression]) -> list[Suppression]:
    """Return suppressions none of which ends before the known one of its mailbox: to end one early is to lift it."""
    return [replace(one, expires_at=_later(one, known.get(one.mailbox))) for one in drafts]


def _later(one: Suppression, other: Suppression | None) -> datetime | None:
    """Return when the later of two suppressions ends; None if that never does."""
    ends = [each.expires_at for each in (one, other) if each is not None]
    return None if None in ends else max(end for end in ends if end is not None)


def mailbox_of(written: str) -> str | None:
    """Return what an address is compared by; None if it is no address."""
    address = parse(written, "")
    return mailbox(address) if isinstance(address, Address) else None
