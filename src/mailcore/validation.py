"""From what an author wrote to a message that can be sent: all its problems at once, or its normal form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, islice

from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import fields, replace

from mailcore.addresses import parse, unrepeated
from mailcore.content import content_problems
from mailcore.errors import InvalidMessageError, Problem
from mailcore.message import LIMITS, Address, Addresses, Limits, Message
from mailcore.problems import ProblemCode, problem
from mailcore.shape import MOST, mended, shape_problems

_RECIPIENTS = ("/to", "/cc", "/bcc")
_NOBODY = ((), (), ())
_MILLISECOND = timedelta(milliseconds=1)
_HELD = (bytes, datetime)
_BUFFERS = (*_HELD, bytearray, memoryview)
_AUTHOR_LENGTH = 320
"""A longer one is read anew each time: what is remembered must not grow with what is sent."""
_ORDER = {field.encode_name: at for at, field in enumerate(fields(Message))}
_OF_NAMES = frozenset((ProblemCode.INVALID_NAME, ProblemCode.RESERVED_HEADER))

Parsed = tuple[Address, ...]
Recipients = tuple[Parsed, Parsed, Parsed]
"""To, cc and bcc."""


def checked(
    message: Message,
    *,
    now: datetime,
    default_from: Address | None = None,
    limits: Limits = LIMITS,
) -> Message:
    """Return the message in its normal form, which checked again is itself.

    Every address is an Address, in tuples and none twice (to goes before cc before bcc); headers and metadata
    are plain dicts; times are in UTC and whole milliseconds; an empty body is None.

    Args:
        default_from: Stands in for a `from` that was not written.

    Raises:
        InvalidMessageError: With everything that is wrong, in the order of the message's fields.
        TypeError: A value of a type that no message holds.
    """
    plain = to_builtins(message, builtin_types=_BUFFERS, enc_hook=_plain)
    try:
        # A copy that shares nothing that can change. One built by hand may hold `tags="receipt"`, a sequence too.
        message = convert(plain, Message, builtin_types=_HELD)
    except ValidationError as error:
        found = problems_of(plain, now=now, default_from=default_from, limits=limits, held=_HELD)
        raise InvalidMessageError(found) from error
    sender = _sender(message.from_ if message.from_ is not None else default_from, limits)
    problems = [sender] if isinstance(sender, Problem) else []
    recipients = _recipients(message, limits, problems)
    reply_to = _address_list(message.reply_to, "/reply_to", limits, problems)
    problems += content_problems(message, limits)
    problems += _time_problems(message, now, limits)
    if problems or isinstance(sender, Problem):
        raise InvalidMessageError(problems)
    return _normal(message, sender, recipients, reply_to)


def problems_of(
    value: object,
    *,
    now: datetime,
    default_from: Address | None = None,
    limits: Limits = LIMITS,
    held: tuple[type, ...] = (),
) -> list[Problem]:
    """Return everything that is wrong with what should be a message: in its shape, and in what could be read of it.

    Args:
        value: What JSON gave, or as plain.
        held: Types beyond JSON's that stand as themselves.
    """
    found = list(islice(shape_problems(value, Message, held=held), MOST))
    if all(one.pointer for one in found):  # else it is no object at all
        sound = convert(mended(value, Message, held=held), Message, builtin_types=held)
        found += _unmended(sound, {one.pointer for one in found}, now=now, default_from=default_from, limits=limits)
    return sorted(found, key=lambda one: _ORDER.get(one.pointer.split("/")[1] if one.pointer else "", len(_ORDER)))


def _unmended(
    message: Message, misshapen: AbstractSet[str], *, now: datetime, default_from: Address | None, limits: Limits
) -> Iterator[Problem]:
    """Yield what is wrong with the meaning of a mended message, but not with the words that it was mended by."""
    try:
        checked(message, now=now, default_from=default_from, limits=limits)
    except InvalidMessageError as error:
        yield from (one for one in error.problems if one.pointer not in misshapen or one.code in _OF_NAMES)


def _plain(value: object) -> object:
    """Return a mapping or sequence of any kind as the plain one."""
    match value:
        case Mapping():
            return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- any
        case Sequence():
            return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- any
        case _:
            detail = f"a message holds no {type(value).__name__}"
            raise TypeError(detail)


def _normal(message: Message, sender: Address, recipients: Recipients, reply_to: Parsed) -> Message:
    """Return a message without problems in its normal form."""
    to, cc, bcc = unrepeated(*recipients)
    return replace(
        message,
        from_=sender,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=unrepeated(reply_to)[0],
        text=message.text or None,
        html=message.html or None,
        attachments=tuple(message.attachments),
        headers={name: value.strip(" ") for name, value in message.headers.items()},
        tags=tuple(message.tags),
        scheduled_at=_in_utc(message.scheduled_at, up=True),
        expires_at=_in_utc(message.expires_at, up=False),
    )


def _sender(written: str | Address | None, limits: Limits) -> Address | Problem:
    """Return the one author, or why there is none."""
    if written is None:
        return problem("/from", ProblemCode.REQUIRED, "a from is required: no default_from is configured")
    short = isinstance(written, str) and len(written) <= _AUTHOR_LENGTH
    return _author(written, limits) if short else parse(written, "/from", limits)


@lru_cache(maxsize=1024)
def _author(written: str, limits: Limits) -> Address | Problem:
    """Return the author of a short text, or why it is none: the same few recur, as recipients do not."""
    return parse(written, "/from", limits)


def _recipients(message: Message, limits: Limits, problems: list[Problem]) -> Recipients:
    """Return who must get the message, by field, and add what is wrong with them; too many are not parsed."""
    written = (_listed(message.to), _listed(message.cc), _listed(message.bcc))
    count = sum(map(len, written))
    if count == 0:
        problems.append(problem("/to", ProblemCode.REQUIRED, "one of to, cc and bcc must name a recipient"))
        return _NOBODY
    if count > limits.recipients:
        detail = f"at most {limits.recipients} recipients in to, cc and bcc together, there are {count}"
        problems.append(problem(_crossing(written, limits), ProblemCode.TOO_MANY, detail))
        return _NOBODY
    return (
        _address_list(message.to, "/to", limits, problems),
        _address_list(message.cc, "/cc", limits, problems),
        _address_list(message.bcc, "/bcc", limits, problems),
    )


def _crossing(written: Sequence[Sequence[str | Address]], limits: Limits) -> str:
    """Return the pointer of the field in which there come to be too many recipients."""
    counts = accumulate(map(len, written))
    return next(at for at, count in zip(_RECIPIENTS, counts, strict=True) if count > limits.recipients)


def _listed(written: Addresses) -> Sequence[str | Address]:
    """Return one address or many as many."""
    return (written,) if isinstance(written, (str, Address)) else written


def _address_list(written: Addresses, pointer: str, limits: Limits, problems: list[Problem]) -> Parsed:
    """Return the addresses, and add why others are none; one that stands alone is pointed to by its field."""
    if not written and not isinstance(written, str):
        return ()  # as most fields of most messages are
    if isinstance(written, (str, Address)):
        read = [parse(written, pointer, limits)]
    elif len(written) > limits.recipients:
        read = [problem(pointer, ProblemCode.TOO_MANY, f"at most {limits.recipients}, there are {len(written)}")]
    else:
        read = [parse(one, f"{pointer}/{at}", limits) for at, one in enumerate(written)]
    problems += [one for one in read if isinstance(one, Problem)]
    return tuple([one for one in read if isinstance(one, Address)])


def _time_problems(message: Message, now: datetime, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with the two times."""
    scheduled, expires = message.scheduled_at, message.expires_at
    if scheduled is None and expires is None:
        return  # as of most messages
    times = (("/scheduled_at", scheduled), ("/expires_at", expires))
    naive = [pointer for pointer, at in times if at is not None and at.utcoffset() is None]
    for pointer in naive:
        yield problem(pointer, ProblemCode.NO_OFFSET, "a time needs its offset from UTC, such as Z or +01:00")
    if not naive:
        yield from _schedule_problems(scheduled, now, limits)
        yield from _expiry_problems(scheduled, expires, now)


