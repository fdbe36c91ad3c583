"""How a request's body becomes a value: JSON alone, decoded straight into the Struct that the route takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from itertools import islice
from typing import Any, Protocol, cast, runtime_checkable

import msgspec
from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty

from mailapps.api.heads import header
from mailapps.api.problems import ApiCode, RefusedError, invalid
from mailcore.errors import Problem
from mailcore.message import LIMITS, Message
from mailcore.shape import MOST, Json, mended, shape_problems
from mailcore.waiting import TimeLimit

ApiRequest = Request[Any, Any, Any]

Look = Callable[[Json], Sequence[Problem]]

_JSON = b"application/json"


@runtime_checkable
class Meaningful(Protocol):
    """A body that may be wrong though every field is of its type."""

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Yield what is wrong with its meaning, in the order of its fields."""
        ...


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is read as JSON, strictly and once."""

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            RefusedError: It is not JSON by its head, or does not arrive.
        """
        if (known := self._body) is not Empty:  # the framework asks before it asks for the value
            return known
        _check_head(header(self.scope, b"content-type"), header(self.scope, b"content-encoding"))
        limit: TimeLimit = self.app.state["body_patience"]
        try:
            with limit():
                self._body = body = await self._whole_body()
        except (TimeoutError, BrokenPipeError) as error:
            detail = f"the body did not arrive within {limit.seconds:.0f} s"
            raise RefusedError(ApiCode.BODY_TIMEOUT, detail, headers={"Connection": "close"}) from error
        if not body:  # of which the framework would say nothing that helps
            raise RefusedError(ApiCode.MALFORMED_JSON, "there is no body: send a JSON object")
        return body

    async def json(self) -> object:
        """Return the body as the value that the route takes.

        Raises:
            RefusedError: It is not JSON, or not such a value; names everything that is wrong.
        """
        field = self.route_handler.parsed_data_field
        kind = field.annotation if field else object
        mailer, body = self.app.state["mailer"], await self.body()
        if kind is Message:  # whose meaning is the mailer's to judge
            return decoded(body, kind, mailer.problems_of)
        now = mailer.ports.clock.now()
        value = decoded(body, kind, partial(_look, kind=kind, now=now))
        if isinstance(value, Meaningful) and (found := tuple(islice(value.problems(now), MOST))):
            raise invalid(found)
        return value

    async def _whole_body(self) -> bytes:
        """Return all parts of the body, of which most have but one; the framework's own way costs five times as much.

        Raises:
            RequestEntityTooLarge: It is larger than allowed, or says so.
            BrokenPipeError: The caller is gone.
        """
        most: int = self.app.state["mailer"].limits.request_bytes
        size, parts, more = 0, list[bytes](), True
        if int(header(self.scope, b"content-length") or 0) > most:
            raise RequestEntityTooLarge
        while more:
            event = await self.receive()
            if event["type"] != "http.request":
                raise BrokenPipeError
            part = event.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > most:
                raise RequestEntityTooLarge
            more = event.get("more_body", False)
        return b"".join(parts)


def _check_head(content_type: bytes, content_encoding: bytes) -> None:
    """Refuse a body that is not plain JSON."""
    if content_type != _JSON and content_type.partition(b";")[0].strip().lower() != _JSON:
        detail = "send the body with Content-Type: application/json"
        raise RefusedError(ApiCode.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept-Post": "application/json"})
    if content_encoding.strip().lower() not in {b"identity", b""}:
        detail = "send the body without Content-Encoding: nothing is inflated here"
        raise RefusedError(ApiCode.UNSUPPORTED_ENCODING, detail, headers={"Accept-Encoding": "identity"})


def decoded(body: bytes, kind: object, look: Look) -> object:
    """Return the value of a kind that JSON says.

    Args:
        look: Finds everything that is wrong with a value that is not of the kind.

    Raises:
        RefusedError: It is not JSON, or not of the kind; names everything that is wrong.
    """
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _misshapen(body, look, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error


@cache
def _decoder(kind: object) -> msgspec.json.Decoder[object]:
    """Return the decoder of a kind."""
    return msgspec.json.Decoder(kind)


def _misshapen(body: bytes, look: Look, said: str) -> RefusedError:
    """Return the refusal of JSON that is not of the kind."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _malformed(error)
    if depth(value) > LIMITS.json_depth:
        return _malformed(RecursionError())
    found = look(value)
    return invalid(found) if found else RefusedError(ApiCode.MALFORMED_JSON, said.partition(" - at `")[0][:64])


def _look(value: Json, *, kind: object, now: datetime) -> Sequence[Problem]:
    """Return what keeps a value from being of a kind, and what is wrong with the meaning of its other fields."""
    found = list(islice(shape_problems(value, kind), MOST))
    if isinstance(value, dict):
        misshapen = {_field(one) for one in found}
        rest = {name: one for name, one in value.items() if name not in misshapen}
        sound = msgspec.convert(mended(rest, kind), cast("type[object]", kind))
        meant = sound.problems(now) if isinstance(sound, Meaningful) else ()
        found += [one for one in meant if one.pointer and _field(one) not in misshapen]
    return found


def _field(one: Problem) -> str:
    """Return the field that a problem is about; empty for the whole."""
    return one.pointer[1:].partition("/")[0]


def depth(value: Json) -> int:
    """Return how deep lists and objects are nested in a decoded value, without recursion."""
    deepest, level = 0, _inside([value])
    while level:
        deepest, level = deepest + 1, [one for collection in level for one in _inside(collection)]
    return deepest


def _inside(value: dict[str, Json] | list[Json]) -> list[dict[str, Json] | list[Json]]:
    """Return the lists and objects that stand directly in one."""
    return [one for one in (value.values() if isinstance(value, dict) else value) if isinstance(one, dict | list)]


def _malformed(error: Exception) -> RefusedError:
    """Return the refusal of a body that is not JSON."""
    match error:
        case RecursionError():
            detail = f"lists and objects may be nested {LIMITS.json_depth} deep"
        case UnicodeDecodeError():
            detail = "the body is not UTF-8"
        case _:
            detail = str(error)
    return RefusedError(ApiCode.MALFORMED_JSON, detail)
