"""A collector of traces on loopback: takes what OpenTelemetry's exporter sends, and keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What was told.

    Attributes:
        octets: As it came over the wire.
    """

    url: str = ""
    octets: list[bytes] = field(default_factory=list[bytes])

    @property
    def spans(self) -> list[Any]:
        """All spans, as their protocol has them."""
        return [span for resource in self._told() for scope in resource.scope_spans for span in scope.spans]

    @property
    def services(self) -> set[str]:
        """The names of the services that told them."""
        pairs = [pair for one in self._told() for pair in one.resource.attributes]
        return {pair.value.string_value for pair in pairs if pair.key == "service.name"}

    def _told(self) -> list[Any]:
        """Return all that was told, decoded, by who told it."""
        told = [ExportTraceServiceRequest.FromString(one) for one in self.octets]
        return [resource for one in told for resource in one.resource_spans]

    def named(self, name: str) -> list[Any]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]


def attributes(span: Span) -> dict[str, Any]:
    """Return what a span says."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


@asynccontextmanager
async def collector() -> AsyncGenerator[Collector]:
    """Run a collector."""
    made = Collector()

    async def take(request: web.Request) -> web.Response:
        made.octets.append(await request.read())
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
