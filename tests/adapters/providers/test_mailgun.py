"""Mailgun: every row of its section, as a table; golden requests; hostile text."""

from __future__ import annotations

import base64
from datetime import timedelta
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.adapters.providers.forms import Form, escape, read
from tests.adapters.providers.samples import FULL, NOW, PLAIN, answer, hostile_messages, sending

from mailadapters.providers.mailgun import (
    CAPABILITIES,
    PROVIDER,
    MailgunSettings,
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
from mailcore.provider import Feature, Needs, lacks
from mailcore.secret import Secret

SETTINGS = MailgunSettings(api_key=Secret("key-1"), domain="mg.example.com")
FILE = Attachment(filename="a.txt", content_type="text/plain", content=b"one")


def form(message: Message = PLAIN, settings: MailgunSettings = SETTINGS, **changes: object) -> Form:
    """Return what is sent, read back."""
    request = build_request(sending(message, **changes), settings)
    return read(dict(request.headers)["content-type"], request.body)


def test_the_golden_request_of_a_plain_message() -> None:
    """Without files a form is urlencoded; the user is `api` and the key its password."""
    request = build_request(sending(), SETTINGS)

    assert request.method == "POST"
    assert request.url == "https://api.mailgun.net/v3/mg.example.com/messages"
    assert request.headers == (
        ("authorization", "Basic " + base64.b64encode(b"api:key-1").decode()),
        ("content-type", "application/x-www-form-urlencoded"),
    )
    assert request.body == (b"from=shop%40example.com&to=ann%40example.org&subject=Hi&text=Hello&v%3Amailcore_id=em_1")


def test_the_golden_request_of_a_message_with_a_file() -> None:
    """With files it is multipart, and each part stands as it was written, without base64."""
    request = build_request(sending(attachments=(FILE,)), SETTINGS)

    content_type = dict(request.headers)["content-type"]
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert request.body.decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="from"\r\n\r\nshop@example.com\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="to"\r\n\r\nann@example.org\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="subject"\r\n\r\nHi\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\nHello\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="v:mailcore_id"\r\n\r\nem_1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="a.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\none\r\n--{boundary}--\r\n"
    )


def test_a_full_message_has_every_field_in_its_place() -> None:
    """A name is repeated for many values; an inline file is named by its content id."""
    sent = form(FULL)

    assert sent.fields == {
        "from": ['"Shop, Inc." <shop@example.com>'],
        "to": ['"Ann" <ann@example.org>', "bob@xn--bcher-kva.example"],
        "cc": ["cid@example.org"],
        "bcc": ["dan@example.org"],
        "subject": ["Grüße"],
        "text": ["Hello"],
        "html": ['<p>Hello <img src="cid:logo"></p>'],
        "h:Reply-To": ['"Help" <help@example.com>'],
        "h:X-Campaign": ["spring"],
        "o:tag": ["welcome", "spring"],
        "v:order": ["42"],
        "v:mailcore_id": ["em_1"],
    }
    assert sent.files == [
        ("attachment", "a.txt", "text/plain", b"one\r\ntwo"),
        ("inline", "logo", "image/png", b"\x89PNG"),
    ]


def test_bcc_needs_no_cc() -> None:
    """The service that mailcore follows dropped bcc where there was no cc."""
    assert form(bcc=(Address("dan@example.org"),)).fields["bcc"] == ["dan@example.org"]


def test_equal_sends_make_equal_bytes() -> None:
    """A repeat with the same key is byte for byte the same, its boundary too."""
    assert build_request(sending(FULL), SETTINGS) == build_request(sending(FULL), SETTINGS)


def test_several_reply_to_are_one_header() -> None:
    """A second h:Reply-To would replace the first."""
    sent = form(reply_to=(Address("a@example.com", "A"), Address("b@example.com"), Address("A@example.com")))

    assert sent.fields["h:Reply-To"] == ['"A" <a@example.com>, b@example.com']


def test_a_message_to_several_is_one_message() -> None:
    """Batch mode would send cc and bcc one copy for each To."""
    sent = form(to=(Address("ann@example.org"), Address("bob@example.org")))

    assert sent.fields["to"] == ["ann@example.org", "bob@example.org"]
    assert "recipient-variables" not in sent.fields


def test_a_message_is_never_scheduled_there() -> None:
    """Scheduling is ours: what lies at a provider cannot be cancelled."""
    assert "o:deliverytime" not in form(FULL, scheduled_at=NOW + timedelta(hours=1)).fields


