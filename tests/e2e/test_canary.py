"""I40: whatever becomes of an e-mail, nothing of it and no key is in a log, a metric, a problem or a description."""

from __future__ import annotations

import base64
import os
import re
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio
from tests.e2e.town import Json, Running, Town, free_port, outcomes, reach, start, until
from tests.servers.collector import Collector, collector
from tests.servers.running import Server

WORD = "canary"
TOKENS = {
    name: f"{WORD}-{number}{name}"
    for number, name in enumerate(
        (
            "to",
            "cc",
            "name",
            "subject",
            "text",
            "html",
            "file",
            "filename",
            "tag",
            "pair",
            "value",
            "header",
            "idempotency",
            "suppressed",
            "source",
        )
    )
}
ADMIN_KEY = f"mc_live_{WORD}_zyxwvutsrqponmlk"
PROVIDER_KEY = f"SG.{WORD}-provider-key"
SECRETS = {ADMIN_KEY, PROVIDER_KEY, base64.b64encode(f"api:{PROVIDER_KEY}".encode()).decode()}
LETTER: Json = {
    "to": f"{TOKENS['name']} <{TOKENS['to']}@example.com>",
    "cc": f"{TOKENS['cc']}@example.com",
    "subject": TOKENS["subject"],
    "text": TOKENS["text"],
    "html": f"<p>{TOKENS['html']}</p>",
    "attachments": [
        {"filename": TOKENS["filename"], "content": base64.b64encode(TOKENS["file"].encode()).decode()},
    ],
    "headers": {"X-Canary": TOKENS["header"]},
    "tags": [TOKENS["tag"]],
    "metadata": {TOKENS["pair"]: TOKENS["value"]},
}
QUOTING = f"{TOKENS['to']}@example.com wrote {TOKENS['text']} with {PROVIDER_KEY}"
"""What a provider may answer: the message, the recipient and the key, said back."""

ERRORS: dict[str, tuple[Json, str]] = {
    "rejected": ({"kind": "status", "status": 400, "body": {"errors": [{"message": QUOTING}]}}, "rejected"),
    "no account": ({"kind": "status", "status": 401, "body": QUOTING}, "misconfigured"),
    "deferred": ({"kind": "status", "status": 503, "body": QUOTING}, "deferred"),
    "gateway": ({"kind": "status", "status": 502, "body": QUOTING}, "unknown"),
    "garbage": ({"kind": "garbage", "shape": "bad_json"}, "unknown"),
    "reset": ({"kind": "reset", "accept": True}, "unknown"),
    "hang": ({"kind": "hang", "accept": False, "seconds": 2}, "unknown"),
    "throttled": ({"kind": "status", "status": 429, "retry_after": 1, "body": QUOTING}, "throttled"),
}
"""What the first provider does, and what comes of it. The one for which it is left alone for a while comes last."""

WRONG: dict[str, Json] = {
    "address": {**LETTER, "to": f"{TOKENS['to']}@"},
    "unknown field": {**LETTER, "note": TOKENS["text"]},
    "wrong type": {**LETTER, "subject": {"a": TOKENS["subject"]}},
    "header name": {**LETTER, "headers": {"To": TOKENS["header"]}},
    "moment": {**LETTER, "scheduled_at": TOKENS["value"]},
}


async def start_in(place: Town, role: str, config: Path, at: str) -> Running:
    """Start a role with the keys in its environment, and wait until it answers."""
    running = start([role, "--config", str(config)], at, place.folder / f"{role}-{len(place.running)}.log")
    running.http.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
    place.running.append(running)
    await until(f"{role} answers", running.answers)
    return running


def configured(place: Town, ports: tuple[int, int], traces: str, servers: str) -> Path:
    """Write settings whose keys are in files beside them, for these servers if any."""
    port, metrics = ports
    keys = {"admin": ADMIN_KEY, "provider": PROVIDER_KEY}
    for name, key in keys.items():
        (place.folder / name).touch(0o600)
        (place.folder / name).write_text(key)
    more = (
        f'tracing.endpoint = "{traces}"\nmetrics.bind = "127.0.0.1:{metrics}"\nlog.level = "debug"\n'
        f'admin_key = {{ file = "{place.folder}/admin" }}\nrecipient_limit = {{ emails = 1000, per = "24h" }}\n'
    )
    path = place.configure("sendgrid", "mailgun", port=port, more=more)
    text = re.sub(r"^store = .*$", servers, path.read_text(), flags=re.MULTILINE) if servers else path.read_text()
    for kind in ("sendgrid", "mailgun"):
        text = text.replace(f'"key-{kind}"', f'{{ file = "{place.folder}/provider" }}')
    path.write_text(text)
    return path


def leaks(where: str, text: str) -> list[str]:
    """Return every secret and every token that stands in a text."""
    return [f"{one} in {where}: {_around(text, one)}" for one in (*TOKENS.values(), *SECRETS) if one in text]


def _around(text: str, one: str) -> str:
    """Return the place where it stands."""
    at = text.index(one)
    return text[max(0, at - 200) : at + 100]


