"""The OpenAPI description, drawn from the routes and the Structs that they take and give. Pure.

Made here and not by the framework: msgspec's own schemas say what its decoder does (unknown fields, base64,
bounds), and every answer below 500 that is no success is the same problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from msgspec import Struct

from mailapps.api import vitals
from mailapps.api.filters import DeadLetterListing, Listing
from mailapps.api.problems import MEDIA_TYPE, ProblemBody
from mailapps.api.routes import ROUTES
from mailapps.api.suppression_rules import SuppressionListing
from mailapps.api.suppressions import LINES
from mailcore.message import Message

Node = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_QUERIES: Final[Mapping[str, type[Struct]]] = {
    "list_emails": Listing,
    "list_dead_letters": DeadLetterListing,
    "list_suppressions": SuppressionListing,
}
_MEDIA: Final = {"export_suppressions": LINES}
_ALSO: Final = {
    "cancel_email": {"202": "It is being sent, and will be withdrawn should this attempt fail."},
    "show_readiness": {"503": "The process is on its way out."},
}
_TEXT: Final = {"type": "string"}
_HEADERS: Final = {
    "submit_email": {
        "Location": {"description": "The path of the e-mail.", "schema": _TEXT},
        "Idempotency-Replayed": {"description": "`true` if the key had made this e-mail before.", "schema": _TEXT},
    }
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Your name for this submission: however often it is sent, one key makes one e-mail.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_TAGS: Final = {"email": "emails", "route": "providers"}
_SECTIONS: Final = {
    "emails": "Hand over a message, and see what became of it.",
    "dead-letters": "What could not be sent, and how to put it back.",
    "suppressions": "Who must not be written to.",
    "providers": "How the providers stand, and which of them would take a message.",
    "lanes": "Pause and resume.",
    "switches": "What has been switched by hand.",
    "keys": "API keys.",
    "erasures": "Take out what is known of a person.",
    "health": "For whoever watches the process.",
}
"""In the order of the page at /docs: what everybody needs comes first."""

_EXAMPLE: Final = {
    "from": "Shop <no-reply@shop.example>",
    "to": ["Ann <ann@example.com>"],
    "subject": "Your receipt",
    "text": "Thank you.",
    "metadata": {"order": "42"},
}
_KIND: Final = re.compile(r":\w+}")
_PLACE: Final = re.compile(r"{(\w+)}")
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def document(version: str) -> bytes:
    """Return the description as JSON."""
    handlers = [("/api", one) for one in ROUTES]
    handlers += [("", one) for one in vitals.ROUTES]
    kinds: list[type] = [kind for _, handler in handlers for kind in _bodies(handler)]
    kinds = [*dict.fromkeys(kinds), ProblemBody]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    refs: Mapping[type, Node] = dict(zip(kinds, schemas, strict=True))
    described: Node = {
        "openapi": "3.1.0",
        "info": {"title": "mailcore", "version": version, "summary": "Hand it a message; it sees to the sending."},
        "tags": [{"name": name, "description": said} for name, said in _SECTIONS.items()],
        "paths": _paths(handlers, refs),
        "components": {
            "schemas": _explained(components, kinds),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(described)


def _bodies(handler: HTTPRouteHandler) -> Iterator[type]:
    """Yield what a route gives and takes; a stream gives text."""
    hints = get_type_hints(handler.fn)
    given = hints["return"]
    yield str if given is Stream else get_args(given)[0] if get_origin(given) is Response else given
    if "data" in hints:
        yield hints["data"]


def _paths(handlers: list[tuple[str, HTTPRouteHandler]], refs: Mapping[type, Node]) -> Node:
    """Return every path with its operations."""
    paths: Node = {}
    for prefix, handler in handlers:
        for at in sorted(handler.paths, reverse=True):
            path = f"{prefix}{_KIND.sub('}', at)}"
            (method,) = handler.http_methods
            paths.setdefault(path, {})[method.lower()] = _operation(handler, path, refs)
    return dict(sorted(paths.items(), key=lambda item: (item[0] == "/api/email", item)))  # the other name comes last


def _operation(handler: HTTPRouteHandler, path: str, refs: Mapping[type, Node]) -> Node:
    """Return one route."""
    name = handler.fn.__name__
    given, *taken = _bodies(handler)
    operation: Node = {
        "operationId": name if path != "/api/email" else f"{name}_singular",
        "summary": (handler.fn.__doc__ or "").strip(),
        "tags": [_TAGS.get(path.split("/")[2], path.split("/")[2]) if path.startswith("/api/") else "health"],
        "responses": _responses(handler, refs[given]),
    }
    if parameters := [*_parameters(name, path)]:
        operation["parameters"] = parameters
    if taken:
        example = {"example": _EXAMPLE} if taken[0] is Message else {}
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": refs[taken[0]], **example}}}
    if path.startswith("/api/"):
        operation["security"] = [{"key": []}, {}]
    return operation


def _responses(handler: HTTPRouteHandler, given: Node) -> Node:
    """Return what a route answers."""
    name = handler.fn.__name__
    success: Node = {"description": "Done.", "content": {_MEDIA.get(name, _JSON): {"schema": given}}}
    if name in _HEADERS:
        success["headers"] = _HEADERS[name]
    others = {status: {**success, "description": why} for status, why in _ALSO.get(name, {}).items()}
    problem: Node = {"schema": {"$ref": _REF.format(name="ProblemBody")}}
    refused: Node = {"description": "Not done; `code` says why.", "content": {MEDIA_TYPE: problem}}
    return {str(handler.status_code): success, **others, "default": refused}


def _parameters(name: str, path: str) -> Iterator[Node]:
    """Yield what a route takes beside its body."""
    for place in _PLACE.findall(path):
        yield {"name": place, "in": "path", "required": True, "schema": _TEXT}
    if name == "submit_email":
        yield _KEY
    if asked := _QUERIES.get(name):
        told = _attributes(asked)
        for field, schema in _properties(asked).items():
            yield {"name": field, "in": "query", "schema": schema, "description": told.get(field, "Equal to this.")}


def _properties(kind: type[Struct]) -> Node:
    """Return the schemas of a Struct's fields as query parameters, which are never null."""
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    properties: Node = components[kind.__name__]["properties"]
    for name, schema in properties.items():
        options = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]
        for option in options:
            schema.update(option)
        schema.pop("default", None)
        if name == "metadata":
            properties[name] = {"type": "array", "items": {"type": "string", "pattern": "^[^:]*:"}}
        if "$ref" in schema:
            properties[name] = {key: components[schema["$ref"].rpartition("/")[2]][key] for key in ("enum",)}
    return properties


