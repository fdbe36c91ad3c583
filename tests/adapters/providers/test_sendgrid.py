"""SendGrid: every row of its section, as a table; golden requests; hostile text."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.providers.samples import FULL, NOW, PLAIN, answer, hostile_messages, sending

from mailadapters.providers.sendgrid import (
    CAPABILITIES,
    PROVIDER,
    SendGridSettings,
    build_request,
    parse_response,
)
from mailcore.message import Address, Attachment, Message
from mailcore.outcome import (
    Accepted,
    Deferred,
    Misconfigured,
    Outcome,
    Rejected,
    Scope,
    Throttled,
    Unknown,
    verdict,
)
from mailcore.provider import Feature, HttpResponse, Needs, lacks
from mailcore.secret import Secret

SETTINGS = SendGridSettings(api_key=Secret("SG.key"))


def body(message: Message = PLAIN, settings: SendGridSettings = SETTINGS, **changes: object) -> dict[str, Any]:
    """Return what is sent, decoded."""
    return msgspec.json.decode(build_request(sending(message, **changes), settings).body)


def test_the_golden_request_of_a_plain_message() -> None:
    """The shortest message makes the shortest request: no key that is empty."""
    request = build_request(sending(), SETTINGS)

    assert request.method == "POST"
    assert request.url == "https://api.sendgrid.com/v3/mail/send"
    assert request.headers == (
        ("authorization", "Bearer SG.key"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
    )
    assert request.body == (
        b'{"personalizations":[{"to":[{"email":"ann@example.org"}]}],"from":{"email":"shop@example.com"},'
        b'"subject":"Hi","content":[{"type":"text/plain","value":"Hello"}],"custom_args":{"mailcore_id":"em_1"}}'
    )


def test_the_golden_request_of_a_full_message() -> None:
    """Every field of a message has its place, and the domains go as A-labels."""
    assert body(FULL) == {
        "personalizations": [
            {
                "to": [
                    {"email": "ann@example.org", "name": "Ann"},
                    {"email": "bob@xn--bcher-kva.example"},
                ],
                "cc": [{"email": "cid@example.org"}],
                "bcc": [{"email": "dan@example.org"}],
            }
        ],
        "from": {"email": "shop@example.com", "name": "Shop, Inc."},
        "reply_to": {"email": "help@example.com", "name": "Help"},
        "subject": "Grüße",
        "content": [
            {"type": "text/plain", "value": "Hello"},
            {"type": "text/html", "value": '<p>Hello <img src="cid:logo"></p>'},
        ],
        "attachments": [
            {
                "content": "b25lDQp0d28=",
                "filename": "a.txt",
                "type": "text/plain",
                "disposition": "attachment",
            },
            {
                "content": "iVBORw==",
                "filename": "logo.png",
                "type": "image/png",
                "disposition": "inline",
                "content_id": "logo",
            },
        ],
        "headers": {"X-Campaign": "spring"},
        "categories": ["welcome", "spring"],
        "custom_args": {"order": "42", "mailcore_id": "em_1"},
    }


def test_equal_sends_make_equal_bytes() -> None:
    """A repeat with the same key is byte for byte the same request."""
    assert build_request(sending(FULL), SETTINGS) == build_request(sending(FULL), SETTINGS)


def test_an_address_stands_once_in_to_cc_and_bcc() -> None:
    """Trap 1: a repeat anywhere, in whatever case, refuses the whole request; to goes before cc before bcc."""
    people = body(
        to=(Address("ann@example.org"), Address("Ann@Example.org")),
        cc=(Address("ANN@example.org"), Address("bob@example.org")),
        bcc=(Address("bob@EXAMPLE.org"), Address("cid@example.org")),
    )["personalizations"]

    assert people == [
        {
            "to": [{"email": "ann@example.org"}],
            "cc": [{"email": "bob@example.org"}],
            "bcc": [{"email": "cid@example.org"}],
        }
    ]


EMPTY: dict[str, tuple[dict[str, object], str]] = {
    "subject": ({"subject": ""}, "subject"),
    "headers": ({"headers": {}}, "headers"),
    "tags": ({"tags": ()}, "categories"),
    "attachments": ({"attachments": ()}, "attachments"),
    "reply_to": ({"reply_to": ()}, "reply_to"),
    "reply_to, many": ({"reply_to": ()}, "reply_to_list"),
    "bodies": ({"text": None, "html": None}, "content"),
    "empty bodies": ({"text": "", "html": ""}, "content"),
}


@pytest.mark.parametrize(("changes", "key"), EMPTY.values(), ids=EMPTY)
def test_what_is_empty_is_left_out(changes: dict[str, object], key: str) -> None:
    """Trap 2: an empty list or text is refused, a missing key is not."""
    assert key not in body(FULL, **changes)


@pytest.mark.parametrize("field", ["cc", "bcc"])
def test_recipients_who_are_none_are_left_out(field: str) -> None:
    """Trap 2, within the personalization."""
    assert field not in body(FULL, **{field: ()})["personalizations"][0]


@pytest.mark.parametrize(
    ("changes", "types"),
    [
        ({}, ["text/plain", "text/html"]),
        ({"text": None}, ["text/html"]),
        ({"html": None}, ["text/plain"]),
        ({"text": ""}, ["text/html"]),
    ],
)
def test_plain_text_goes_before_html(changes: dict[str, object], types: list[str]) -> None:
    """Trap 3: the other order is refused, and so is an empty part."""
    assert [part["type"] for part in body(FULL, **changes)["content"]] == types


def test_one_reply_to_and_several_have_different_keys() -> None:
    """Both keys together are refused, and the list must not repeat itself."""
    help_, info = Address("help@example.com"), Address("info@example.com")

    one = body(reply_to=(help_,))
    many = body(reply_to=(help_, info, Address("HELP@example.com")))

    assert one["reply_to"] == {"email": "help@example.com"}
    assert "reply_to_list" not in one
    assert many["reply_to_list"] == [{"email": "help@example.com"}, {"email": "info@example.com"}]
    assert "reply_to" not in many


def test_metadata_and_headers_are_text() -> None:
    """Trap 4: a number in either gives an opaque 400."""
    sent = body(FULL, metadata={"order": "42", "n": "1"}, headers={"X-N": "1"})

    assert all(isinstance(value, str) for value in (*sent["custom_args"].values(), *sent["headers"].values()))


def test_our_id_is_ours_in_the_metadata() -> None:
    """A late answer is matched by our id, which no metadata of a caller replaces."""
    assert body(metadata={"mailcore_id": "em_forged"})["custom_args"] == {"mailcore_id": "em_1"}


def test_a_tag_stands_once() -> None:
    """Categories that repeat are refused."""
    assert body(tags=("a", "b", "a"))["categories"] == ["a", "b"]


def test_attachments_are_base64_without_line_breaks() -> None:
    """A line break in the content of a file is refused."""
    content = bytes(range(256)) * 20
    sent = body(attachments=(Attachment(filename="a.bin", content=content),))["attachments"][0]

    assert base64.b64decode(sent["content"], validate=True) == content
    assert sent["type"] == "application/octet-stream"


def test_a_message_is_never_scheduled_there() -> None:
    """Scheduling is ours: what lies at a provider cannot be cancelled."""
    sent = body(FULL, scheduled_at=NOW + timedelta(hours=1))

    assert "send_at" not in sent


def test_the_sandbox_is_a_real_boolean() -> None:
    """A text "true" would send the message."""
    settings = SendGridSettings(api_key=Secret("k"), sandbox=True)

    assert body(settings=settings)["mail_settings"] == {"sandbox_mode": {"enable": True}}
    assert "mail_settings" not in body()


def test_a_subuser_is_named_in_a_header() -> None:
    """One key can send for several subusers."""
    settings = SendGridSettings(api_key=Secret("k"), on_behalf_of="sub")

    assert ("on-behalf-of", "sub") in build_request(sending(), settings).headers


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.eu.sendgrid.com", "https://api.eu.sendgrid.com/v3/mail/send"),
        ("https://api.eu.sendgrid.com/", "https://api.eu.sendgrid.com/v3/mail/send"),
        ("http://127.0.0.1:8025/sendgrid", "http://127.0.0.1:8025/sendgrid/v3/mail/send"),
    ],
)
def test_the_base_url_is_a_setting(base_url: str, url: str) -> None:
    """The EU's API and the emulator are reached by the base URL alone."""
    settings = SendGridSettings(api_key=Secret("k"), base_url=base_url)

    assert build_request(sending(), settings).url == url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.sendgrid.com",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
        "https://a.example?x=1",
        "https://a.example/#x",
        "https://a b",
        "https://a.example/\r\nX: 1",
    ],
)
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    """A wrong URL is heard of at the start."""
    with pytest.raises(ValueError, match=r"URL|base_url"):
        SendGridSettings(api_key=Secret("k"), base_url=base_url)


