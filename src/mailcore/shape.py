"""Everything that is wrong with the shape of a plain value, where msgspec stops at the first, and what is left of it.

Looks only at values that msgspec has refused already, so it costs nothing where all is well. Plain is what JSON gives,
or what a Struct is made of: lists, objects, texts, numbers, and whatever else is `held` as it is. Pure.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from types import UnionType
from typing import Annotated, Final, Literal, TypeAlias, TypeGuard, Union, cast, get_args, get_origin

from msgspec import Struct, ValidationError, convert
from msgspec.structs import FieldInfo, fields

from mailcore.errors import Problem
from mailcore.problems import ProblemCode, below

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""What JSON can say."""

Held: TypeAlias = tuple[type, ...]

MOST: Final = 100
"""So many problems of one value are told, and so many members of a list or an object are looked at one by one.

A look costs some 50 µs, and an event loop stands still meanwhile; no list of a message may have as many members.
"""

_AT: Final = re.compile(r"\$\[(\d+)\]")

FILLER: Final = "nothing@mended.example"

_MAPPINGS: Final = frozenset({Mapping, dict})
_SEQUENCES: Final = frozenset({Sequence, list, tuple})
_UNIONS: Final = (Union, UnionType)
_SAID: Final = (
    ("Invalid base64", ProblemCode.INVALID_BASE64, "must be base64, with its padding"),
    ("Invalid RFC3339", ProblemCode.INVALID_TIME, "must be a time such as 2026-12-01T08:00:00Z"),
    ("Expected `datetime` with", ProblemCode.NO_OFFSET, "a time needs its offset from UTC, such as Z or +01:00"),
)


def shape_problems(value: object, kind: object, pointer: str = "", *, held: Held = ()) -> Iterator[Problem]:
    """Yield what keeps a plain value from being of a kind, in the order of the kind's fields.

    Args:
        kind: An annotation: a Struct, a collection, a union or a plain type.
        pointer: Where the value stands.
        held: Types beyond JSON's that stand as themselves, such as bytes.
    """
    if _fits(value, kind, held) is None:
        return
    inner = list(_members(value, kind, pointer, held))
    yield from inner or _unfit(value, kind, pointer, held)


def mended(value: object, kind: object, *, held: Held = ()) -> object:
    """Return a value that is of a kind: whatever fits stays, and where something did not there is a word of ours.

    So what is well-formed can be looked at for its meaning while the rest is wrong. The word is an address, as nothing
    else is taken in every field of a message. Of unions and bounds only those are known that a message has.
    """
    if _fits(value, kind, held) is None:
        return value
    named, listed = _named(value), _listed(value)
    for option in _options(kind):
        if named is not None and _is_struct(option):
            return _mended_struct(named, option, held)
        if named is not None and get_origin(option) in _MAPPINGS:
            return {name: mended(one, get_args(option)[1], held=held) for name, one in _first(named)}
        if listed is not None and get_origin(option) in _SEQUENCES:
            return [mended(one, get_args(option)[0], held=held) for one in listed]
    return _filler(kind, held)


def _mended_struct(value: Mapping[str, object], kind: type[Struct], held: Held) -> dict[str, object]:
    """Return the fields of a Struct; one that is unknown is left out, and one that must be there is."""
    return {
        field.encode_name: mended(value[field.encode_name], field.type, held=held)
        if field.encode_name in value
        else _filler(field.type, held)
        for field in fields(kind)
        if field.encode_name in value or field.required
    }


def _filler(kind: object, held: Held) -> object:
    """Return a value of a kind that says nothing."""
    for option in _options(kind):
        if _is_struct(option):
            return _mended_struct({}, option, held)
        if isinstance(option, type) and issubclass(option, Enum):
            return next(iter(option)).value
        if option is bool:
            return False
        if option is bytes:
            return FILLER.encode() if bytes in held else b64encode(FILLER.encode()).decode()
        if option is str:
            return FILLER
        if get_origin(option) in _MAPPINGS | _SEQUENCES:
            return {} if get_origin(option) in _MAPPINGS else []
    return None


