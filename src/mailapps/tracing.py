"""Traces, by OpenTelemetry: what a request and an attempt took, told to a collector. Imported only where they are on.

Spans are made of what the watcher is told, after the fact, by the times that the records go by: so the core knows
nothing of tracing. Their attributes are chosen one by one: ids and closed lists, never an address, content or a key
(I40).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mailapps.settings import TracingSettings
from mailcore.attempt import Attempt
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email
from mailcore.outcome import Verdict
from mailcore.ports import Clock

PATIENCE_S: Final = 5
"""How long the collector may take, and how long the end of a process waits for it."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CARRIED: Final = frozenset({b"traceparent", b"tracestate"})
_FAULT: Final = 500


@dataclass(frozen=True)
class Tracing:
    """Makes spans of what happens in one process."""

    provider: TracerProvider
    clock: Clock

    def watch(self, event: Event) -> None:
        """Make spans of an event."""
        match event.what:
            case Happening.SUBMITTED if event.email:
                self._submitted(event.email)
            case Happening.ATTEMPTED if event.attempt:
                self._attempted(event.attempt, event)
            case Happening.SWEPT if event.began:
                with self._span("sweep", event.began, self.clock.now(), context=Context()) as span:
                    span.set_attribute("mailcore.found", event.note)
            case _:
                return

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application with a span for every request, in the trace that its caller began."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            context = TraceContextTextMapPropagator().extract(_carried(scope), Context())
            span = self._begin("request", self.clock.now(), context, kind=SpanKind.SERVER)

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _answered(span, message["status"])
                await send(message)

            try:
                with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                    await app(scope, receive, told)
            finally:
                _named(span, scope)
                span.end(_nanoseconds(self.clock.now()))

        return traced

    async def aclose(self) -> None:
        """Tell the collector the rest, if it answers soon."""
        await asyncio.to_thread(self.provider.force_flush, PATIENCE_S * 1000)
        await asyncio.to_thread(self.provider.shutdown)

    def _submitted(self, email: Email) -> None:
        """Tell how long it took to make a message durable, as a part of its request."""
        with self._span("submit", email.created_at, self.clock.now(), context=None) as span:
            span.set_attributes({"mailcore.email_id": email.id, **_state(email)})

    def _attempted(self, attempt: Attempt, event: Event) -> None:
        """Tell how long an attempt took, and its parts."""
        now = self.clock.now()
        with self._span("attempt", attempt.started_at, now, context=Context()) as span:
            span.set_attributes({"mailcore.email_id": event.email_id, **_ending(attempt), **_state(event.email)})
            if attempt.outcome is not Verdict.ACCEPTED:
                span.set_status(Status(StatusCode.ERROR))
            context = trace.set_span_in_context(span, Context())
            for name, since, until in _parts(attempt, now):
                with self._span(name, since, until, context=context):
                    pass

    @contextmanager
    def _span(self, name: str, since: datetime, until: datetime, *, context: Context | None) -> Generator[Span]:
        """Make a span of something that has ended."""
        span = self._begin(name, since, context)
        yield span
        span.end(_nanoseconds(max(since, until)))

    def _begin(
        self, name: str, since: datetime, context: Context | None, *, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span:
        """Begin a span."""
        tracer = self.provider.get_tracer("mailcore")
        return tracer.start_span(name, context, kind, start_time=_nanoseconds(since))


def tracing_to(settings: TracingSettings, clock: Clock, role: str, version: str) -> Tracing:
    """Return what tells the collector at `settings.endpoint`; nothing connects before there is something to tell.

    OpenTelemetry's own variables are heeded for the rest, such as OTEL_SERVICE_NAME and OTEL_EXPORTER_OTLP_HEADERS.
    """
    name = os.environ.get(OTEL_SERVICE_NAME) or f"mailcore-{role}"
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.share),
        resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: version}),
        shutdown_on_exit=False,
    )
    endpoint = f"{(settings.endpoint or '').rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=PATIENCE_S)))
    return Tracing(provider, clock)


def _parts(attempt: Attempt, now: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """Yield the parts of an attempt: until it was claimed, the provider's, and until its outcome was saved."""
    if attempt.latency is None or attempt.finished_at is None:
        return
    called = max(attempt.started_at, attempt.finished_at - attempt.latency)
    yield "claim", attempt.started_at, called
    yield "provider call", called, attempt.finished_at
    yield "save", attempt.finished_at, now


def _ending(attempt: Attempt) -> Mapping[str, str | int]:
    """Return how an attempt ended; not the provider's words."""
    outcome = attempt.outcome or Verdict.UNKNOWN
    return {"mailcore.provider": attempt.provider, "mailcore.attempt": attempt.n, "mailcore.outcome": outcome.value}


def _state(email: Email | None) -> Mapping[str, str]:
    """Return where an e-mail is."""
    if email is None:
        return {}
    return {
        "mailcore.status": email.status.value,
        "mailcore.reason": email.reason.value,
        "mailcore.lane": email.lane.value,
    }


def _carried(scope: Scope) -> dict[str, str]:
    """Return the headers by which a caller hands its trace on."""
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}


def _named(span: Span, scope: Mapping[str, object]) -> None:
    """Name a span by its method and route; the path itself holds ids, and the query may hold an address."""
    method = str(scope["method"]) if scope["method"] in _METHODS else "_OTHER"
    route = str(scope.get("path_template", ""))
    span.update_name(f"{method} {route}".strip())
    span.set_attributes({"http.request.method": method, "http.route": route})


def _answered(span: Span, status: int) -> None:
    """Tell how a request was answered."""
    span.set_attribute("http.response.status_code", status)
    if status >= _FAULT:
        span.set_status(Status(StatusCode.ERROR))


def _nanoseconds(moment: datetime) -> int:
    """Return a moment as OpenTelemetry has it, since 1970."""
    return round(moment.timestamp() * 1_000_000) * 1000
