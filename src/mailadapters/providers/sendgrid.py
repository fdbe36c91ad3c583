"""SendGrid's v3 Mail Send: one JSON object, answered by 202 and an id in a header.

Source: providers.md section 1. What was decided here:

- Scheduling is ours, so `send_at` is never set: a cancelled e-mail must not lie at the provider.
- No Message-ID of our own: the section does not say that one passes unchanged. Our id goes into `custom_args`
  instead, which come back in every event and let a late answer be matched.
- A From that is not verified is about that sender, not about the account: another sender's mail would pass.
- 502 and 504 are a gateway's words, so the outcome is unknown; 500 and 503 are SendGrid's own.
- Whether a key works is asked of `GET /v3/scopes`, which any key may ask and which lists what that key may do
  (docs.sendgrid.com, "Retrieve a list of scopes for which this user has access").
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from mailadapters.providers.http import connector
from mailadapters.providers.kind import KeyCheck, KeyState, Probe, ProviderKind, checked_base_url
from mailadapters.providers.statuses import by_status, succeeded, text_of
from mailcore.addresses import unrepeated, wire
from mailcore.message import OUR_ID, Address, Attachment, Message, envelope
from mailcore.outcome import Accepted, Misconfigured, Outcome, Scope, Unknown
from mailcore.provider import Capabilities, Feature, HttpRequest, HttpResponse, Send
from mailcore.secret import Secret

"""The name in `custom_args` under which our id comes back in events."""

_MAY_SEND = "mail.send"

CAPABILITIES = Capabilities(
    # 30 MB with attachments in base64, which grow by a third; half a megabyte for JSON around it all.
    max_bytes=22_000_000,
    max_recipients=1000,
    # Not: file names that are not ASCII (arrive garbled), tags likewise, a local part that is not ASCII
    # (nowhere confirmed), and mail without a To (400).
    features=frozenset(Feature)
    - {Feature.UNICODE_FILENAME, Feature.UNICODE_TAGS, Feature.UNICODE_LOCAL, Feature.WITHOUT_TO},
    refused_headers=frozenset(
        {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
        | {"to", "from", "subject", "reply-to", "cc", "bcc"},
    ),
    # 10 000 bytes of custom_args, less our own pair and the quotes, colon and comma of 50 more.
    max_metadata_bytes=9_500,
)


class SendGridSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at SendGrid.

    Attributes:
        base_url: `https://api.eu.sendgrid.com` for a subuser pinned to the EU; keys are not portable.
        on_behalf_of: The subuser to send for.
        sandbox: Let SendGrid check messages and send none.
    """

    api_key: Secret
    base_url: str = "https://api.sendgrid.com"
    on_behalf_of: str | None = None
    sandbox: bool = False

    def __post_init__(self) -> None:
        """Refuse a URL that cannot be one."""
        checked_base_url(self.base_url)


def build_request(send: Send, settings: SendGridSettings) -> HttpRequest:
    """Return the request for one attempt."""
    content = _content(send)
    if settings.sandbox:
        content["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return HttpRequest(
        method="POST",
        url=f"{checked_base_url(settings.base_url)}/v3/mail/send",
        headers=_headers(settings),
        body=msgspec.json.encode(content),
    )


def _headers(settings: SendGridSettings) -> tuple[tuple[str, str], ...]:
    """Return the headers of every request; without `accept` the answer is 406."""
    json = "application/json"
    named = (("authorization", f"Bearer {settings.api_key.reveal()}"), ("content-type", json), ("accept", json))
    return (*named, ("on-behalf-of", settings.on_behalf_of)) if settings.on_behalf_of else named


def _content(send: Send) -> dict[str, Any]:
    """Return what is sent. SendGrid refuses empty lists and texts, so an empty key is left out."""
    message = send.message
    who = envelope(message)
    to, cc, bcc = unrepeated(who.to, who.cc, who.bcc)  # a repeat in any of the three refuses the whole request
    people = {"to": _people(to), "cc": _people(cc), "bcc": _people(bcc)}
    content = {
        "personalizations": [_filled(people)],
        "from": _person(who.sender),
        **_reply_to(unrepeated(who.reply_to)[0]),
        "subject": message.subject,
        "content": list(_bodies(message)),
        "attachments": [_attachment(one) for one in message.attachments],
        "headers": dict(message.headers),
        "categories": list(dict.fromkeys(message.tags)),
        "custom_args": {**message.metadata, OUR_ID: send.email_id},
    }
    return _filled(content)


def _filled(content: dict[str, Any]) -> dict[str, Any]:
    """Return what is not empty."""
    return {key: value for key, value in content.items() if value}


def _person(address: Address) -> dict[str, str]:
    """Return an address in SendGrid's form."""
    return _filled({"email": wire(address), "name": address.name})