@given(hostile_messages())
def test_hostile_text_stays_text(message: Message) -> None:
    """4.2: whatever an author writes, the request has exactly the recipients, headers and parts asked for."""
    sent = body(message)

    assert sent["personalizations"] == [
        {
            field: [{"email": one.email, **({"name": one.name} if one.name else {})} for one in people]
            for field, people in (("to", message.to), ("cc", message.cc))
        }
    ]
    assert sent["subject"] == message.subject
    assert [part["value"] for part in sent["content"]] == [message.text, message.html]
    assert sent.get("headers", {}) == message.headers
    assert sent.get("categories", []) == list(message.tags)
    assert sent["custom_args"] == {**message.metadata, "mailcore_id": "em_1"}
    assert [
        (file["filename"], file["type"], base64.b64decode(file["content"]), file.get("content_id"))
        for file in sent.get("attachments", [])
    ] == [(file.filename, file.content_type, file.content, file.content_id) for file in message.attachments]


def reasons(*errors: tuple[str, str | None]) -> bytes:
    """Return the body of a refusal."""
    return msgspec.json.encode({"errors": [{"message": text, "field": field, "help": None} for text, field in errors]})


SENDER = Misconfigured(
    scope=Scope.SENDER,
    code="403",
    detail="from: The from address does not match a verified Sender Identity. Mail cannot be sent",
)
UNIQUE = "Each email address in the personalization block should be unique between to, cc, and bcc."


