"""Mailgun's Messages: one form, answered by 200 and JSON with an id.

Source: providers.md section 2. What was decided here:

- No `recipient-variables`: with them Mailgun sends one copy per To (batch mode), and who is in cc or bcc gets
  one for each. A message of ours is one message whose To is seen by all it names, as in any mail program;
  whoever must not be seen stands in bcc.
- No `o:deliverytime`: scheduling is ours, since a cancelled e-mail must not lie at the provider.
- Every 5xx is unknown: users report mail that was queued all the same.
- "Domain … is not allowed to send" and "Domain not found" are about the domain in the URL, which is the
  account's setting, and not about the From: any message would fail.
- A 200 that says "Mailgun Magnificent API" is a wrong base URL; any other 200 that is not the documented JSON
  is unknown (reliability.md I33, which goes before section 2 here: the message may have been taken).
- Whether a key works is asked by a form without from, to and subject, which can send nothing: "parameter is
  missing" is what a key hears that works. `GET /v4/domains/{name}` would answer 401 to a domain sending key, the
  sort that a careful operator uses: it may only POST to `/messages` (documentation.mailgun.com, "Authentication").
- The id is kept verbatim, with its angle brackets; events carry it without.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from email.header import Header
from urllib.parse import quote

import msgspec
from msgspec import Struct

from mailadapters.providers.http import connector
from mailadapters.providers.kind import KeyCheck, KeyState, Probe, ProviderKind, checked_base_url
from mailadapters.providers.multipart import FilePart, form
from mailadapters.providers.statuses import by_status, succeeded, text_of
from mailcore.addresses import formatted, unrepeated, wire
from mailcore.message import OUR_ID, Address, Attachment, envelope
from mailcore.outcome import Accepted, Misconfigured, Outcome, Scope, Unknown
from mailcore.provider import Capabilities, Feature, HttpRequest, HttpResponse, Send
from mailcore.secret import Secret

"""The variable under which our id comes back in events."""

CAPABILITIES = Capabilities(
    # 25 MB in total. Whether that is of the form or of the MIME message is not said, so of the larger: base64
    # grows by a third.
    max_bytes=18_500_000,
    max_recipients=1000,
    # Not: a local part that is not ASCII (may be refused), tags likewise, and mail without a To (refused).
    features=frozenset(Feature) - {Feature.UNICODE_LOCAL, Feature.UNICODE_TAGS, Feature.WITHOUT_TO},
    # Not a header there but the template's data.
    refused_headers=frozenset({"x-mailgun-variables"}),
)

_DOMAIN = re.compile(r"[^\s/\\?#%@:]{1,253}")
_MISSING = "is missing"
_WRONG_URL = "magnificent api"
_SANDBOX = ("sandbox subdomains are for test purposes only", "authorized recipients")
_PUNCTUATION = re.compile(r'[()<>\[\]:;@\\,."]')


class MailgunSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sending domain at Mailgun.

    Attributes:
        domain: Bound to one region.
        base_url: With the version; `https://api.eu.mailgun.net/v3` for a domain in the EU.
        test_mode: Let Mailgun take messages (and charge for them) and deliver none.
    """

    api_key: Secret
    domain: str
    base_url: str = "https://api.mailgun.net/v3"
    test_mode: bool = False

    def __post_init__(self) -> None:
        """Refuse a URL that cannot be one, and a domain that would lead elsewhere on it."""
        checked_base_url(self.base_url)
        if not _DOMAIN.fullmatch(self.domain) or self.domain.strip(".") == "":
            raise ValueError("domain is the name of a sending domain, such as mg.example.com")


def build_request(send: Send, settings: MailgunSettings) -> HttpRequest:
    """Return the request for one attempt; equal sends make equal bytes."""
    content_type, body = form(list(_fields(send, settings)), list(_files(send)), send.key)
    return _posted(settings, content_type, body)


def _posted(settings: MailgunSettings, content_type: str, body: bytes) -> HttpRequest:
    """Return the request that posts a form to the domain's messages."""
    credentials = base64.b64encode(f"api:{settings.api_key.reveal()}".encode()).decode("ascii")
    return HttpRequest(
        method="POST",
        url=f"{checked_base_url(settings.base_url)}/{quote(settings.domain, safe='')}/messages",
        headers=(("authorization", f"Basic {credentials}"), ("content-type", content_type)),
        body=body,
    )


