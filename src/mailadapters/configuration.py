"""Tables of settings as Structs: every problem at once, each naming its key and the remedy.

Settings come from people, by TOML and by environment variables, so texts stand for numbers and durations here,
and what is wrong is told in their words. A secret's text never comes into an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import NoneType
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from mailcore.errors import SettingsError
from mailcore.secret import Secret

S = TypeVar("S", bound=Struct)

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST: Final = timedelta(days=3650)
"""The longest duration: what is longer is a mistake, and arithmetic with it may leave the calendar."""

_SHOWN: Final = 40
_TYPE: Final = re.compile(r"`(\w+)`")
_WORDS: Final = {"str": "a text in quotes", "int": "a whole number", "float": "a number", "bool": "true or false"}


def read(kind: type[S], table: Mapping[str, object], at: str = "", *, beside: Sequence[str] = ()) -> S:
    """Return a table as a Struct.

    Args:
        kind: Its fields are bools, numbers, texts, enums, Literals, timedeltas, Secrets or Structs of such.
        table: As TOML has it; a Secret stands for its text.
        at: What comes before the keys in an error, such as ``retry.``.
        beside: Keys of the same table that somebody else reads: they are suggested, too.

    Raises:
        SettingsError: One line for every key that is unknown, missing or wrong.
    """
    known = {field.encode_name: field for field in fields(kind)}
    problems = [f"{at}{key} is no setting; {nearest(key, (*known, *beside))}" for key in table if key not in known]
    values: dict[str, Any] = {}
    for key, field in known.items():
        try:
            values |= _field(field, table, f"{at}{key}")
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return _made(kind, values, at)


def nearest(key: str, known: Sequence[str]) -> str:
    """Return what to say to somebody who wrote a key that there is not."""
    near = get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"


def duration(text: str) -> timedelta:
    """Return a duration such as ``500ms``, ``60s``, ``5m``, ``72h`` or ``2d``.

    Raises:
        ValueError: It is no such text.
    """
    match = _DURATION.fullmatch(text.strip())
    span = timedelta(seconds=float(match[1]) * _UNITS[match[2]]) if match else timedelta(0)
    if not timedelta(0) < span <= LONGEST:
        raise ValueError('expected a duration such as "500ms", "60s", "5m" or "72h", at most ten years')
    return span


def _field(field: FieldInfo, table: Mapping[str, object], at: str) -> dict[str, Any]:
    """Return a field's value by its name in the Struct; nothing if its default will do."""
    if field.encode_name in table:
        return {field.name: _value(field.type, table[field.encode_name], at)}
    if field.default is NODEFAULT and field.default_factory is NODEFAULT:
        raise SettingsError(f"{at} is missing")
    return {}


def _value(kind: Any, value: object, at: str) -> object:
    """Return a value as its field has it."""
    plain = _without_none(kind)
    if isinstance(plain, type) and issubclass(plain, Struct):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{at}: expected a table, [{at}]")
        return read(plain, cast("Mapping[str, object]", value), f"{at}.")
    try:
        return _scalar(plain, value)
    except (ValueError, OverflowError) as error:  # msgspec's ValidationError is a ValueError
        secret = plain is Secret or isinstance(value, Secret)
        raise SettingsError(f"{at}: {_said(plain, error)}{'' if secret else _got(value)}") from None


def _scalar(kind: Any, value: object) -> object:
    """Return a value that is no table."""
    text = value.reveal() if isinstance(value, Secret) else value
    if kind is Secret:
        return value if isinstance(value, Secret) else Secret(_text(text))
    if kind is timedelta:
        return duration(_text(text))
    return msgspec.convert(text, kind, strict=not isinstance(text, str))


def _text(value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ValueError('expected a text in quotes, or { env = "NAME" } or { file = "PATH" } for a secret')  # noqa: TRY004
    return value


def _without_none(kind: Any) -> Any:
    """Return what a field may hold besides None."""
    rest = [one for one in get_args(kind) if one is not NoneType]
    return rest[0] if NoneType in get_args(kind) and len(rest) == 1 else kind


def _said(kind: Any, error: Exception) -> str:
    """Return what was expected."""
    if get_origin(kind) is Literal:
        return f"expected one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"expected one of {', '.join(kind)}"
    words = _TYPE.sub(lambda found: _WORDS.get(found[1], found[1]), str(error).partition(", got ")[0])
    return words[:1].lower() + words[1:]


def _got(value: object) -> str:
    """Return what stands there instead."""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return f", got {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"


def _made(kind: type[S], values: Mapping[str, Any], at: str) -> S:
    """Return the Struct, unless it refuses its fields together."""
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{at.rstrip('.')}: {error}") from None