def _explained(components: Node, kinds: list[type]) -> Node:
    """Return the schemas with each field's sentence at the field, and without it in the whole's description."""
    known = {kind.__name__: kind for kind in _all_structs(kinds)}
    for name, schema in components.items():
        description: str = schema.get("description", "")
        schema["description"] = " ".join(description.partition("Attributes:")[0].split())
        if name in known:
            told = _attributes(known[name])
            for field in schema.get("properties", {}):
                text = told.get(field) or told.get(f"{field}_")
                if text:
                    schema["properties"][field]["description"] = text
    return dict(sorted(components.items()))


def _all_structs(kinds: list[type]) -> Iterator[type[Struct]]:
    """Yield every Struct that these are made of."""
    seen: set[str] = set()
    stack: list[Any] = list(kinds)
    while stack:
        kind = stack.pop()
        stack.extend(get_args(kind))
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__name__ not in seen:
            seen.add(kind.__name__)
            stack.extend(field.type for field in msgspec.structs.fields(kind))
            yield kind


def _attributes(kind: type[Struct]) -> Mapping[str, str]:
    """Return the sentences on a Struct's fields, its parents' among them, by the field's name."""
    docs = [
        cleandoc(one.__doc__ or "") for one in reversed(kind.__mro__) if issubclass(one, Struct) and one is not Struct
    ]
    found = (match for doc in docs for match in _ATTRIBUTE.finditer(doc.partition("Attributes:")[2]))
    return {match[1]: " ".join(match[2].split()) for match in found}
