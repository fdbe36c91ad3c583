"""Everything that is wrong with the shape of a decoded JSON value: msgspec stops at the first. Pure.

Looks only at values that msgspec has refused already, so it costs nothing where all is well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Annotated, Final, Literal, TypeAlias, Union, get_args, get_origin

from msgspec import Struct, ValidationError, convert
from msgspec.structs import FieldInfo, fields

from mailapps.api.problems import ShapeCode
from mailcore.errors import Problem
from mailcore.problems import ProblemCode, below

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""What JSON can say."""

MOST: Final = 100
"""So many problems of one value are told."""

_UNIONS: Final = (Union, UnionType)
_SAID: Final = (
    ("Invalid base64", ShapeCode.INVALID_BASE64, "must be base64, with its padding"),
    ("Invalid RFC3339", ShapeCode.INVALID_TIME, "must be a time such as 2026-12-01T08:00:00Z"),
    ("Expected `datetime` with", ProblemCode.NO_OFFSET, "a time needs its offset from UTC, such as Z or +01:00"),
)


def depth(value: Json) -> int:
    """Return how deep lists and objects are nested in a decoded value, without recursion."""
    deepest, level = 0, _inside([value])
    while level:
        deepest, level = deepest + 1, [one for collection in level for one in _inside(collection)]
    return deepest


def _inside(value: dict[str, Json] | list[Json]) -> list[dict[str, Json] | list[Json]]:
    """Return the lists and objects that stand directly in one."""
    return [one for one in (value.values() if isinstance(value, dict) else value) if isinstance(one, dict | list)]


def shape_problems(value: Json, kind: object, pointer: str = "") -> Iterator[Problem]:
    """Yield what keeps a decoded value from being of a kind, in the order of the kind's fields.

    Args:
        value: As JSON gives it.
        kind: An annotation: a Struct, a collection, a union or a plain type.
        pointer: Where the value stands.
    """
    if _fits(value, kind) is None:
        return
    inner = list(_members(value, kind, pointer))
    yield from inner or _unfit(value, kind, pointer)


def _fits(value: Json, kind: object) -> str | None:
    """Return what msgspec has against a value, or None."""
    try:
        convert(value, kind)
    except ValidationError as error:
        return str(error)
    return None


def _members(value: Json, kind: object, pointer: str) -> Iterator[Problem]:
    """Yield the problems of what stands inside a value."""
    for option in _options(kind):
        if isinstance(value, dict) and isinstance(option, type) and issubclass(option, Struct):
            yield from _struct_problems(value, option, pointer)
        elif isinstance(value, dict) and get_origin(option) in {Mapping, dict}:
            for name, one in value.items():
                yield from shape_problems(one, get_args(option)[1], below(pointer, name))
        elif isinstance(value, list) and get_origin(option) in {Sequence, list, tuple}:
            for at, one in enumerate(value):
                yield from shape_problems(one, get_args(option)[0], f"{pointer}/{at}")


def _struct_problems(value: Mapping[str, Json], kind: type[Struct], pointer: str) -> Iterator[Problem]:
    """Yield the problems of an object that should have a Struct's fields."""
    known: Mapping[str, FieldInfo] = {field.encode_name: field for field in fields(kind)}
    for name, field in known.items():
        if name in value:
            yield from shape_problems(value[name], field.type, below(pointer, name))
        elif field.required:
            yield Problem(below(pointer, name), ProblemCode.REQUIRED, "is required")
    for name in value:
        if name not in known:
            yield Problem(below(pointer, name), ShapeCode.UNKNOWN_FIELD, "is not a known field")


def _options(kind: object) -> Iterator[object]:
    """Yield the types that an annotation allows, its bounds stripped."""
    if get_origin(kind) is Annotated:
        yield from _options(get_args(kind)[0])
    elif get_origin(kind) in _UNIONS:
        for option in get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _unfit(value: Json, kind: object, pointer: str) -> Iterator[Problem]:
    """Yield the one problem of a value that is wrong as a whole."""
    said = (_fits(value, kind) or "").partition(" - at `")[0]
    choice = ("Invalid enum value", ShapeCode.INVALID_CHOICE, f"must be one of {', '.join(_choices(kind))}")
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
