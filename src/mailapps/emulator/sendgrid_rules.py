"""SendGrid's rules about a message: everything it refuses, in its words, with the field that it names."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from mailapps.emulator.sendgrid_mail import Mail, Party, Personalization
from mailapps.emulator.wire import MAX_RECIPIENTS, is_address

MAX_SCHEDULE = timedelta(hours=72)
MAX_CUSTOM_ARGS = 10_000
MAX_SUBSTITUTIONS = 10_000
MAX_CATEGORIES = 10
MAX_CATEGORY_LENGTH = 255
_RESERVED = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_INVALID = "Does not contain a valid address."
_FROM = (
    "The from object must be provided for every email send. It is an object that requires the email parameter, "
    "but may also contain a name parameter."
)
_TO = (
    "The to array is required for all personalization objects, and must have at least one email object "
    "with a valid email address."
)
_EMPTY = (
    "The {} array, when used, must at least have one email parameter with a valid email address "
    "and it may also contain a name with the email address."
)
_SUBJECT = (
    "The subject is required. You can get around this requirement if you use a template with a subject "
    "defined or if every personalization has a subject defined."
)
_CONTENT = (
    "Unless a valid template_id is provided, the content parameter is required. There must be at least one "
    "defined content block. We typically suggest both text/plain and text/html blocks are included, "
    "but only one block is required."
)
_ORDER = "If present, text/plain must be first, followed by text/html, followed by any other content."
_TWICE = (
    "Each email address in the personalization block should be unique between to, cc, and bcc. "
    "We found the first duplicate instance of [{}] in the {} field."
)


class Problem(Struct, frozen=True):
    """One thing that SendGrid refuses."""

    field: str | None
    message: str


def problems(mail: Mail, now: datetime) -> tuple[Problem, ...]:
    """Return everything that SendGrid refuses in a message, in the order of its fields."""
    return (
        *_of_people(mail),
        *_of_senders(mail),
        *_of_subject(mail),
        *_of_content(mail),
        *_of_files(mail),
        *_of_headers(mail),
        *_of_labels(mail),
        *_of_schedule(mail, now),
    )


def _of_people(mail: Mail) -> Iterator[Problem]:
    """Yield what is wrong with the recipients."""
    if not mail.personalizations:
        yield Problem(
            "personalizations",
            "The personalizations field is required and must have at least one personalization.",
        )
    total = 0
    for number, one in enumerate(mail.personalizations or ()):
        path = f"personalizations.{number}"
        total += sum(len(people or ()) for people in (one.to, one.cc, one.bcc))
        if not one.to:
            yield Problem(f"{path}.to", _TO)
        yield from (
            Problem(f"{path}.{name}", _EMPTY.format(name)) for name in ("cc", "bcc") if getattr(one, name) == []
        )
        yield from _of_addresses(one, path)
        yield from _of_repeats(one, path)
    if total > MAX_RECIPIENTS:
        yield Problem(
            "personalizations",
            f"There is a limit of {MAX_RECIPIENTS} total recipients (to + cc + bcc) per request.",
        )


def _of_addresses(one: Personalization, path: str) -> Iterator[Problem]:
    """Yield each recipient whose address is not one."""
    for name, people in (("to", one.to), ("cc", one.cc), ("bcc", one.bcc)):
        for number, party in enumerate(people or ()):
            if not is_address(party.email):
                yield Problem(f"{path}.{name}.{number}.email", _INVALID)


def _of_repeats(one: Personalization, path: str) -> Iterator[Problem]:
    """Yield the first address that stands twice in a personalization, whatever its case."""
    seen: set[str] = set()
    for name, people in (("to", one.to), ("cc", one.cc), ("bcc", one.bcc)):
        for party in people or ():
            if party.email.lower() in seen:
                yield Problem(path, _TWICE.format(party.email, f"{path}.{name}"))
                return
            seen.add(party.email.lower())


def _of_senders(mail: Mail) -> Iterator[Problem]:
    """Yield what is wrong with From and Reply-To."""
    if mail.from_ is None or not mail.from_.email:
        yield Problem("from.email", _FROM)
    elif not is_address(mail.from_.email):
        yield Problem("from.email", "The from email does not contain a valid address.")
    if mail.reply_to is not None and not is_address(mail.reply_to.email):
        yield Problem("reply_to.email", "The reply_to email does not contain a valid address.")
    if mail.reply_to is not None and mail.reply_to_list is not None:
        yield Problem("reply_to_list", "The reply_to and reply_to_list parameters are mutually exclusive.")
    yield from _of_reply_to_list(mail.reply_to_list)


def _of_reply_to_list(people: list[Party] | None) -> Iterator[Problem]:
    """Yield what is wrong with a list of Reply-To."""
    if people == [] or len(people or ()) > MAX_RECIPIENTS:
        yield Problem("reply_to_list", f"The reply_to_list must have 1 to {MAX_RECIPIENTS} addresses.")
    if _repeated(party.email.lower() for party in people or ()):
        yield Problem("reply_to_list", "Each email address in the reply_to_list should be unique.")
    for number, party in enumerate(people or ()):
        if not is_address(party.email):
            yield Problem(f"reply_to_list.{number}.email", _INVALID)


def _of_subject(mail: Mail) -> Iterator[Problem]:
    """Yield a missing or empty subject, unless a template or every personalization brings one."""
    elsewhere = mail.template_id or (mail.personalizations and all(one.subject for one in mail.personalizations))
    if mail.subject == "" or not (mail.subject or elsewhere):
        yield Problem("subject", _SUBJECT)


def _of_content(mail: Mail) -> Iterator[Problem]:
    """Yield what is wrong with the bodies: none, empty, twice, or in the wrong order."""
    if not mail.content and (mail.content == [] or not mail.template_id):
        yield Problem("content", _CONTENT)
    for number, part in enumerate(mail.content or ()):
        if not part.value:
            yield Problem(
                f"content.{number}.value",
                "The content value must be a string at least one character in length.",
            )
        if "/" not in part.type:
            yield Problem(f"content.{number}.type", "The content type must be a valid MIME type.")
    ranks = [{"text/plain": 0, "text/html": 1}.get(part.type, 2) for part in mail.content or ()]
    if ranks != sorted(ranks) or _repeated(part.type for part in mail.content or ()):
        yield Problem("content", _ORDER)


def _of_files(mail: Mail) -> Iterator[Problem]:
    """Yield what is wrong with the attachments."""
    for number, one in enumerate(mail.attachments or ()):
        path = f"attachments.{number}"
        if not one.filename:
            yield Problem(f"{path}.filename", "The attachment filename is required.")
        if not one.content or not _is_base64(one.content):
            yield Problem(f"{path}.content", "The attachment content must be base64 encoded.")
        if one.disposition not in {None, "inline", "attachment"}:
            yield Problem(f"{path}.disposition", "The attachment disposition must be either inline or attachment.")
        if one.disposition == "inline" and not one.content_id:
            yield Problem(f"{path}.content_id", "The content_id is required for inline attachments.")


def _of_headers(mail: Mail) -> Iterator[Problem]:
    """Yield each header that SendGrid keeps for itself."""
    sets = [("headers", mail.headers)]
    sets += [
        (f"personalizations.{number}.headers", one.headers) for number, one in enumerate(mail.personalizations or ())
    ]
    for path, headers in sets:
        for name in headers or ():
            if name.lower() in _RESERVED:
                yield Problem(f"{path}.{name}", f"The header {name} is reserved and cannot be set.")


def _of_labels(mail: Mail) -> Iterator[Problem]:
    """Yield what is wrong with categories and custom arguments."""
    categories = mail.categories or []
    if len(categories) > MAX_CATEGORIES or _repeated(categories):
        yield Problem("categories", f"There can be at most {MAX_CATEGORIES} categories, each unique.")
    if any(not one or len(one) > MAX_CATEGORY_LENGTH or not one.isascii() for one in categories):
        yield Problem("categories", f"Each category must be 1 to {MAX_CATEGORY_LENGTH} ASCII characters.")
    for one in mail.personalizations or ():
        pairs = {**(mail.custom_args or {}), **(one.custom_args or {})}
        if _octets(pairs) > MAX_CUSTOM_ARGS:
            yield Problem("custom_args", f"The custom_args must not exceed {MAX_CUSTOM_ARGS} bytes.")
        if _octets(one.substitutions or {}) > MAX_SUBSTITUTIONS:
            yield Problem("substitutions", f"The substitutions must not exceed {MAX_SUBSTITUTIONS} bytes.")


def _octets(pairs: Mapping[str, str]) -> int:
    """Return the size of names and values together, in bytes of UTF-8."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in pairs.items())


def _of_schedule(mail: Mail, now: datetime) -> Iterator[Problem]:
    """Yield a moment of sending that is further ahead than SendGrid plans."""
    moments = (mail.send_at, *(one.send_at for one in mail.personalizations or ()))
    if any(moment is not None and moment > (now + MAX_SCHEDULE).timestamp() for moment in moments):
        yield Problem("send_at", "The send_at parameter must be at most 72 hours in the future.")


def _repeated(values: Iterable[str]) -> bool:
    """Tell whether something stands twice."""
    listed = list(values)
    return len(set(listed)) < len(listed)


def _is_base64(content: str) -> bool:
    """Tell whether text is base64 without line breaks."""
    try:
        b64decode(content, validate=True)
    except ValueError:
        return False
    return True
