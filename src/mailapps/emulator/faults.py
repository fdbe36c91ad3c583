"""Scripted faults: which rule a request meets, and what is then done to it. Pure: state in, state out.

A script is a list of rules; the first whose match fits, whose count is not used up and whose dice fall
right is the one that acts. A repeat of a script with the same seed does the same to the same requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from mailapps.emulator.wire import Letter, read_json

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
_ONE_SECOND = timedelta(seconds=1)
_T = TypeVar("_T")


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a rule is for; every part that is given must fit, case aside.

    Attributes:
        subject: Some of the subject.
        email_id: The sender's own id, from the metadata `mailcore_id`.
    """

    sender: str | None = None
    recipient: str | None = None
    subject: str | None = None
    email_id: str | None = None


class Status(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="status"):
    """Answer with this status and take nothing.

    Attributes:
        body: Text as it is, anything else as JSON; without one, the provider's own words for the status.
        retry_after: Becomes the header Retry-After, whatever it is: seconds, a date, or nonsense.
    """

    status: Annotated[int, Meta(ge=200, le=599)]
    body: object = None
    content_type: str | None = None
    headers: dict[str, str] = {}
    retry_after: int | float | str | None = None


class Hang(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="hang"):
    """Say nothing, then close the connection.

    Attributes:
        seconds: For how long; None is until the caller goes away.
        accept: The message is taken all the same.
    """

    seconds: Seconds | None = None
    accept: bool = False


class Reset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="reset"):
    """Reset the TCP connection without an answer.

    Attributes:
        accept: The message is taken before: an accept then a reset.
    """

    accept: bool = False


class Drip(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="drip"):
    """Take the message and send the answer a byte at a time, this far apart."""

    seconds_per_byte: Seconds = 1.0


class Shape(StrEnum):
    """How a successful answer is spoilt."""

    BAD_JSON = "bad_json"
    EMPTY = "empty"
    HUGE = "huge"
    WRONG_TYPE = "wrong_type"
    MISSING_ID = "missing_id"


class Garbage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="garbage"):
    """Take the message and answer with a success that cannot be read; a huge one has 10 MB."""

    shape: Shape


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="rate"):
    """Let so many requests a second through to the rules below; the others get 429 with Retry-After."""

    max_per_second: Annotated[int, Meta(ge=0)]
    retry_after: int | float | str | None = 1


class Pass(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pass"):
    """Do nothing to it: an exception from the rules below, or a rule that is only slow."""


Action = Status | Hang | Reset | Drip | Garbage | Rate | Pass


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to some requests.

    Attributes:
        times: How often it acts before it is used up; None is for ever.
        probability: How likely it acts on a request that fits.
        latency: Seconds before the answer starts, whatever the action.
    """

    action: Action = Pass()
    match: Match = Match()
    times: Annotated[int, Meta(ge=0)] | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    latency: Seconds = 0.0


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of one provider, and the seed of its dice."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0


class Progress(Struct, frozen=True, kw_only=True):
    """How far a script has come.

    Attributes:
        seen: How many requests it has looked at.
        used: How often each rule has acted.
        passed: By rule, when the requests that a rate let through in the latest second came.
    """

    script: Script = Script()
    seen: int = 0
    used: tuple[int, ...] = ()
    passed: tuple[tuple[datetime, ...], ...] = ()


def read_script(body: bytes) -> Progress:
    """Return a script from JSON, not yet begun.

    Raises:
        ValueError: It is not one; the text names the field.
    """
    script = read_json(body, Script)
    count = len(script.rules)
    return Progress(script=script, used=(0,) * count, passed=((),) * count)


def decide(progress: Progress, letter: Letter | None, now: datetime) -> tuple[Progress, Rule | None]:
    """Return the rule that acts on a request, and the script one request further on."""
    progress = msgspec.structs.replace(progress, seen=progress.seen + 1)
    for number, rule in enumerate(progress.script.rules):
        if not _applies(progress, number, letter):
            continue
        if isinstance(rule.action, Rate):
            recent = tuple(moment for moment in progress.passed[number] if now - moment < _ONE_SECOND)
            if len(recent) < rule.action.max_per_second:
                progress = msgspec.structs.replace(progress, passed=_put(progress.passed, number, (*recent, now)))
                continue
        return msgspec.structs.replace(progress, used=_put(progress.used, number, progress.used[number] + 1)), rule
    return progress, None


def _applies(progress: Progress, number: int, letter: Letter | None) -> bool:
    """Tell whether a rule is neither used up, nor for other requests, nor left out by its dice."""
    rule = progress.script.rules[number]
    left = rule.times is None or progress.used[number] < rule.times
    return left and fits(rule.match, letter) and draw(progress.script.seed, progress.seen, number) < rule.probability


def fits(match: Match, letter: Letter | None) -> bool:
    """Tell whether a rule is for a request; one that could not be read fits only the open match."""
    if match == Match():
        return True
    if letter is None:
        return False
    recipients = {one.lower() for one in letter.recipients}
    return (
        (match.sender is None or match.sender.lower() == letter.from_.email.lower())
        and (match.recipient is None or match.recipient.lower() in recipients)
        and (match.subject is None or match.subject.lower() in letter.subject.lower())
        and (match.email_id is None or match.email_id == letter.email_id)
    )


def draw(seed: int, request: int, rule: int) -> float:
    """Return a number from [0, 1) that looks random and is the same for the same three numbers."""
    digest = sha256(f"{seed}:{request}:{rule}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def _put(values: tuple[_T, ...], number: int, value: _T) -> tuple[_T, ...]:
    """Return the values with one of them changed."""
    return (*values[:number], value, *values[number + 1 :])