def _people(addresses: Sequence[Address]) -> list[dict[str, str]]:
    """Return addresses in SendGrid's form, in their order."""
    return [_person(address) for address in addresses]


def _reply_to(addresses: Sequence[Address]) -> dict[str, Any]:
    """Return one key or the other: both together are refused."""
    if len(addresses) == 1:
        return {"reply_to": _person(addresses[0])}
    return {"reply_to_list": _people(addresses)}


def _bodies(message: Message) -> Iterator[dict[str, str]]:
    """Yield the bodies there are, plain text first: SendGrid refuses the other order."""
    if message.text:
        yield {"type": "text/plain", "value": message.text}
    if message.html:
        yield {"type": "text/html", "value": message.html}


def _attachment(attachment: Attachment) -> dict[str, str]:
    """Return a file; an inline one is named by its content id, without brackets."""
    shown = {"disposition": "inline", "content_id": attachment.content_id} if attachment.content_id else {}
    return {
        "content": base64.b64encode(attachment.content).decode("ascii"),
        "filename": attachment.filename,
        "type": attachment.content_type,
        "disposition": "attachment",
        **shown,
    }


class _Error(Struct, frozen=True):
    """One of the reasons in an answer that refuses."""

    message: str = ""
    field: str | None = None


class _Answer(Struct, frozen=True):
    """An answer that refuses."""

    errors: list[_Error] = msgspec.field(default_factory=list[_Error])


def parse_response(response: HttpResponse) -> Outcome:
    """Return what an answer means."""
    if succeeded(response):
        return _accepted(response)
    errors = _errors(response)
    reasons = [f"{error.field}: {error.message}" if error.field else error.message for error in errors]
    detail = "; ".join(reasons) or text_of(response)
    if response.status == 403 and any(map(_is_about_sender, errors)):  # noqa: PLR2004 - the table's row
        return Misconfigured(scope=Scope.SENDER, code=str(response.status), detail=detail)
    return by_status(response, detail)


def _accepted(response: HttpResponse) -> Outcome:
    """Return what a 2xx means: its body is empty, and its id stands in a header.

    The sandbox answers 200 instead of 202, and what it took is never sent. Any other 2xx without the id
    was not SendGrid's, or was cut short.
    """
    provider_id = response.headers.get("x-message-id", "").strip()
    if response.status == 200 and not response.body and not response.truncated:  # noqa: PLR2004 - the table's row
        return Accepted(provider_id=provider_id or None, detail="sandbox: checked, not sent")
    if not provider_id:
        return Unknown(
            code="unreadable_answer", detail=f"{response.status} without an X-Message-Id: {text_of(response)}"
        )
    return Accepted(provider_id=provider_id)


def _errors(response: HttpResponse) -> list[_Error]:
    """Return the reasons in an answer; none if it is not SendGrid's JSON (gateways send HTML)."""
    try:
        return msgspec.json.decode(response.body, type=_Answer).errors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _is_about_sender(error: _Error) -> bool:
    """Return whether a reason of a 403 is that this From is not verified, so that another From would pass."""
    field = error.field or ""
    return field == "from" or field.startswith("from.") or "verified sender identity" in error.message.lower()


class _Scopes(Struct, frozen=True):
    """The answer of a probe whose key is good."""

    scopes: list[str]


def build_probe(settings: SendGridSettings) -> HttpRequest:
    """Return a request for what the key may do."""
    url = f"{checked_base_url(settings.base_url)}/v3/scopes"
    return HttpRequest(method="GET", url=url, headers=_headers(settings), body=b"")


def parse_probe(response: HttpResponse) -> KeyCheck:
    """Return whether the key is known and may send mail. A 403 says only that it may not ask."""
    if response.status == 401:  # noqa: PLR2004 - the documented refusal
        told = "; ".join(error.message for error in _errors(response)) or text_of(response)
        return KeyCheck(KeyState.REFUSED, f"401 {told}")
    if not succeeded(response):
        return KeyCheck(KeyState.UNCLEAR, f"{response.status} {text_of(response)}")
    try:
        scopes = msgspec.json.decode(response.body, type=_Scopes).scopes
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return KeyCheck(KeyState.UNCLEAR, f"{response.status} without a list of scopes: is the base_url right?")
    if _MAY_SEND in scopes:
        return KeyCheck(KeyState.WORKS)
    return KeyCheck(KeyState.REFUSED, f"the key is good and may not send: it lacks the scope {_MAY_SEND}")


PROVIDER = ProviderKind(
    name="sendgrid",
    settings=SendGridSettings,
    capabilities=CAPABILITIES,
    build=build_request,
    parse=parse_response,
    emulator_path="/sendgrid",
    probe=Probe(build=build_probe, parse=parse_probe),
)

connect = connector(PROVIDER)