def _fields(send: Send, settings: MailgunSettings) -> Iterator[tuple[str, str]]:
    """Yield the form's texts in a fixed order; a name is repeated for many values."""
    message = send.message
    who = envelope(message)
    yield "from", _mailbox(who.sender)
    for name, addresses in zip(("to", "cc", "bcc"), unrepeated(who.to, who.cc, who.bcc), strict=True):
        yield from ((name, _mailbox(address)) for address in addresses)
    texts = {"subject": message.subject, "text": message.text, "html": message.html}
    yield from ((name, text) for name, text in texts.items() if text)
    if who.reply_to:
        yield "h:Reply-To", ", ".join(map(_mailbox, unrepeated(who.reply_to)[0]))
    yield from ((f"h:{name}", value) for name, value in message.headers.items())
    yield from (("o:tag", tag) for tag in dict.fromkeys(message.tags))
    if settings.test_mode:
        yield "o:testmode", "yes"
    yield from ((f"v:{key}", value) for key, value in {**message.metadata, OUR_ID: send.email_id}.items())


def _files(send: Send) -> Iterator[FilePart]:
    """Yield the files in their order."""
    for attachment in send.message.attachments:
        field, filename = _place(attachment)
        yield FilePart(field=field, filename=filename, content_type=attachment.content_type, content=attachment.content)


def _place(attachment: Attachment) -> tuple[str, str]:
    """Return a file's field and name: an inline one's is its content id; one without a name is lost."""
    if attachment.content_id:
        return "inline", attachment.content_id
    return "attachment", attachment.filename


def _mailbox(address: Address) -> str:
    """Return an address as Mailgun reads it back.

    It mis-encodes a name that has both punctuation and characters beyond ASCII, so such a name is encoded
    here (RFC 2047); so is one that only looks encoded, which somebody on the way could decode.
    """
    mixed = not address.name.isascii() and _PUNCTUATION.search(address.name)
    if mixed or "=?" in address.name:
        return f"{Header(address.name, 'utf-8').encode(linesep='')} <{wire(address)}>"
    return formatted(address)


class _Answer(Struct, frozen=True):
    """An answer, of either sort."""

    id: str = ""
    message: str = ""


def parse_response(response: HttpResponse) -> Outcome:
    """Return what an answer means."""
    answer = _answer(response)
    said = (answer and answer.message) or text_of(response)
    if succeeded(response):
        return _accepted(response, answer, said)
    if response.status in {400, 403} and any(words in said.lower() for words in _SANDBOX):
        return Misconfigured(scope=Scope.ACCOUNT, code=str(response.status), detail=said)
    if response.status >= 500:  # noqa: PLR2004 - a class of statuses
        return Unknown(code=str(response.status), detail=said)
    return by_status(response, said)


def _accepted(response: HttpResponse, answer: _Answer | None, said: str) -> Outcome:
    """Return what a 2xx means: only one with an id is an acceptance."""
    if answer and answer.id:
        return Accepted(provider_id=answer.id)
    if _WRONG_URL in said.lower():
        return Misconfigured(scope=Scope.ACCOUNT, code="wrong_base_url", detail=said)
    return Unknown(code="unreadable_answer", detail=f"{response.status} without an id: {said}")


def _answer(response: HttpResponse) -> _Answer | None:
    """Return an answer's JSON, or None if it is not Mailgun's (a 401 is plain text)."""
    try:
        return msgspec.json.decode(response.body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def build_probe(settings: MailgunSettings) -> HttpRequest:
    """Return a form that lacks all that a message needs, and asks for test mode in case that changes."""
    return _posted(settings, *form([("o:testmode", "yes")], [], "probe"))


def parse_probe(response: HttpResponse) -> KeyCheck:
    """Return whether the key and the domain are known: if they are, it is the form that is refused."""
    answer = _answer(response)
    said = (answer and answer.message) or text_of(response)
    told = f"{response.status} {said}"
    if response.status == 400 and _MISSING in said.lower():  # noqa: PLR2004 - the refusal that is hoped for
        return KeyCheck(KeyState.WORKS)
    if response.status == 404 or (succeeded(response) and _WRONG_URL in said.lower()):  # noqa: PLR2004 - the table's row
        return KeyCheck(KeyState.REFUSED, f"{told}: are domain and region (base_url) right?")
    return KeyCheck(KeyState.REFUSED if response.status in {401, 403} else KeyState.UNCLEAR, told)


PROVIDER = ProviderKind(
    name="mailgun",
    settings=MailgunSettings,
    capabilities=CAPABILITIES,
    build=build_request,
    parse=parse_response,
    emulator_path="/mailgun/v3",
    probe=Probe(build=build_probe, parse=parse_probe),
)

connect = connector(PROVIDER)
