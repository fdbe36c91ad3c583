"""The listener of a process without an API: its answers are those of the API, without the API's framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.apps.api.world import World

from mailapps.api.app import create_app
from mailapps.api.config import ApiConfig
from mailapps.api.listener import Listener

LOCAL, FOREIGN = {"Host": "localhost:8025"}, {"Host": "rebound.example"}
PATHS = ("/metrics", "/health/live", "/health/ready", "/nowhere")


async def scrape() -> bytes:
    """Return some metrics."""
    return b"mailcore_accepted_total 1\n"


async def broken() -> None:
    """Answer to nobody."""
    raise ConnectionError


def config_of(world: World) -> ApiConfig:
    """Return settings with metrics, and with a store that does not answer."""
    return replace(world.config(), scrape=scrape, probes={"store": broken})


@dataclass(frozen=True)
class Asked:
    """Where one request is sent."""

    app: Any

    async def __call__(self, method: str, path: str, heads: Mapping[str, str]) -> httpx.Response:
        """Send it, under a name that the answer repeats."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path, headers={"X-Request-Id": "one", **heads})


def told(answer: httpx.Response) -> tuple[int, Mapping[str, object], object]:
    """Return what an answer says; the order of the methods in Allow, and which routes there are, aside."""
    heads: dict[str, object] = {**answer.headers}
    heads["allow"] = frozenset(answer.headers.get("allow", "").split(", "))
    if answer.status_code != 404:
        return answer.status_code, heads, answer.content
    del heads["content-length"]
    body = answer.json() if answer.content else {}
    return 404, heads, {key: value for key, value in body.items() if key != "detail"}


@pytest.mark.parametrize("heads", [LOCAL, FOREIGN], ids=["local", "foreign"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
async def test_it_answers_as_the_api_does(world: World, method: str, path: str, heads: Mapping[str, str]) -> None:
    """Status, head and body of every answer are those of an API on loopback that asks for no key."""
    config = config_of(world)
    api, listener = Asked(create_app(world.assemble().mailer, config)), Asked(Listener(config=config, loopback=True))

    mine = await listener(method, path, heads)

    assert told(mine) == told(await api(method, path, heads))


async def test_a_slash_at_the_end_changes_nothing(world: World) -> None:
    """The API does not mind one, either."""
    listener = Asked(Listener(config=config_of(world), loopback=True))

    answer = await listener("GET", "/metrics/", LOCAL)

    assert (answer.status_code, answer.content) == (200, await scrape())


async def test_off_loopback_metrics_are_told_under_any_name(world: World) -> None:
    """An address that others reach has a name of its own, and who may reach it is the network's to say."""
    listener = Asked(Listener(config=config_of(world), loopback=False))

    answer = await listener("GET", "/metrics", FOREIGN)

    assert (answer.status_code, answer.content) == (200, await scrape())


async def test_on_its_way_out_it_is_not_ready(world: World) -> None:
    """An orchestrator hears it by the status."""
    listener = Asked(Listener(config=replace(config_of(world), draining=lambda: True), loopback=True))

    answer = await listener("GET", "/health/ready", LOCAL)

    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


async def test_without_the_library_it_says_what_to_install(world: World) -> None:
    """Metrics that cannot be told are a refusal, and no fault."""
    listener = Asked(Listener(config=replace(config_of(world), scrape=None), loopback=True))

    answer = await listener("GET", "/metrics", LOCAL)

    assert answer.status_code == 404
    assert "mailcore-engine[metrics]" in answer.json()["detail"]


async def test_a_fault_is_answered_and_told_to_us(world: World) -> None:
    """Whoever asks hears that something is broken, under a name by which we find what it was, and no more."""

    async def fail() -> bytes:
        raise LookupError("a secret")

    listener = Asked(Listener(config=replace(config_of(world), scrape=fail), loopback=True))

    answer = await listener("GET", "/metrics", LOCAL)

    assert (answer.status_code, answer.json()["request_id"], answer.headers["retry-after"]) == (500, "one", "1")
    assert "secret" not in answer.text
    assert [type(error) for error in world.crashes] == [LookupError]