def account(status: int, detail: str) -> Misconfigured:
    """Return a refusal that any message would meet."""
    return Misconfigured(scope=Scope.ACCOUNT, code=str(status), detail=detail)


DEEP = b'{"x":' + b"[" * 60000

ANSWERS: dict[str, tuple[int, bytes, Outcome]] = {
    "400, field error": (
        400,
        reasons(("Does not contain a valid address.", "personalizations.0.to.0.email")),
        Rejected(code="400", detail="personalizations.0.to.0.email: Does not contain a valid address."),
    ),
    "400, two reasons": (
        400,
        reasons(("The subject is required.", "subject"), ("Bad Request", None)),
        Rejected(code="400", detail="subject: The subject is required.; Bad Request"),
    ),
    "400, from is no address": (
        400,
        reasons(("The from email does not contain a valid address.", "from.email")),
        Rejected(code="400", detail="from.email: The from email does not contain a valid address."),
    ),
    "400, repeated address": (400, reasons((UNIQUE, None)), Rejected(code="400", detail=UNIQUE)),
    "400, opaque": (400, reasons(("Bad Request", None)), Rejected(code="400", detail="Bad Request")),
    "401, bad key": (
        401,
        reasons(("The provided authorization grant is invalid, expired, or revoked", None)),
        account(401, "The provided authorization grant is invalid, expired, or revoked"),
    ),
    "401, no key": (401, reasons(("authorization required", None)), account(401, "authorization required")),
    "401, wrong credentials": (
        401,
        reasons(("Permission denied, wrong credentials", None)),
        account(401, "Permission denied, wrong credentials"),
    ),
    "401, credits": (401, reasons(("Maximum credits exceeded", None)), account(401, "Maximum credits exceeded")),
    "403, sender by field": (
        403,
        reasons(("The from address does not match a verified Sender Identity. Mail cannot be sent", "from")),
        SENDER,
    ),
    "403, sender by text": (
        403,
        reasons(("The from address does not match a verified Sender Identity.", None)),
        Misconfigured(
            scope=Scope.SENDER,
            code="403",
            detail="The from address does not match a verified Sender Identity.",
        ),
    ),
    "403, forbidden": (403, reasons(("access forbidden", None)), account(403, "access forbidden")),
    "404": (404, b"", account(404, "")),
    "405": (405, b"", account(405, "")),
    "406": (406, reasons(("Accept is missing", None)), Rejected(code="406", detail="Accept is missing")),
    "413, HTML": (413, b"<html>Too Large</html>", Rejected(code="413", detail="<html>Too Large</html>")),
    "415": (415, b"", Rejected(code="415", detail="")),
    "429": (429, reasons(("too many requests", None)), Throttled(code="429", detail="too many requests")),
    "500": (500, b"oops", Deferred(code="500", detail="oops")),
    "502, a gateway's HTML": (502, b"<html>", Unknown(code="502", detail="<html>")),
    "503": (503, b"", Deferred(code="503", detail="")),
    "504": (504, b"", Unknown(code="504", detail="")),
    "301": (301, b"", account(301, "")),
    "400, not JSON": (400, b"{oops", Rejected(code="400", detail="{oops")),
    "400, another JSON": (400, b'{"errors":"no"}', Rejected(code="400", detail='{"errors":"no"}')),
    "400, deep JSON": (400, DEEP, Rejected(code="400", detail=DEEP.decode())),
    "400, not UTF-8": (
        400,
        b'{"errors":[{"message":"\xff"}]}',
        Rejected(code="400", detail='{"errors":[{"message":"�"}]}'),
    ),
}


