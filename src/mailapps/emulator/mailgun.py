"""What Mailgun's v3 API says to a request: form encoding, the rules, the words and the ids.

Source: the providers' page of Mailgun, mailgun/mailgun-go, and what django-anymail has seen of the live
service (a file part without a name vanishes, a wrong path is greeted with 200).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from email.utils import getaddresses, parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote

from msgspec.structs import replace

from mailapps.emulator.forms import Form, parse_form
from mailapps.emulator.mailgun_mime import MESSAGE, decoded, unpacked
from mailapps.emulator.wire import (
    GATEWAYS,
    MAX_RECIPIENTS,
    TEXT,
    Account,
    Answer,
    Call,
    File,
    Letter,
    Mailbox,
    Verdict,
    gateway_page,
    is_address,
    json_answer,
    phrase,
    read_json,
    verified,
)

MAX_BYTES = 25_000_000
MAX_TAGS = 10
MAX_TAG_LENGTH = 128
FILES = frozenset({"attachment", "inline"})
FORBIDDEN = Answer(status=401, body=b"Forbidden", content_type=TEXT)
MAGNIFICENT = Answer(status=200, body=b"Mailgun Magnificent API", content_type=TEXT)
_ROUTE = re.compile(r"/v3/([^/]+)/messages(\.mime)?")
_SANDBOX = re.compile(r"sandbox\w*\.mailgun\.org", re.IGNORECASE)
_SWITCHES = (
    "o:dkim",
    "o:testmode",
    "o:tracking",
    "o:tracking-clicks",
    "o:tracking-opens",
    "o:require-tls",
    "o:skip-verification",
)
_SETTINGS = frozenset({"yes", "no", "true", "false", "htmlonly"})
_WORDS = {
    400: "Bad Request",
    402: "Payment Required",
    403: (
        "Please activate your Mailgun account. Check your inbox or log in to your control panel "
        "to resend the activation email."
    ),
    404: "Domain not found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
}
_UNVERIFIED = (
    "Domain {} is not allowed to send: The domain is unverified and requires DNS configuration. "
    "Log in to your control panel to view required DNS records."
)
_FOR_TESTS = (
    "Domain {} is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain "
    "or add the address to authorized recipients in Account Settings."
)


def judge(call: Call, account: Account) -> Verdict:
    """Return what Mailgun says to a call: "Queued. Thank you." with an id, or its refusal."""
    route = _ROUTE.fullmatch(call.path)
    if route is None or call.method != "POST":
        return Verdict(answer=MAGNIFICENT)
    domain = unquote(route[1])
    if refusal := _gate(call, account, domain):
        return Verdict(answer=refusal)
    form = _form(call, is_mime=route[2] is not None)
    letter = letter_of(form)
    if problem := next(_problems(form), None):
        return Verdict(answer=_refusal(400, problem), letter=letter)
    if not verified(account, letter.from_.email):
        return Verdict(answer=_refusal(403, _UNVERIFIED.format(letter.from_.email.rpartition("@")[2])), letter=letter)
    if _SANDBOX.fullmatch(domain) and not _all_authorized(account, letter):
        return Verdict(answer=_refusal(403, _FOR_TESTS.format(domain)), letter=letter)
    return _taken(call, form, letter, domain)


def _form(call: Call, *, is_mime: bool) -> Form:
    """Return the form in a call."""
    content_type = call.headers.get("content-type", "")
    return (
        unpacked(parse_form(content_type, call.body, files=frozenset({MESSAGE})))
        if is_mime
        else parse_form(content_type, call.body, files=FILES)
    )


def _all_authorized(account: Account, letter: Letter) -> bool:
    """Whether a sandbox domain may write to everybody."""
    known = {one.lower() for one in account.authorized_recipients}
    return all(one.email.lower() in known for one in (*letter.to, *letter.cc, *letter.bcc))


def refuse(status: int) -> Answer:
    """Return Mailgun's own words for a status; a success that queues nothing is its greeting."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return replace(MAGNIFICENT, status=status)
    if status == FORBIDDEN.status:
        return FORBIDDEN
    return gateway_page(status) if status in GATEWAYS else _refusal(status, _WORDS.get(status, phrase(status)))


def _gate(call: Call, account: Account, domain: str) -> Answer | None:
    """Return the refusal of what is wrong before the form is read, or None."""
    user, _, key = _credentials(call.headers.get("authorization", "")).partition(":")
    if user != "api" or not key or (account.api_keys is not None and key not in account.api_keys):
        return FORBIDDEN
    if account.domains is not None and domain.lower() not in {one.lower() for one in account.domains}:
        return _refusal(404, f"Domain not found: {domain}")
    return refuse(413) if call.too_large or len(call.body) > MAX_BYTES else None


