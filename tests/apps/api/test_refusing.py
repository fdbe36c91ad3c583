"""What is refused, and how: always a problem, with every wrong part, never with what was sent at length."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.apps.api.world import JSON, World, message, pointers

from mailapps.api.body import decoded
from mailapps.api.config import log_crash
from mailapps.api.problems import ApiCode, RefusedError
from mailcore.provider import Capabilities, Feature
from mailcore.testing import ScriptedProvider

LONG = "x" * 5000


async def post(api: httpx.AsyncClient, body: bytes) -> httpx.Response:
    """Post bytes as JSON."""
    return await api.post("/api/emails", content=body, headers=JSON)


async def test_every_wrong_field_is_told_at_once(api: httpx.AsyncClient) -> None:
    """A caller mends a message in one go, not field by field."""
    body = {
        "to": [5, {"email": "a@b.example", "nome": "A"}],
        "subject": None,
        "attachments": [{"filename": "a", "content": "***"}, {"content": "QQ=="}],
        "headers": {"X-A": 1},
        "lane": "fast",
        "scheduled_at": "tomorrow",
        "expires_at": 1893456000,
        "body": "x",
    }

    answer = await api.post("/api/emails", json=body)

    assert answer.status_code == 400
    assert pointers(answer) == [
        ("/from", "required"),
        ("/to/0", "wrong_type"),
        ("/to/1/nome", "unknown_field"),
        ("/subject", "wrong_type"),
        ("/text", "required"),
        ("/attachments/0/content", "invalid_base64"),
        ("/attachments/1/filename", "required"),
        ("/headers/X-A", "wrong_type"),
        ("/lane", "invalid_choice"),
        ("/scheduled_at", "invalid_time"),
        ("/expires_at", "wrong_type"),
        ("/body", "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/emails", {"lane": "fast"}, "urgent, transactional, bulk"),
        ("/api/emails", {"on_unknown": "never"}, "retry, hold"),
        ("/api/emails/em_1/resolve", {"as": "maybe"}, "sent, retry, failed, cancelled"),
    ],
)
async def test_a_wrong_choice_is_told_what_there_is(
    api: httpx.AsyncClient, path: str, body: dict[str, object], words: str
) -> None:
    """Nobody has to look into the reference to mend a misspelt word."""
    answer = await api.post(path, json=body)

    assert f"must be one of {words}" in [one["detail"] for one in answer.json()["errors"]]


async def test_every_wrong_content_is_told_at_once(api: httpx.AsyncClient) -> None:
    """What mailcore finds wrong in a well-formed message comes with its pointers, too."""
    answer = await api.post("/api/emails", json={"to": ["nobody", "ann@example.com"], "subject": "a\nb", "text": "x"})

    assert pointers(answer) == [
        ("/from", "required"),
        ("/to/0", "invalid_address"),
        ("/subject", "control_character"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"subject": "\xff"}',
        b'{"subject": "\xed\xa0\x80"}',
        b'{"subject": NaN}',
        b'{"subject": Infinity}',
        b'{"subject": "\\ud800"}',
        b'{"subject": "\\udc00 x"}',
        b"[" * 100_000,
        b'{"to":' * 1000 + b"1" + b"}" * 1000,
        b'{"to":' * 100 + b"1" + b"}" * 100,
        b"[" * 33 + b"]" * 33,
    ],
)
async def test_what_is_no_json_is_malformed(api: httpx.AsyncClient, body: bytes) -> None:
    """Broken, mis-encoded and bottomless bodies are answered 400, whatever the decoder raises."""
    answer = await post(api, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


def test_a_decoder_that_runs_out_of_stack_is_malformed_json() -> None:
    """Whatever a route takes, the decoder's RecursionError is a refusal."""
    with pytest.raises(RefusedError) as refused:
        decoded(b"[" * 100_000, list, lambda _: ())

    assert refused.value.code is ApiCode.MALFORMED_JSON


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"1" * 400, b"[" * 32 + b"]" * 32])
async def test_json_that_is_no_object_is_pointed_at_as_a_whole(api: httpx.AsyncClient, body: bytes) -> None:
    """The pointer to the whole body is empty."""
    answer = await post(api, body)

    assert (answer.status_code, pointers(answer)[0][0]) == (400, "")


@pytest.mark.parametrize("number", ["9" * 400, "1e400", "-1e400", "1.5", "true"])
async def test_a_number_of_any_size_is_no_text(api: httpx.AsyncClient, number: str) -> None:
    """Huge numbers are wrong like others, and crash nothing."""
    answer = await post(api, b'{"subject": %s, "to": "a@b.example", "text": "x"}' % number.encode())

    assert answer.status_code == 400
    assert answer.json()["code"] in {"invalid_request", "malformed_json"}


