"""The OpenAPI description: every route, as it is, and no change of it by accident."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
from tests.apps.api.rights_table import TABLE

from mailapps.api.openapi import document

SNAPSHOT = Path(__file__).parent / "openapi.json"


def refs(node: object) -> Iterator[str]:
    """Yield every reference in a description."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def test_the_description_is_the_one_we_know() -> None:
    """The API only grows: see the difference, then keep it by `python -m tests.apps.api.test_description`."""
    assert json.loads(document("0")) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_route_of_the_api_is_described() -> None:
    """There is no undocumented route."""
    described = json.loads(document("0"))["paths"]

    found = {(method.upper(), path) for path, operations in described.items() for method in operations}
    assert found == {(method, path) for method, path in TABLE if path.startswith(("/api", "/health"))}


def test_what_everybody_needs_comes_first() -> None:
    """The page at /docs opens with sending an e-mail and ends with health; no route is outside its sections."""
    described = json.loads(document("0"))

    sections = [section["name"] for section in described["tags"]]
    of_paths = [next(iter(operations.values()))["tags"][0] for operations in described["paths"].values()]
    assert (sections[0], sections[-1]) == ("emails", "health")
    assert sorted(sections) == sorted(set(of_paths))
    assert (
        next(path for path, tag in zip(described["paths"], of_paths, strict=True) if tag == "emails") == "/api/emails"
    )


def test_every_reference_leads_somewhere() -> None:
    """A client can be generated from it."""
    described = json.loads(document("0"))

    assert {ref.rpartition("/")[2] for ref in refs(described)} <= set(described["components"]["schemas"])


def test_what_the_decoder_refuses_the_description_refuses() -> None:
    """Unknown fields are refused, attachments are base64, and a message's fields are explained."""
    schemas = json.loads(document("0"))["components"]["schemas"]

    assert schemas["Message"]["additionalProperties"] is False
    assert schemas["Attachment"]["properties"]["content"]["contentEncoding"] == "base64"
    assert "default_from" in schemas["Message"]["properties"]["from"]["description"]
    assert "Attributes" not in json.dumps(schemas)


async def test_it_is_served(api: httpx.AsyncClient) -> None:
    """Clients and the page at /docs read it from one place."""
    answer = await api.get("/schema/openapi.json")

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["info"]["version"] == "1.2.3"


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(json.loads(document("0")), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
