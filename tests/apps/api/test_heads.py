"""The head of every answer: a request id, and nothing for a browser to do."""

from __future__ import annotations

import httpx
import pytest
from tests.apps.api.world import World, message

PATHS = ["/api/emails", "/api/emails/em_nobody", "/nothing", "/health/live", "/docs", "/schema/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_sealed(api: httpx.AsyncClient, path: str) -> None:
    """No sniffing, no referrer, no frame, whatever the answer is."""
    answer = await api.get(path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers.get_list("Content-Security-Policy") == [answer.headers["Content-Security-Policy"]]
    assert answer.headers["X-Request-Id"].startswith("req_")


async def test_what_is_personal_is_not_kept(api: httpx.AsyncClient) -> None:
    """E-mails are in no cache between us and the caller."""
    answer = await api.get("/api/emails")

    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_callers_request_id_is_answered(api: httpx.AsyncClient) -> None:
    """A caller finds its own id in the head and in the problem."""
    answer = await api.get("/api/emails/em_nobody", headers={"X-Request-Id": "order-42:a_b.c"})

    assert answer.headers["X-Request-Id"] == answer.json()["request_id"] == "order-42:a_b.c"


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "é", "<script>", "a,b"])
async def test_an_unsafe_request_id_is_replaced(api: httpx.AsyncClient, given: str) -> None:
    """What goes into logs is 1 to 64 plain characters."""
    answer = await api.get("/health/live", headers={b"X-Request-Id": given.encode("latin-1")})

    assert answer.headers["X-Request-Id"].startswith("req_")


async def test_each_request_has_its_own_id(api: httpx.AsyncClient) -> None:
    """Two requests are never one in the logs."""
    answers = [await api.get("/health/live") for _ in range(2)]

    assert answers[0].headers["X-Request-Id"] != answers[1].headers["X-Request-Id"]


async def test_liveness_asks_nobody(world: World, api: httpx.AsyncClient) -> None:
    """A process whose store is away lives."""
    world.store.down = world.queue.down = world.health.down = True

    answer = await api.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "1.2.3"})


async def test_a_store_that_blinks_does_not_empty_the_service(world: World) -> None:
    """Readiness names what does not answer and stays true (I38)."""
    world.store.down = True

    async def look() -> None:
        await world.store.get("em_nobody")

    async def fine() -> None:
        return

    async with world.client(probes={"store": look, "queue": fine}) as api:
        answer = await api.get("/health/ready")

    assert (answer.status_code, answer.json()["status"], answer.json()["degraded"]) == (200, "ready", ["store"])


async def test_a_draining_process_is_not_ready(world: World) -> None:
    """On the way out readiness is false, and requests are answered all the same (I38)."""
    async with world.client(draining=lambda: True) as api:
        ready, accepted = await api.get("/health/ready"), await api.post("/api/emails", json=message())

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert accepted.status_code == 201