def _is_struct(option: object) -> TypeGuard[type[Struct]]:
    """Whether an annotation is a Struct."""
    return isinstance(option, type) and issubclass(option, Struct)


def _named(value: object) -> dict[str, object] | None:
    """Return an object; None if it is none."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _first(named: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the first members of an object that JSON could name."""
    return [(name, one) for name, one in islice(named.items(), MOST) if isinstance(cast("object", name), str)]


def _listed(value: object) -> list[object] | None:
    """Return the first members of a list; None if it is none."""
    return cast("list[object]", value)[:MOST] if isinstance(value, list) else None


def _fits(value: object, kind: object, held: Held) -> str | None:
    """Return what msgspec has against a value, or None."""
    try:
        convert(value, kind, builtin_types=held)
    except ValidationError as error:
        return str(error)
    return None


def _members(value: object, kind: object, pointer: str, held: Held) -> Iterator[Problem]:
    """Yield the problems of what stands inside a value."""
    named, listed = _named(value), _listed(value)
    for option in _options(kind):
        if named is not None and _is_struct(option):
            yield from _struct_problems(named, option, pointer, held)
        elif named is not None and get_origin(option) in _MAPPINGS:
            for name, one in _first(named):
                yield from shape_problems(one, get_args(option)[1], below(pointer, name), held=held)
        elif listed is not None and get_origin(option) in _SEQUENCES:
            for at, one in _suspects(cast("list[object]", value), _fits(value, kind, held) or ""):
                yield from shape_problems(one, get_args(option)[0], f"{pointer}/{at}", held=held)


def _suspects(value: list[object], said: str) -> Iterator[tuple[int, object]]:
    """Yield some members of a list from the first on that is wrong, with their places."""
    found = _AT.match(said.partition(" - at `")[2])
    first = int(found[1]) if found else 0
    yield from enumerate(value[first : first + MOST], first)


def _struct_problems(value: Mapping[str, object], kind: type[Struct], pointer: str, held: Held) -> Iterator[Problem]:
    """Yield the problems of an object that should have a Struct's fields."""
    known: Mapping[str, FieldInfo] = {field.encode_name: field for field in fields(kind)}
    for name, field in known.items():
        if name in value:
            yield from shape_problems(value[name], field.type, below(pointer, name), held=held)
        elif field.required:
            yield Problem(below(pointer, name), ProblemCode.REQUIRED, "is required")
    for name, _ in _first(value):
        if name not in known:
            yield Problem(below(pointer, name), ProblemCode.UNKNOWN_FIELD, "is not a known field")


def _options(kind: object) -> Iterator[object]:
    """Yield the types that an annotation allows, its bounds stripped."""
    if get_origin(kind) is Annotated:
        yield from _options(get_args(kind)[0])
    elif get_origin(kind) in _UNIONS:
        for option in get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _unfit(value: object, kind: object, pointer: str, held: Held) -> Iterator[Problem]:
    """Yield the one problem of a value that is wrong as a whole."""
    said = (_fits(value, kind, held) or "").partition(" - at `")[0]
    choice = ("Invalid enum value", ProblemCode.INVALID_CHOICE, f"must be one of {', '.join(_choices(kind))}")
    for start, code, detail in (choice, *_SAID):
        if said.startswith(start):
            yield Problem(pointer, code, detail)
            return
    yield Problem(pointer, ProblemCode.WRONG_TYPE if "got" in said else ProblemCode.OUT_OF_RANGE, said)


def _choices(kind: object) -> Iterator[str]:
    """Yield the words that an annotation takes, if it takes only some."""
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, Enum):
            yield from (str(one.value) for one in option)
        elif get_origin(option) is Literal:
            yield from map(str, get_args(option))