def test_the_test_mode_is_a_word() -> None:
    """Booleans are yes and no."""
    settings = MailgunSettings(api_key=Secret("k"), domain="mg.example.com", test_mode=True)

    assert form(settings=settings).fields["o:testmode"] == ["yes"]
    assert "o:testmode" not in form().fields


@pytest.mark.parametrize("field", ["subject", "text", "html", "cc", "bcc", "h:Reply-To", "o:tag"])
def test_what_is_empty_is_left_out(field: str) -> None:
    """A field without a value is no field."""
    empty = form(FULL, subject="", text=None, html="", cc=(), bcc=(), reply_to=(), tags=())

    assert field not in empty.fields


def test_our_id_is_ours_in_the_variables() -> None:
    """A late answer is matched by our id, which no metadata of a caller replaces."""
    assert form(metadata={"mailcore_id": "em_forged"}).fields["v:mailcore_id"] == ["em_1"]


def test_a_file_name_beyond_ascii_goes_as_it_is() -> None:
    """Mailgun reads raw UTF-8 and not RFC 2231."""
    file = Attachment(filename='Grüße "1".txt', content=b"x")

    assert form(attachments=(file,)).files[0][1] == 'Grüße "1".txt'


NAMES = {
    "ASCII with punctuation": ("Shop, Inc.", '"Shop, Inc." <shop@example.com>'),
    "beyond ASCII": ("Grüße", '"Grüße" <shop@example.com>'),
    "quote and backslash": ('a"b\\c', '"a\\"b\\\\c" <shop@example.com>'),
}


@pytest.mark.parametrize(("name", "written"), NAMES.values(), ids=NAMES)
def test_a_name_is_quoted(name: str, written: str) -> None:
    """RFC 5322: a comma in a name does not begin another address."""
    assert form(from_=Address("shop@example.com", name)).fields["from"] == [written]


@pytest.mark.parametrize("name", ["Müller, Söhne (GmbH)", "Ö. " + "ü" * 120, "=?utf-8?q?=0D=0ABcc:_eve@x.example?="])
def test_a_name_that_mailgun_would_garble_is_encoded(name: str) -> None:
    """A name with both punctuation and more than ASCII, or one that only looks encoded, goes as RFC 2047."""
    written = form(from_=Address("shop@example.com", name)).fields["from"][0]

    assert written.isascii()
    assert "\n" not in written
    shown, email = parseaddr(written)
    assert email == "shop@example.com"
    assert str(make_header(decode_header(shown))) == name


@pytest.mark.parametrize(
    ("base_url", "domain", "url"),
    [
        ("https://api.eu.mailgun.net/v3", "mg.example.com", "https://api.eu.mailgun.net/v3/mg.example.com/messages"),
        ("https://api.eu.mailgun.net/v3/", "mg.example.com", "https://api.eu.mailgun.net/v3/mg.example.com/messages"),
        ("http://127.0.0.1:8025/mailgun/v3", "x.example", "http://127.0.0.1:8025/mailgun/v3/x.example/messages"),
        ("https://api.mailgun.net/v3", "bücher.example", "https://api.mailgun.net/v3/b%C3%BCcher.example/messages"),
    ],
)
def test_region_and_domain_make_the_url(base_url: str, domain: str, url: str) -> None:
    """A domain lives in one region, which the base URL names."""
    settings = MailgunSettings(api_key=Secret("k"), domain=domain, base_url=base_url)

    assert build_request(sending(), settings).url == url


@pytest.mark.parametrize(
    "domain", ["", "a/b", "a\\b", "a?b", "a#b", "a b", "a\nb", "..", ".", "a%2fb", "u@a", "a:1", "x" * 254]
)
def test_a_domain_that_leads_elsewhere_is_refused(domain: str) -> None:
    """A slash in the domain would send the key and the message to another endpoint."""
    with pytest.raises(ValueError, match="domain"):
        MailgunSettings(api_key=Secret("k"), domain=domain)


def test_a_base_url_that_is_none_is_refused() -> None:
    """A wrong URL is heard of at the start."""
    with pytest.raises(ValueError, match="URL"):
        MailgunSettings(api_key=Secret("k"), domain="a.example", base_url="api.mailgun.net")