def _schedule_problems(scheduled: datetime | None, now: datetime, limits: Limits) -> Iterator[Problem]:
    """Yield what is wrong with an aware time to send; the past is fine and means now."""
    if scheduled is None:
        return
    due = _in_utc(scheduled, up=True)
    if due is None or due - now > limits.schedule_ahead:
        detail = f"at most {limits.schedule_ahead.days} days ahead"
        yield problem("/scheduled_at", ProblemCode.OUT_OF_RANGE, detail)


def _expiry_problems(
    scheduled: datetime | None,
    expires: datetime | None,
    now: datetime,
) -> Iterator[Problem]:
    """Yield what is wrong with an aware time to give up."""
    if expires is None:
        return
    end, due = _in_utc(expires, up=False), _in_utc(scheduled, up=True)
    if end is None or end <= now:
        yield problem("/expires_at", ProblemCode.OUT_OF_RANGE, "must be in the future")
    elif due is not None and end <= due:
        yield problem("/expires_at", ProblemCode.OUT_OF_RANGE, "must be after scheduled_at")


def _in_utc(at: datetime | None, *, up: bool) -> datetime | None:
    """Return a time in UTC and whole milliseconds, or None if the calendar ends before it.

    Args:
        up: Round up, so that what is scheduled is never early; else cut, so that what expires is never late.
    """
    if at is None:
        return None
    try:
        utc = at.astimezone(UTC)
        cut = utc.replace(microsecond=utc.microsecond // 1000 * 1000)
        return cut + _MILLISECOND if up and cut < utc else cut
    except OverflowError:
        return None
