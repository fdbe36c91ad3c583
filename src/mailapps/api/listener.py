"""What a process without an API answers: metrics and health, without the API's framework.

Litestar would be a twentieth of what a worker may have in memory, for three routes that take nothing. What these
answer is to the letter what the API's own routes answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import Struct

from mailapps.api.config import ApiConfig
from mailapps.api.heads import dressed, header, name_of
from mailapps.api.local_names import check_local_name
from mailapps.api.problems import KINDS, MEDIA_TYPE, ApiCode, RefusedError, problem_body
from mailapps.api.signs import CONTENT_TYPE, Life, metrics, readiness

if TYPE_CHECKING:
    from litestar.types import HTTPScope, Receive, Scope, Send

METRICS: Final = "/metrics"
_ALLOW: Final = {"allow": "GET, OPTIONS"}
_SHOWN: Final = 64


class Answer(Struct, frozen=True, kw_only=True):
    """What is answered to one request."""

    status: int = 200
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """The ASGI application of metrics and health, for everybody who reaches its address.

    Attributes:
        loopback: It asks for a local name, as a page of another site must not read metrics by DNS rebinding.
    """

    config: ApiConfig
    loopback: bool

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer a request; nothing has to be opened before the first, or closed after the last."""
        name = name_of(scope, self.config)
        answer = await self._answer(cast("HTTPScope", scope), name)  # our uvicorn speaks nothing else
        await send({"type": "http.response.start", "status": answer.status, "headers": _heads(answer, name)})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _answer(self, scope: HTTPScope, name: str) -> Answer:
        """Return what is answered, whatever happens."""
        try:
            return await self._of_route(scope)
        except RefusedError as error:
            refused = error
        except Exception as error:  # noqa: BLE001 - a fault in one answer must not end the connection unanswered
            self.config.on_crash(name, error)
            detail = "the failure is recorded under this request_id"
            refused = RefusedError(ApiCode.INTERNAL_ERROR, detail, headers={"retry-after": "1"})
        body = msgspec.json.encode(problem_body(refused, scope["path"][:_SHOWN], name))
        status = KINDS[refused.code].status
        return Answer(status=status, headers=refused.headers, media_type=MEDIA_TYPE, body=body)

    async def _of_route(self, scope: HTTPScope) -> Answer:
        """Return what a route answers.

        Raises:
            RefusedError: There is no such route, or not with this method or under this name.
        """
        path = scope["path"].rstrip("/")
        read = _ROUTES.get(path)
        if read is None:
            raise RefusedError(ApiCode.NOT_FOUND, f"no route has this path; there are {', '.join(_ROUTES)}")
        if scope["method"] not in {"GET", "OPTIONS"}:
            detail = "the header Allow lists the methods of this path"
            raise RefusedError(ApiCode.METHOD_NOT_ALLOWED, detail, headers=_ALLOW)
        if self.loopback and path == METRICS:
            check_local_name(header(scope, b"host"))
        return await read(self.config) if scope["method"] == "GET" else Answer(status=204, headers=_ALLOW)


async def _life(config: ApiConfig) -> Answer:
    """Say that the process answers."""
    return Answer(body=msgspec.json.encode(Life("ok", config.version)))


async def _readiness(config: ApiConfig) -> Answer:
    """Say whether the process is on its way out."""
    told, status = await readiness(config)
    return Answer(status=status, body=msgspec.json.encode(told))


async def _metrics(config: ApiConfig) -> Answer:
    """Return what this process has counted and sees."""
    return Answer(media_type=f"{CONTENT_TYPE}; charset=utf-8", body=await metrics(config))


_ROUTES: Final[Mapping[str, Callable[[ApiConfig], Awaitable[Answer]]]] = {
    METRICS: _metrics,
    "/health/live": _life,
    "/health/ready": _readiness,
}


def _heads(answer: Answer, name: str) -> list[tuple[bytes, bytes]]:
    """Return the head of an answer; one without a body says nothing of a body."""
    said = dict(answer.headers)
    if answer.body:
        said |= {"content-type": answer.media_type, "content-length": str(len(answer.body))}
    return dressed([(key.encode(), value.encode()) for key, value in said.items()], name)