@given(hostile_messages())
@example(Message(from_=Address("shop@example.com"), to=(Address("ann@example.org"),), subject="a\r\nBcc: e@x.example"))
def test_hostile_text_stays_text(message: Message) -> None:
    """4.2: whatever an author writes, the form has exactly the recipients, headers and parts asked for."""
    sent = form(message)

    names = {field for field in sent.fields if field[:2] not in {"h:", "v:"}}
    assert names <= {"from", "to", "cc", "subject", "text", "html", "o:tag"}
    assert [len(sent.fields.get(field, [])) for field in ("from", "to", "cc")] == [1, 1, len(message.cc)]
    for field in ("subject", "text", "html"):
        assert sent.fields.get(field, [""]) == [getattr(message, field) or ""]
    assert sent.fields.get("o:tag", []) == list(message.tags)
    spoilt = escape if sent.files else str
    headers = {spoilt(f"h:{name}") for name in message.headers}
    variables = {spoilt(f"v:{name}") for name in message.metadata} | {"v:mailcore_id"}
    assert {field for field in sent.fields if field.startswith("h:")} == headers
    assert {field for field in sent.fields if field.startswith("v:")} == variables
    assert sent.files == [
        (
            "inline" if file.content_id else "attachment",
            escape(file.content_id or file.filename),
            escape(file.content_type),
            file.content,
        )
        for file in message.attachments
    ]


def test_a_file_that_holds_the_boundary_is_a_file() -> None:
    """Who knows the key of a send knows its boundary; another is taken then."""
    request = build_request(sending(attachments=(FILE,)), SETTINGS)
    boundary = dict(request.headers)["content-type"].removeprefix("multipart/form-data; boundary=")
    forged = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="bcc"\r\n\r\neve@example.com\r\n'
    file = Attachment(filename="a.txt", content=forged.encode())

    sent = form(attachments=(file,))

    assert "bcc" not in sent.fields
    assert sent.files == [("attachment", "a.txt", "application/octet-stream", forged.encode())]


def account(status: int, detail: str, code: str = "") -> Misconfigured:
    """Return a refusal that any message would meet."""
    return Misconfigured(scope=Scope.ACCOUNT, code=code or str(status), detail=detail)


def said(message: str) -> str:
    """Return the body of a refusal."""
    return f'{{"message":"{message}"}}'


TO_INVALID = "to parameter is not a valid address. please check documentation"
SANDBOX = "Domain sandbox1.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only."
AUTHORIZED = "Free accounts are for test purposes only. Please add the address to authorized recipients"
ACTIVATE = "Please activate your Mailgun account. Check your inbox or log in to your control panel"
NOT_ALLOWED = "Domain mg.example.com is not allowed to send: The domain is unverified"

DEEP = '{"x":' + "[" * 60000