@pytest.mark.parametrize(("status", "said", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_means_what_its_row_says(status: int, said: bytes, expected: Outcome) -> None:
    """Every row of the section's table of errors."""
    assert parse_response(answer(status, said)) == expected


def test_a_throttling_says_until_when() -> None:
    """X-RateLimit-Reset is a moment in Unix seconds."""
    outcome = parse_response(answer(429, x_ratelimit_reset=str(int(NOW.timestamp()) + 30)))

    assert outcome == Throttled(code="429", detail="", retry_after=timedelta(seconds=30))


SUCCESSES = {
    "202": (answer(202, x_message_id="LRzXl_NHStOGhQ4kofSm_A"), Accepted(provider_id="LRzXl_NHStOGhQ4kofSm_A")),
    "202, cut, id read": (answer(202, "x", truncated=True, x_message_id="id"), Accepted(provider_id="id")),
    "sandbox": (answer(200), Accepted(detail="sandbox: checked, not sent")),
    "V6: 202 without an id": (answer(202), Unknown(code="unreadable_answer", detail="202 without an X-Message-Id: ")),
    "V6: 202, blank id": (
        answer(202, x_message_id=" "),
        Unknown(code="unreadable_answer", detail="202 without an X-Message-Id: "),
    ),
    "V6: 200, HTML": (
        answer(200, "<html>"),
        Unknown(code="unreadable_answer", detail="200 without an X-Message-Id: <html>"),
    ),
    "V6: 200, cut": (
        answer(200, truncated=True),
        Unknown(code="unreadable_answer", detail="200 without an X-Message-Id: "),
    ),
}


@pytest.mark.parametrize(("given_answer", "expected"), SUCCESSES.values(), ids=SUCCESSES)
def test_success_needs_the_id_of_the_message(given_answer: HttpResponse, expected: Outcome) -> None:
    """I33: a 2xx that is not as documented is unknown; the sandbox's is documented."""
    assert parse_response(given_answer) == expected


@given(st.integers(100, 999), st.binary(max_size=200), st.booleans())
def test_no_answer_makes_the_parser_raise(status: int, said: bytes, truncated: bool) -> None:
    """Any bytes with any status are one of the six outcomes, and only a 2xx is an acceptance."""
    outcome = parse_response(answer(status, said, truncated=truncated))

    assert verdict(outcome)
    assert 200 <= status < 300 or not isinstance(outcome, Accepted)


CAPABLE: dict[Feature, bool] = {
    Feature.ATTACHMENTS: True,
    Feature.INLINE: True,
    Feature.UNICODE_FILENAME: False,
    Feature.TAGS: True,
    Feature.MANY_TAGS: True,
    Feature.UNICODE_TAGS: False,
    Feature.HEADERS: True,
    Feature.METADATA: True,
    Feature.REPLY_TO: True,
    Feature.REPLY_TO_MANY: True,
    Feature.UNICODE_LOCAL: False,
    Feature.WITHOUT_TO: False,
    Feature.TEXT_ONLY: True,
}


@pytest.mark.parametrize("feature", Feature)
def test_a_feature_is_declared_as_the_matrix_says(feature: Feature) -> None:
    """What SendGrid cannot express is refused before it is tried; a feature that is new is decided here first."""
    assert (feature in CAPABILITIES.features) is CAPABLE[feature]


FORBIDDEN = (
    "x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject reply-to cc bcc"
)


@pytest.mark.parametrize("name", FORBIDDEN.split())
def test_a_forbidden_header_is_refused_by_capability(name: str) -> None:
    """The section's list of headers that refuse the request."""
    needs = Needs(bytes=1, recipients=1, features=frozenset(), sender_domain="a.example", headers=frozenset({name}))

    assert lacks(CAPABILITIES, needs)


def test_the_largest_message_fits_into_30_mb() -> None:
    """A message of the declared size is within SendGrid's 30 MB once its attachments are in base64."""
    file = Attachment(filename="a.bin", content=bytes(CAPABILITIES.max_bytes))

    assert len(build_request(sending(attachments=(file,)), SETTINGS).body) < 30_000_000


def test_the_largest_metadata_fits_into_10_000_bytes() -> None:
    """Fifty pairs of the declared size, ours and all the JSON around them are within the bound."""
    each = (CAPABILITIES.max_metadata_bytes or 0) // 50
    metadata = {f"k{n:02d}": "v" * (each - 3) for n in range(50)}

    assert len(msgspec.json.encode(body(metadata=metadata)["custom_args"])) <= 10_000


def test_the_kind_names_its_parts() -> None:
    """The entry point is all that a configuration needs to know."""
    assert PROVIDER.name == "sendgrid"
    assert PROVIDER.settings is SendGridSettings
    assert PROVIDER.capabilities is CAPABILITIES
    assert PROVIDER.emulator_path == "/sendgrid"
