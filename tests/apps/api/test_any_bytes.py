"""Whatever is posted, the answer is one that is documented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apps.api.world import JSON, MESSAGE, World

ADDRESSES = ("from", "to", "cc", "bcc", "reply_to")
FIELDS = st.sampled_from(
    [*MESSAGE, *ADDRESSES, "attachments", "headers", "tags", "metadata", "lane", "scheduled_at", "x"]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["ann@example.com", "2030-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "bulk", "QQ==", "\r\n"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=8), inner, max_size=4),
        st.fixed_dictionaries({"filename": inner, "content": inner}),
        st.fixed_dictionaries({"email": inner}),
    ),
    max_leaves=12,
)
MESSAGES = st.dictionaries(FIELDS, VALUES, max_size=5).map(lambda some: {**MESSAGE, **some})
ROUTES = ("/api/emails", "/api/route/explain", "/api/dead-letters/redrive", "/api/emails/em_x/resolve")
WORLD = World()
API = WORLD.app()
PROBLEM = {"type", "title", "status", "code", "detail", "instance", "request_id", "retryable"}


def assert_documented(answer: httpx.Response) -> None:
    """Fail unless an answer is a success, or a problem below 500."""
    assert answer.status_code in {200, 201, 400, 404, 409, 413, 415, 422}, answer.text
    if answer.status_code > 201:
        told: Mapping[str, object] = answer.json()
        assert set(told) - {"errors"} == PROBLEM
        assert told["status"] == answer.status_code


async def post(path: str, body: bytes, headers: Mapping[Any, Any] = JSON) -> httpx.Response:
    """Post a body to an API that has seen all examples before, as a real one has."""
    async with WORLD.client(API) as api:
        answer = await api.post(path, content=body, headers=headers)
    assert WORLD.crashes == []
    return answer


@pytest.mark.parametrize("path", ROUTES)
@settings(max_examples=60, deadline=None)
@given(body=st.one_of(st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode())))
async def test_any_body_gets_a_documented_answer(path: str, body: bytes) -> None:
    """No bytes and no JSON make the API answer 500."""
    assert_documented(await post(path, body))


@settings(max_examples=200, deadline=None)
@given(value=MESSAGES)
async def test_any_message_gets_a_documented_answer(value: Mapping[str, object]) -> None:
    """A message with any value in any field is accepted or refused, with pointers."""
    answer = await post("/api/emails", json.dumps(value).encode())

    assert_documented(answer)
    if answer.status_code == 400 and answer.json()["code"] == "invalid_request":
        assert answer.json()["errors"]


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["metadata", "after", "limit", "to", "tag", "created_after", "possible_duplicate", ""]),
    value=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)),
)
async def test_any_query_string_gets_a_documented_answer(name: str, value: bytes) -> None:
    """No query string makes a list answer 500."""
    async with WORLD.client(API) as api:
        answer = await api.get(f"/api/emails?{name}={quote_from_bytes(value, safe='&=+')}")

    assert_documented(answer)
    assert WORLD.crashes == []


@settings(max_examples=60, deadline=None)
@given(
    key=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=300),
    content_type=st.sampled_from(["application/json", "text/plain", ""]),
)
async def test_any_key_gets_a_documented_answer(key: str, content_type: str) -> None:
    """No header makes the API answer 500."""
    headers = {b"Idempotency-Key": key.encode("latin-1"), b"Content-Type": content_type.encode()}

    assert_documented(await post("/api/emails", json.dumps(dict(MESSAGE)).encode(), headers))
