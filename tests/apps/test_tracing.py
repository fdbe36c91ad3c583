"""Traces: the real app and engine tell a collector over HTTP, and what they tell is ids and closed lists."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.servers.collector import Collector, attributes, collector
from tests.servers.running import free_port

from mailapps.api.app import create_app
from mailapps.container import opened
from mailapps.emulator import running_emulator
from mailapps.settings import Settings, TracingSettings
from mailapps.tuning import Role
from mailcore.assembly import running
from mailcore.events import Event, Happening
from mailcore.secret import Secret

PARENT = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
LETTER = {"to": "ann@example.com", "subject": "canary-subject", "text": "canary-text"}
ALLOWED = {
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "mailcore.email_id",
    "mailcore.provider",
    "mailcore.attempt",
    "mailcore.outcome",
    "mailcore.status",
    "mailcore.reason",
    "mailcore.lane",
    "mailcore.found",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of whoever runs the tests out of it."""
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)


@pytest.fixture
async def collected() -> AsyncIterator[Collector]:
    """Yield a collector."""
    async with collector() as made:
        yield made


async def traced(folder: Path, endpoint: str, *, sampled: bool = True) -> tuple[str, httpx.Response]:
    """Post an e-mail in a trace of the caller's, have it sent, ask a few more things, and end; return its id."""
    async with running_emulator() as emulator:
        tables = {
            kind: {"kind": "sendgrid", "api_key": Secret("SG.canary-key"), "base_url": f"{emulator.url}/sendgrid"}
            for kind in ("first", "second")
        }
        settings = Settings(
            store=f"sqlite:///{folder}/mail.db",
            default_from="no-reply@shop.example",
            providers=tables,
            tracing=TracingSettings(endpoint=endpoint),
        )
        async with opened(settings, Role.UP) as parts:
            made, tracing = parts.assembled(), parts.tracing()
            assert tracing is not None
            app = tracing.around(create_app(made.mailer, parts.api()))
            transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar types scopes more narrowly
            head = {"traceparent": f"00-{PARENT}-{SPAN}-0{int(sampled)}", "Idempotency-Key": "canary-idempotency"}
            async with running(made.engine), httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
                posted = await api.post("/api/emails", json=LETTER, headers=head)
                await made.mailer.wait(posted.json()["id"])
                await api.get("/api/emails", params={"to": "canary@example.com"})
                await api.get("/api/canary-path")
                await api.request("CANARY", "/api/emails")
    return posted.json()["id"], posted


async def test_a_request_joins_the_trace_of_its_caller(tmp_path: Path, collected: Collector) -> None:
    """W3C trace context: the POST is a part of what its caller does, and making it durable a part of the POST."""
    email_id, _ = await traced(tmp_path, collected.url)

    [post] = collected.named("POST /api/emails")
    [submit] = collected.named("submit")
    assert (post.trace_id.hex(), post.parent_span_id.hex()) == (PARENT, SPAN)
    assert (submit.trace_id, submit.parent_span_id) == (post.trace_id, post.span_id)
    assert attributes(post)["http.response.status_code"] == 201
    assert attributes(submit)["mailcore.email_id"] == email_id
    assert collected.services == {"mailcore-up"}


async def test_an_attempt_is_a_trace_with_its_parts(tmp_path: Path, collected: Collector) -> None:
    """Claim, call and save stand in their order; the e-mail's id finds it."""
    email_id, _ = await traced(tmp_path, collected.url)

    [attempt] = collected.named("attempt")
    parts = sorted(
        (span for span in collected.spans if span.parent_span_id == attempt.span_id),
        key=lambda span: (span.start_time_unix_nano, span.end_time_unix_nano),
    )
    said = attributes(attempt)
    assert attempt.parent_span_id == b""
    assert sorted(span.name for span in parts) == ["claim", "provider call", "save"]
    assert parts[0].start_time_unix_nano == attempt.start_time_unix_nano
    assert parts[-1].end_time_unix_nano == attempt.end_time_unix_nano
    assert (said["mailcore.email_id"], said["mailcore.outcome"]) == (email_id, "accepted")


async def test_what_is_told_is_ids_and_closed_lists(tmp_path: Path, collected: Collector) -> None:
    """I40: no address, content, key, path or query is in a span, whatever a caller asks."""
    await traced(tmp_path, collected.url)

    octets = b"".join(collected.octets).lower()
    assert b"canary" not in octets
    assert b"example.com" not in octets
    assert {key for span in collected.spans for key in attributes(span)} <= ALLOWED
    assert {"GET /api/emails", "_OTHER"} <= {span.name for span in collected.spans}


async def test_who_wants_no_trace_gets_none(tmp_path: Path, collected: Collector) -> None:
    """A caller that has not sampled its trace decides for its request too."""
    await traced(tmp_path, collected.url, sampled=False)

    assert collected.named("POST /api/emails") == []
    assert collected.named("submit") == []
    assert len(collected.named("attempt")) == 1


async def test_a_sweep_is_told(tmp_path: Path, collected: Collector) -> None:
    """How long the scheduler took to wake how many up."""
    settings = Settings(store=f"sqlite:///{tmp_path}/mail.db", tracing=TracingSettings(endpoint=collected.url))
    async with opened(settings, Role.SCHEDULER) as parts:
        began = parts.clock().now()
        parts.told()(Event(what=Happening.SWEPT, email_id="", note="3 of bulk", began=began))

    [sweep] = collected.named("sweep")
    assert attributes(sweep) == {"mailcore.found": "3 of bulk"}


async def test_a_collector_that_is_not_there_costs_nobody_an_e_mail(tmp_path: Path) -> None:
    """Requests, attempts and the end of the process wait for it a few seconds at most."""
    async with asyncio.timeout(30):
        _, posted = await traced(tmp_path, f"http://127.0.0.1:{free_port()}")

    assert posted.status_code == 201


def test_off_nothing_of_it_is_loaded() -> None:
    """By default there are no traces, and their libraries cost neither memory nor time."""
    program = (
        "import json, sys, mailapps.cli.running, mailapps.api.server, mailapps.aws_lambda, mailapps.container as c\n"
        "from mailapps.settings import Settings\n"
        "made = c.Container(settings=Settings(), role=c.Role.UP)\n"
        "made.assembled(), made.tracing()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    loaded: list[Any] = json.loads(run.stdout)
    assert "mailapps.api.server" in loaded
    assert [name for name in loaded if name.startswith(("opentelemetry", "aiobotocore", "botocore"))] == []
