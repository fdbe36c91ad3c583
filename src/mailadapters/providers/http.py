"""The one HTTP call that all providers share: build, send, parse, scrub; the network never makes it raise.

It speaks httpx's transport API and leaves its client out: redirects, cookies, authentication and proxies are
what a send must not have, and they cost 0.1 ms of the 0.4 ms that an e-mail takes here.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Generic

import httpx

from mailadapters.configuration import read
from mailadapters.providers.aiohttp_transport import AiohttpTransport
from mailadapters.providers.kind import KeyCheck, KeyState, ProviderKind, Settings, secrets_of
from mailadapters.providers.scrubbing import scrubbed, scrubbed_text
from mailcore.outcome import Deferred, Outcome, Unknown
from mailcore.provider import Capabilities, HttpRequest, HttpResponse, Send

_HEADERS = (("user-agent", "mailcore"), ("accept", "application/json"), ("accept-encoding", "identity"))

# A connection that was never made carries nothing; once it is made, only the provider knows what it took.
_NEVER_SENT: dict[type[httpx.TransportError], str] = {
    httpx.ConnectTimeout: "connect_timeout",
    httpx.PoolTimeout: "pool_timeout",
    httpx.ConnectError: "connect_failed",
    httpx.ProxyError: "proxy_failed",
    httpx.UnsupportedProtocol: "unsupported_protocol",
}
_MAYBE_SENT: dict[type[httpx.TransportError], str] = {
    httpx.ReadTimeout: "no_answer",
    httpx.RemoteProtocolError: "unreadable_answer",
}


def open_transport(tls: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """Return what carries the requests of one provider. To be closed in the loop that used it.

    Args:
        tls: How servers are verified; by default against certifi's list of authorities. The environment
            (proxies, netrc, SSL_CERT_FILE) is not asked.
    """
    return AiohttpTransport(tls or _tls())


@dataclass(frozen=True, kw_only=True)
class HttpProvider(Generic[Settings]):
    """One configured account at a provider.

    Attributes:
        name: The configured name.
        transport: This provider's own, so that closing one closes no other.
        now: The clock, for dates in answers.
    """

    name: str
    kind: ProviderKind[Settings]
    settings: Settings
    transport: httpx.AsyncBaseTransport
    now: Callable[[], datetime]

    @property
    def capabilities(self) -> Capabilities:
        return self.kind.capabilities

    async def send(self, send: Send) -> Outcome:
        request = self.kind.build(send, self.settings)
        outcome = await self._outcome(request, send.deadline)
        return scrubbed(outcome, (*secrets_of(self.settings), *_credentials(request)))

    async def check_key(self, within: timedelta) -> KeyCheck | None:
        """Ask the provider whether it takes the key, without sending anything.

        Returns:
            None if its kind has no probe. What the network does is a check that could not tell.
        """
        if self.kind.probe is None:
            return None
        request = self.kind.probe.build(self.settings)
        try:
            found = self.kind.probe.parse(await self._answer(request, within))
        except httpx.TransportError as error:
            found = KeyCheck(KeyState.UNCLEAR, outcome_of_error(error).code)
        known = (*secrets_of(self.settings), *_credentials(request))
        return KeyCheck(found.state, scrubbed_text(found.reason, known))

    async def aclose(self) -> None:
        await self.transport.aclose()

    async def _outcome(self, request: HttpRequest, deadline: timedelta) -> Outcome:
        """Make the call and tell what came of it, in the provider's own words."""
        try:
            answer = await self._answer(request, deadline)
        except httpx.TransportError as error:
            return outcome_of_error(error)
        return self.kind.parse(answer)

    async def _answer(self, request: HttpRequest, deadline: timedelta) -> HttpResponse:
        """Make the call and return its answer, read as far as answers are read."""
        answer = await self.transport.handle_async_request(_wire(request, deadline))
        await answer.aread()
        return _read(answer, self.now())


def connector(
    kind: ProviderKind[Settings],
) -> Callable[[str, Mapping[str, object], Callable[[], datetime]], HttpProvider[Settings]]:
    """Return what the group ``mailcore.providers`` offers for a kind: from name, settings and clock to a provider."""

    def connect(name: str, settings: Mapping[str, object], now: Callable[[], datetime]) -> HttpProvider[Settings]:
        """Return a provider; nothing goes over the network yet.

        Raises:
            SettingsError: A setting is missing, unknown or wrong; names each of them.
        """
        account = read(kind.settings, settings, f"providers.{name}.", beside=("kind", "weight", "max_per_second"))
        return HttpProvider(name=name, kind=kind, settings=account, transport=open_transport(), now=now)

    return connect


@cache
def _tls() -> ssl.SSLContext:
    """Return how servers are verified, once per process: loading the authorities takes 18 ms."""
    return httpx.create_ssl_context(trust_env=False)


def outcome_of_error(error: httpx.TransportError) -> Deferred | Unknown:
    """Return Deferred if no byte of the request can have been written, else Unknown."""
    for kind, code in _NEVER_SENT.items():
        if isinstance(error, kind):
            return Deferred(code=code, detail=str(error))
    code = next((code for kind, code in _MAYBE_SENT.items() if isinstance(error, kind)), "connection_lost")
    return Unknown(code=code, detail=str(error))


def _wire(request: HttpRequest, deadline: timedelta) -> httpx.Request:
    """Return a request as httpx has it; our own headers first, the provider's may replace them."""
    named = {name.lower() for name, _ in request.headers}
    headers = [pair for pair in _HEADERS if pair[0] not in named]
    return httpx.Request(
        request.method,
        _url(request.url),
        headers=[*headers, *request.headers],
        content=request.body,
        extensions={"deadline": deadline.total_seconds()},
    )


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    """Return a URL parsed; a provider has one or two, and parsing costs as much as the rest of a request."""
    return httpx.URL(text)


def _read(answer: httpx.Response, received_at: datetime) -> HttpResponse:
    """Return an answer as the providers' modules read it."""
    return HttpResponse(
        status=answer.status_code,
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers.raw},
        body=answer.content,
        truncated=bool(answer.extensions.get("truncated", False)),
        received_at=received_at,
    )


def _credentials(request: HttpRequest) -> tuple[str, ...]:
    """Return the secret half of an authorization, which need not be a key as the settings have it."""
    values = (value for name, value in request.headers if name.lower() == "authorization")
    return tuple(value.partition(" ")[2] or value for value in values)