async def submit(api: Running, key: str, letter: Json = LETTER) -> httpx.Response:
    """Post a letter under a key that is a canary itself."""
    headers = {"Idempotency-Key": f"{TOKENS['idempotency']}-{key}"}
    return await api.http.post("/api/emails", json=letter, headers=headers)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of it."""
    for name in [name for name in os.environ if name.startswith("MAILCORE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def collected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Yield a collector of traces, which is told five times a second."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    async with collector() as made:
        yield made


@pytest.mark.parametrize("form", ["embedded", "deployed"])
async def test_nothing_of_a_message_and_no_key_is_told_to_anybody_else(
    place: Town, collected: Collector, form: str, request: pytest.FixtureRequest
) -> None:
    """Success, every class of error, wrong requests and a crash, through an API and workers that log all they can."""
    port, metrics = free_port(), free_port()
    server: Server | None = request.getfixturevalue("own_redis") if form == "deployed" else None
    servers = f'store = "{request.getfixturevalue("mongo_url")}"\nqueue = "{server.url}"\n' if server else ""
    config = configured(place, (port, metrics), collected.url, servers)
    api = await start_in(place, "api", config, f"http://127.0.0.1:{port}")
    await _force(api, "sendgrid")
    worker = await start_in(place, "worker", config, f"http://127.0.0.1:{metrics}")
    told: dict[str, str] = {}

    for name, (action, outcome) in ERRORS.items():
        await place.break_down("sendgrid", action, times=1)
        email_id = (await submit(api, name)).json()["id"]
        email = await reach(api, email_id, "failed" if outcome == "rejected" else "sent")
        assert outcomes(email)[0] == ("sendgrid", outcome), name
    for name, letter in WRONG.items():
        answer = await submit(api, f"wrong {name}", letter)
        told[f"the problem {name}"] = answer.text
        assert answer.status_code == 400
    told.update(await _suppressed(api))
    told["the problem of a reused key"] = (await submit(api, "reset", {**LETTER, "subject": "another"})).text
    told["the problem of a wrong key"] = (await _wrong_key(api)).text
    told["the metrics of the API"] = (await api.http.get("/metrics")).text
    told["the description"] = (await api.http.get("/schema/openapi.json")).text
    told["the providers"] = (await api.http.get("/api/providers")).text
    await until("the traces are told", partial(are_told, collected))
    told["the metrics of the worker"] = await _metrics_after_crash(place, api, worker, config, metrics)
    if server:
        told["Redis"] = await kept(server)
        assert "sendgrid" in told["Redis"], "the health of the providers is there"
        assert ":rate:mailbox:" in told["Redis"], "what each mailbox was sent is there"
    for running in place.running:
        running.kill()
    told["the traces"] = b"".join(collected.octets).decode("latin-1")
    told.update((log.name, log.read_text()) for log in place.folder.glob("*.log"))

    assert [leak for where, text in told.items() for leak in leaks(where, text)] == []
    assert sum(text.count('"event":"attempted"') for text in told.values()) > len(ERRORS)
    assert "lease_expired" in "".join(told.values())


async def are_told(collected: Collector) -> bool:
    """Whether the traces of API and worker have come."""
    return bool(collected.named("POST /api/emails")) and len(collected.named("attempt")) >= len(ERRORS)


def crash(running: Running) -> None:
    """Kill a role and the processes that it supervises, before any of them can say goodbye."""
    pid = running.process.pid
    supervised = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (*map(int, supervised), pid):
        os.kill(one, signal.SIGKILL)
    running.process.wait()


async def kept(server: Server) -> str:
    """Return whatever a Redis holds, keys and values."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        keys = [key async for key in client.scan_iter()]
        return repr([(key, await client.dump(key), await values(client, key)) for key in keys])


async def values(client: redis.asyncio.Redis, key: bytes) -> object:
    """Return what a key holds: a dump may hold it compressed."""
    kind = (await client.type(key)).decode()
    reads: dict[str, Any] = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "stream": client.xrange,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return await reads[kind](key)


async def _force(api: Running, provider: str) -> None:
    """Have a provider asked whatever its breaker says of it."""
    answer = await api.http.put(f"/api/providers/{provider}/mode", json={"mode": "forced"})
    assert answer.status_code == 200, answer.text


async def _suppressed(api: Running) -> dict[str, str]:
    """Suppress an address, look for it, write to it, lift it, and return what was told that others may read."""
    address = f"{TOKENS['suppressed']}@example.com"
    path, entry = f"/api/suppressions/{address}", {"address": address, "source": TOKENS["source"]}
    kept = await api.http.post("/api/suppressions", json={"suppressions": [entry]})
    listed = await api.http.get("/api/suppressions", params={"address": address})
    refused = await submit(api, "suppressed", {**LETTER, "to": address, "cc": []})
    lifted = await api.http.delete(path)
    wrong = {**entry, "reason": TOKENS["value"], "expires_at": TOKENS["value"]}
    told = {
        "what was kept": kept,
        "the problem of a suppressed one": refused,
        "the problem of one that is not suppressed": await api.http.delete(path),
        "the problem of another method": await api.http.put(path, json={}),
        "the problem of a wrong suppression": await api.http.post("/api/suppressions", json={"suppressions": [wrong]}),
    }
    assert [one.status_code for one in (listed, lifted, *told.values())] == [200, 200, 200, 422, 404, 405, 400]
    assert address in listed.text
    return {name: answer.text for name, answer in told.items()}


async def _wrong_key(api: Running) -> httpx.Response:
    """Return the answer to a key that is almost right."""
    return await api.http.get("/api/emails", headers={"Authorization": f"Bearer {ADMIN_KEY}x"})


async def _metrics_after_crash(place: Town, api: Running, worker: Running, config: Path, metrics: int) -> str:
    """Kill a worker in mid-send, let another one take over, and return its metrics."""
    await place.break_down("sendgrid", {"kind": "hang", "accept": True}, times=1)
    await place.break_down("mailgun", {"kind": "hang", "accept": True}, times=1)
    email_id: Any = (await submit(api, "crash")).json()["id"]
    await until("a provider has it", lambda: place.requests(email_id=email_id))
    crash(worker)
    heir = await start_in(place, "worker", config, f"http://127.0.0.1:{metrics}")
    await reach(api, email_id, "sent")
    return (await heir.http.get("/metrics")).text
