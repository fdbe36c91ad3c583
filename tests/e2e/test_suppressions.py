"""Who is suppressed is not written to, by any process, though what was to go there was accepted before."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.e2e.redis_town import redis_town
from tests.e2e.town import Running, Town, accept, post, reach, show, town

OBEYED = timedelta(seconds=5)
EVE = "eve@example.com"
Deployment = tuple[Town, Running]


@pytest.fixture(params=["embedded", "deployed"])
async def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Deployment]:
    """Yield a town and its API; a worker is another process, on one SQLite file or on MongoDB and Redis."""
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            place = await stack.enter_async_context(town(tmp_path))
            await place.service("sendgrid", role="worker")
            yield place, await place.service("sendgrid", role="api")
        else:
            mongo, redis = (request.getfixturevalue(name) for name in ("mongo_url", "shared_redis"))
            built = await stack.enter_async_context(redis_town(tmp_path, mongo, redis))
            await built.worker()
            yield built.town, await built.api()


async def suppress(api: Running, address: str) -> None:
    """Suppress an address."""
    answer = await api.http.post("/api/suppressions", json={"suppressions": [{"address": address}]})
    assert answer.status_code == 200, answer.text


async def test_what_was_accepted_before_is_sent_to_nobody_who_is_suppressed_since(deployment: Deployment) -> None:
    """It is a dead letter that no provider was asked about, or goes to the others; lifted and redriven it is sent."""
    place, api = deployment
    await reach(api, await accept(api), "sent")  # by now the worker knows that nobody is suppressed
    later = (datetime.now(UTC) + OBEYED + timedelta(seconds=1)).isoformat()
    email_id, shared = [await accept(api, **more, scheduled_at=later) for more in ({"to": EVE}, {"cc": EVE})]

    await suppress(api, "Eve@Example.com")
    refused = await post(api, to=f"Eve <{EVE}>")
    failed, sent = await reach(api, email_id, "failed"), await reach(api, shared, "sent")
    dead = (await api.http.get("/api/dead-letters", params={"reason": "suppressed"})).json()["data"]
    asked = await place.requests()

    assert (refused.status_code, refused.json()["code"]) == (422, "suppressed")
    assert failed["reason"] == "suppressed"
    assert [one["id"] for one in dead] == [email_id]
    assert [row["recipients"] for row in asked] == [["ann@example.com"]] * 2
    assert sent["attempts"][-1]["detail"].startswith("left out, as suppressed: /cc/0")

    lifted = await api.http.delete(f"/api/suppressions/{EVE}")
    redriven = await api.http.post(f"/api/dead-letters/{email_id}/redrive")
    await reach(api, email_id, "sent")

    assert (lifted.status_code, redriven.status_code) == (200, 200)
    assert [row["recipients"] for row in await place.requests(email_id=email_id)] == [[EVE]]


async def test_a_lane_that_goes_on_obeys_what_was_said_while_it_was_paused(place: Town) -> None:
    """Within one process at once; the timeline says why, and what to do."""
    service = await place.service("sendgrid")
    answer = await service.http.put("/api/lanes/all/pause", json={"paused": True})
    assert answer.status_code == 200
    ids = [await accept(service, to=to) for to in (EVE, "ann@example.com")]

    await suppress(service, EVE)
    paused = [(await show(service, email_id))["status"] for email_id in ids]
    await service.http.put("/api/lanes/all/pause", json={"paused": False})
    failed, _ = await reach(service, ids[0], "failed"), await reach(service, ids[1], "sent")

    assert paused == ["queued", "queued"]
    assert failed["history"][-1]["note"] == "left out, as suppressed: /to/0; nobody else is written to"
    assert await place.accepted() == [ids[1]]