ANSWERS: dict[str, tuple[int, str | bytes, Outcome]] = {
    "400, to": (400, said(TO_INVALID), Rejected(code="400", detail=TO_INVALID)),
    "400, from": (400, said(f"from{TO_INVALID[2:]}"), Rejected(code="400", detail=f"from{TO_INVALID[2:]}")),
    "400, cc": (400, said(f"cc{TO_INVALID[2:]}"), Rejected(code="400", detail=f"cc{TO_INVALID[2:]}")),
    "400, template": (400, said("template not found"), Rejected(code="400", detail="template not found")),
    "400, no body": (
        400,
        said("Need at least one of 'text' or 'html' parameters specified"),
        Rejected(code="400", detail="Need at least one of 'text' or 'html' parameters specified"),
    ),
    "400, sandbox": (400, said(SANDBOX), account(400, SANDBOX)),
    "403, sandbox": (403, said(SANDBOX), account(403, SANDBOX)),
    "400, authorized recipients": (400, said(AUTHORIZED), account(400, AUTHORIZED)),
    "401, plain text": (401, "Forbidden", account(401, "Forbidden")),
    "401, JSON": (401, said("Invalid private key"), account(401, "Invalid private key")),
    "402": (402, said("Payment required"), account(402, "Payment required")),
    "403, not activated": (403, said(ACTIVATE), account(403, ACTIVATE)),
    "403, domain not allowed": (403, said(NOT_ALLOWED), account(403, NOT_ALLOWED)),
    "404": (404, said("Domain not found: example.com"), account(404, "Domain not found: example.com")),
    "413": (413, "", Rejected(code="413", detail="")),
    "429": (429, said("Too Many Requests"), Throttled(code="429", detail="Too Many Requests")),
    "500": (500, said("Internal"), Unknown(code="500", detail="Internal")),
    "502": (502, "<html>", Unknown(code="502", detail="<html>")),
    "503": (503, "", Unknown(code="503", detail="")),
    "504": (504, "", Unknown(code="504", detail="")),
    "408": (408, "", Deferred(code="408", detail="")),
    "302": (302, "", account(302, "")),
    "200": (
        200,
        '{"id":"<20160306015544.116301.25145@example.org>","message":"Queued. Thank you."}',
        Accepted(provider_id="<20160306015544.116301.25145@example.org>"),
    ),
    "200, wrong base URL": (
        200,
        "Mailgun Magnificent API",
        account(200, "Mailgun Magnificent API", "wrong_base_url"),
    ),
    "V6: 200, empty": (200, "", Unknown(code="unreadable_answer", detail="200 without an id: ")),
    "V6: 200, HTML": (200, "<html>", Unknown(code="unreadable_answer", detail="200 without an id: <html>")),
    "V6: 200, cut": (200, '{"id":"<a', Unknown(code="unreadable_answer", detail='200 without an id: {"id":"<a')),
    "V6: 200, wrong type": (200, '{"id":1}', Unknown(code="unreadable_answer", detail='200 without an id: {"id":1}')),
    "V6: 200, a list": (200, "[]", Unknown(code="unreadable_answer", detail="200 without an id: []")),
    "V6: 200, no id": (200, said("Queued"), Unknown(code="unreadable_answer", detail="200 without an id: Queued")),
    "V6: 200, blank id": (200, '{"id":""}', Unknown(code="unreadable_answer", detail='200 without an id: {"id":""}')),
    "200, deep JSON": (200, DEEP, Unknown(code="unreadable_answer", detail=f"200 without an id: {DEEP}")),
    "400, not UTF-8": (400, b'{"message":"\xff"}', Rejected(code="400", detail='{"message":"\ufffd"}')),
}


@pytest.mark.parametrize(("status", "body", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_means_what_its_row_says(status: int, body: str | bytes, expected: Outcome) -> None:
    """Every row of the section's tables of errors and success."""
    assert parse_response(answer(status, body)) == expected


def test_a_throttling_says_until_when() -> None:
    """X-RateLimit-Reset is a moment in Unix seconds."""
    outcome = parse_response(answer(429, x_ratelimit_reset=str(int(NOW.timestamp()) + 30)))

    assert outcome == Throttled(code="429", detail="", retry_after=timedelta(seconds=30))


@given(st.integers(100, 999), st.binary(max_size=200), st.booleans())
def test_no_answer_makes_the_parser_raise(status: int, body: bytes, truncated: bool) -> None:
    """Any bytes with any status are one of the six outcomes, and only a 2xx is an acceptance."""
    outcome = parse_response(answer(status, body, truncated=truncated))

    assert verdict(outcome)
    assert 200 <= status < 300 or not isinstance(outcome, Accepted)


CAPABLE: dict[Feature, bool] = {
    Feature.ATTACHMENTS: True,
    Feature.INLINE: True,
    Feature.UNICODE_FILENAME: True,
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
    """What Mailgun cannot express is refused before it is tried; a feature that is new is decided here first."""
    assert (feature in CAPABILITIES.features) is CAPABLE[feature]


def test_a_header_that_is_data_there_is_refused_by_capability() -> None:
    """X-Mailgun-Variables feeds templates instead of going out."""
    headers = frozenset({"x-mailgun-variables"})
    needs: Any = Needs(bytes=1, recipients=1, features=frozenset(), sender_domain="a.example", headers=headers)

    assert lacks(CAPABILITIES, needs)


def test_the_largest_message_fits_into_25_mb_even_in_base64() -> None:
    """Whichever way Mailgun counts, a message of the declared size is within its bound."""
    assert CAPABILITIES.max_bytes * 4 / 3 * 1.01 < 25_000_000


def test_the_kind_names_its_parts() -> None:
    """The entry point is all that a configuration needs to know."""
    assert PROVIDER.name == "mailgun"
    assert PROVIDER.settings is MailgunSettings
    assert PROVIDER.capabilities is CAPABILITIES
    assert PROVIDER.emulator_path == "/mailgun/v3"
