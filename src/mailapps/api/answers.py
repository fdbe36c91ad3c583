"""The answer to a message that was accepted: the one that is given thousands of times in a second."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from litestar import Response
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class JsonAnswer(Response[T]):
    """A Response in JSON that is encoded straight into what goes over the wire.

    The framework's own spends as long on headers and cookies that are not here as all of mailcore's checks take.
    """

    def __init__(self, content: T, status: int, headers: dict[str, str]) -> None:
        """Remember what to answer."""
        self.content = content
        self.status_code = self._status = status
        self.headers = headers

    def to_asgi_response(self, *_: object, **__: object) -> ASGIApp:  # type: ignore[override] # as its callers need it
        """Return what sends it."""

        async def answered(_scope: Scope, _receive: Receive, send: Send) -> None:
            for event in self.events():
                await send(event)

        return answered

    def events(self) -> tuple[HTTPResponseStartEvent, HTTPResponseBodyEvent]:
        """Return its head and its body."""
        body = _encode(self.content)
        heads = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        heads += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return (
            {"type": "http.response.start", "status": self._status, "headers": heads},
            {"type": "http.response.body", "body": body, "more_body": False},
        )