def _credentials(header: str) -> str:
    """Return `user:password` of Basic credentials, empty if there are none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(encoded, validate=True).decode()
    except ValueError:
        return ""


def _taken(call: Call, form: Form, letter: Letter, domain: str) -> Verdict:
    """Return the verdict on a message with nothing wrong in it; test mode takes it and delivers nothing."""
    message_id = f"<{call.now:%Y%m%d%H%M%S}.{call.seq}.{call.now.microsecond:06}@{domain}>"
    answer = json_answer(200, {"id": message_id, "message": "Queued. Thank you."})
    testing = form.one("o:testmode") in {"yes", "true"}
    return Verdict(answer=answer, letter=letter, accepted=True, delivered=not testing, message_id=message_id)


def _refusal(status: int, message: str) -> Answer:
    """Return an answer in Mailgun's shape of an error."""
    return json_answer(status, {"message": message})


def _problems(form: Form) -> Iterator[str]:
    """Yield what Mailgun refuses in a form; it names only the first."""
    yield from (f"{name} parameter is missing" for name in ("from", "to", "subject") if form.one(name) is None)
    yield from _of_addresses(form)
    if not any(form.one(name) for name in ("text", "html", "template")):
        yield "Need at least one of 'text' or 'html' parameters specified"
    yield from _of_options(form)
    yield from _of_json(form)


def _of_addresses(form: Form) -> Iterator[str]:
    """Yield each address field with something else in it, and too many recipients."""
    for name in ("from", "to", "cc", "bcc"):
        people = _mailboxes(form, name)
        wrong = any(not is_address(one.email, unicode_local=name != "from") for one in people)
        if wrong or (not people and form.one(name) is not None):
            yield f"{name} parameter is not a valid address. please check documentation"
    if len(_mailboxes(form, "from")) > 1:
        yield "from parameter is not a valid address. please check documentation"
    if sum(len(_mailboxes(form, name)) for name in ("to", "cc", "bcc")) > MAX_RECIPIENTS:
        yield f"to parameter has too many recipients, the maximum is {MAX_RECIPIENTS}"


def _of_options(form: Form) -> Iterator[str]:
    """Yield each option with a value that it does not have."""
    yield from (f"{name} parameter must be yes or no" for name in _SWITCHES if not set(form.all(name)) <= _SETTINGS)
    tags = form.all("o:tag")
    if len(tags) > MAX_TAGS or any(not tag or len(tag) > MAX_TAG_LENGTH or not tag.isascii() for tag in tags):
        yield f"o:tag parameter must be at most {MAX_TAGS} tags of 1 to {MAX_TAG_LENGTH} ASCII characters"
    moment = form.one("o:deliverytime")
    if moment is not None and not _is_date(moment):
        yield "o:deliverytime parameter is not a valid date: RFC 2822 is expected"


def _of_json(form: Form) -> Iterator[str]:
    """Yield each field that must be a JSON object and is not."""
    for name in ("recipient-variables", "t:variables", "h:X-Mailgun-Variables"):
        value = form.one(name)
        try:
            read_json((value or "{}").encode(), dict[str, object])
        except ValueError:
            yield f"{name} parameter is not valid JSON"


def _is_date(text: str) -> bool:
    """Tell whether text is a date as in RFC 2822."""
    try:
        parsedate_to_datetime(text)
    except ValueError:
        return False
    return True


def letter_of(form: Form) -> Letter:
    """Return the letter in a form, whatever is wrong with it. Files without a name are lost, as there."""
    headers = form.prefixed("h:")
    return Letter(
        from_=next(iter(_mailboxes(form, "from")), Mailbox("")),
        to=_mailboxes(form, "to"),
        cc=_mailboxes(form, "cc"),
        bcc=_mailboxes(form, "bcc"),
        reply_to=_mailboxes(form, "h:Reply-To"),
        subject=form.one("subject") or "",
        text=form.one("text"),
        html=form.one("html"),
        headers=tuple(pair for pair in headers if pair[0].lower() != "reply-to"),
        files=_files(form),
        tags=form.all("o:tag"),
        metadata=form.prefixed("v:"),
    )


def _mailboxes(form: Form, name: str) -> tuple[Mailbox, ...]:
    """Return the people in a field that may be repeated and may hold a list in each value."""
    pairs = getaddresses(list(form.all(name)))
    return tuple(Mailbox(email, decoded(encoded)) for encoded, email in pairs if email or encoded)


def _files(form: Form) -> tuple[File, ...]:
    """Return the files that have a name; the name of an inline one is its content id."""
    return tuple(
        File(
            filename=one.filename,
            content_type=one.content_type,
            content=one.content,
            content_id=one.filename if one.field == "inline" else None,
        )
        for one in form.files
        if one.filename and one.field in FILES
    )