async def test_of_duplicate_keys_the_last_is_meant(world: World, api: httpx.AsyncClient) -> None:
    """A duplicate key is the decoder's to settle, and what was decoded is what is fingerprinted."""
    body = json.dumps(message()).encode()
    twice = body.replace(b'"subject"', b'"subject": "first", "subject"')
    keyed = {**JSON, "Idempotency-Key": "twice"}

    answers = [await api.post("/api/emails", content=one, headers=keyed) for one in (twice, body)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert len(world.store.emails) == 1


@pytest.mark.parametrize(
    "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
async def test_a_body_that_is_not_called_json_is_not_read(api: httpx.AsyncClient, given: str) -> None:
    """A form of another site may post text/plain without asking; nothing here takes it."""
    answer = await api.post("/api/emails", content=json.dumps(message()), headers={"Content-Type": given})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("given", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"])
async def test_json_by_any_spelling_is_read(api: httpx.AsyncClient, given: str) -> None:
    """Media types know no case, and parameters change nothing."""
    answer = await api.post("/api/emails", content=json.dumps(message()), headers={"Content-Type": given})

    assert answer.status_code == 201


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_nothing_is_inflated(api: httpx.AsyncClient, encoding: str) -> None:
    """A compressed body is refused unread: no bomb goes off."""
    answer = await api.post("/api/emails", content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": encoding})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    "body",
    [
        {"lane": LONG},
        {LONG: 1},
        {"to": {LONG: 1}},
        {"headers": {LONG: 1}},
        {"scheduled_at": LONG},
        {"attachments": [{"filename": "a", "content": LONG + "*"}]},
        {"to": LONG},
        {"subject": LONG},
        {"tags": [LONG]},
        {"metadata": {LONG: "x"}},
    ],
)
async def test_no_refusal_repeats_long_input(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """An answer that echoes what was sent ends up in logs and pages."""
    answer = await api.post("/api/emails", json=body)

    assert answer.status_code == 400
    assert "x" * 65 not in answer.text


async def test_long_paths_and_parameters_are_not_repeated_either(api: httpx.AsyncClient) -> None:
    """The instance is the path, cut."""
    answers = [
        await api.get(f"/api/{LONG}"),
        await api.get(f"/api/emails/{LONG}"),
        await api.get(f"/api/emails?{LONG}=1"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 400]
    assert all("x" * 65 not in answer.text for answer in answers)


async def test_a_message_that_no_provider_can_carry_is_refused(world: World) -> None:
    """Capabilities are looked at before anything is promised."""
    world.provider = ScriptedProvider(
        "plain", capabilities=Capabilities(max_bytes=100, max_recipients=1, features=frozenset({Feature.TEXT_ONLY}))
    )
    async with world.client() as api:
        answer = await api.post("/api/emails", json=message(tags=["receipt"]))

    assert (answer.status_code, answer.json()["code"]) == (422, "no_provider")
    assert answer.json()["errors"] == [
        {"pointer": "", "code": "cannot_carry", "detail": "plain: cannot express tags"},
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/api", 404, "not_found"),
        ("GET", "/schema/other", 404, "not_found"),
        ("GET", "/docs/../etc/passwd", 404, "not_found"),
        ("GET", "/docs/nothing.js", 404, "not_found"),
        ("GET", "/api/emails/em_nobody", 404, "email_not_found"),
        ("GET", "/api/emails/em_nobody/content", 404, "email_not_found"),
        ("GET", "/api/emails/%00", 404, "email_not_found"),
        ("GET", "/api/emails/%FF%FE", 404, "email_not_found"),
        ("POST", "/api/emails/em_nobody/cancel", 404, "email_not_found"),
        ("POST", "/api/dead-letters/em_nobody/redrive", 404, "email_not_found"),
        ("DELETE", "/api/emails", 405, "method_not_allowed"),
        ("PUT", "/health/live", 405, "method_not_allowed"),
        ("BREW", "/api/emails", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_told_as_a_problem(
    api: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """The framework's own refusals speak as ours do."""
    answer = await api.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_exception_that_nobody_expected_shows_nothing_of_itself(world: World) -> None:
    """A crash is answered 500 without its text, and told to us under the request's id."""
    world.store.list = None
    async with world.client() as api:
        answer = await api.get("/api/emails", headers={"X-Request-Id": "mine"})

    assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (500, "internal_error", "mine")
    assert "NoneType" not in answer.text
    assert [type(error) for error in world.crashes] == [TypeError]


def test_a_crash_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """The text of an exception may quote a message; its class and its frames do not."""
    with pytest.raises(ValueError, match="int") as caught:
        int("canary".upper())

    log_crash("req_1", caught.value)

    assert "req_1" in caplog.text
    assert "ValueError" in caplog.text
    assert "CANARY" in str(caught.value)
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "/api/dead-letters/redrive", {"limit": "x", "to": "nobody"}, {"/limit", "/to"}),
        ("POST", "/api/dead-letters/redrive", {"lane": "fast"}, {"/lane"}),
        ("POST", "/api/emails/cancel", {"status": "lost", "to": "nobody", "more": 1}, {"/status", "/to", "/more"}),
        ("POST", "/api/emails/em_1/resolve", {"note": "a\nb"}, {"/as", "/note"}),
        ("PUT", "/api/lanes/bulk/pause", {"paused": 1, "reason": "a\nb"}, {"/paused", "/reason"}),
        ("PUT", "/api/providers/p1/mode", {"until": "2000-01-01T00:00:00Z"}, {"/mode", "/until"}),
        (
            "POST",
            "/api/keys",
            {"name": "a\nb", "senders": [1], "tenant": "A B"},
            {"/scopes", "/name", "/senders/0", "/tenant"},
        ),
        ("POST", "/api/erasures", {"recipient": "nobody", "dry_run": "yes"}, {"/recipient", "/dry_run"}),
    ],
)
async def test_faults_of_shape_and_of_meaning_are_told_together(
    api: httpx.AsyncClient, method: str, path: str, body: dict[str, object], told: set[str]
) -> None:
    """Whoever mends what an answer names need not ask again to hear of the rest."""
    answer = await api.request(method, path, json=body)

    assert answer.status_code == 400
    assert {one["pointer"] for one in answer.json()["errors"]} == told
