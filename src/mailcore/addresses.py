r"""Addresses: read strictly, compared, and written for the wire.

What is taken: one ``local@domain``, or ``Name <local@domain>`` with the name quoted where it holds any of
``( ) < > [ ] : ; @ \ , "``. What is refused here though it is valid elsewhere: comments, groups, lists,
quoted local parts, IP literals, domains without a dot, and the special-use ones that no provider can reach
(`.local`, `.localhost`, `.invalid`, `.onion`, `.arpa`); `.test` and `.example` are taken, as tests and
tutorials need them. A domain label that mixes scripts whose letters look alike is refused too: ICANN's
guidelines let no registry sell it, and there is no channel on which it could only be flagged.

The syntax is email-validator's, in its strict mode, and a few rules of ours that it leaves out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from mailcore.errors import Problem
from mailcore.message import LIMITS, Address, Addresses, Limits, Message
from mailcore.problems import ProblemCode, line_problem, problem, shown_problem

_ADDRESS_OCTETS = 254  # RFC 3696 erratum 1690
_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
_TEXT_LENGTH = 1024  # a name with every character escaped, and an address
_SPECIALS = frozenset('()<>[]:;@\\,"')  # RFC 5322 section 3.2.3; the dot is common in names, so it may stand
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ATOMS = re.compile(rf"[a-zA-Z0-9_!#$%&'*+\-/=?^`{{|}}~.]{{1,{_LOCAL_OCTETS}}}")
# A bracket that was opened is closed, and what stands before the at sign neither begins nor ends with a dot.
_PLAIN = re.compile(
    r"(?:([A-Za-z0-9 .'&-]{0,64})<)?"
    rf"(?!\.)([A-Za-z0-9_+.-]{{1,{_LOCAL_OCTETS}}})(?<!\.)@([A-Za-z0-9.-]{{1,185}})"
    r"(?(1)>)"
)
_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN")
_ONE = "must be one address, local@domain or Name <local@domain>; several are written as a list"


def parse(written: str | Address, pointer: str, limits: Limits = LIMITS) -> Address | Problem:
    """Return the address that was written, normalised, or why it is none.

    The domain becomes lower-case U-labels; the local part is kept as written, in Unicode's form C.

    Args:
        pointer: Where it stands in the message; of an Address the member's name is added.
    """
    if isinstance(written, str) and (plain := _plain(written, limits)):
        return plain
    apart = _apart(written, pointer) if isinstance(written, str) else written
    if isinstance(apart, Problem):
        return apart
    place = pointer if isinstance(written, str) else f"{pointer}/name"
    name = apart.name.strip(" ")
    if wrong := shown_problem(name, place, limits.name_length):
        return wrong
    email = _normalised(apart.email, pointer if isinstance(written, str) else f"{pointer}/email")
    return email if isinstance(email, Problem) else Address(email, name)


def wire(address: Address) -> str:
    """Return the address as it goes over the wire: its domain as A-labels, its local part as it is."""
    if address.domain.isascii():
        return address.email
    # The same reading that made the U-labels turns them back, so that the two cannot disagree.
    domain = _syntax(f"a@{address.domain}")[1]
    return f"{address.local}@{domain}"


def formatted(address: Address) -> str:
    """Return an RFC 5322 mailbox, ``"Name" <local@domain>``; a name that is not ASCII stays text.

    `parse` reads it back as the same address.
    """
    if not address.name:
        return wire(address)
    name = address.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{wire(address)}>'


def mailbox(address: Address) -> str:
    """Return what two addresses have in common if they name the same mailbox.

    Case is ignored on both sides, as by the providers that refuse a repeat, and so are Unicode's
    compatibility forms.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address.email).casefold())


def unrepeated(*fields: tuple[Address, ...]) -> tuple[tuple[Address, ...], ...]:
    """Return the same fields with each mailbox only where it stands first."""
    if sum(map(len, fields)) < 2:  # noqa: PLR2004 - one repeats nobody
        return fields
    seen: set[str] = set()
    return tuple(tuple(_unseen(field, seen)) for field in fields)


def _unseen(addresses: Iterable[Address], seen: set[str]) -> Iterator[Address]:
    """Yield the addresses whose mailbox is not yet among the seen, and add it."""
    for address in addresses:
        if (key := mailbox(address)) not in seen:
            seen.add(key)
            yield address


def pointer_to(recipient: Address, written: Message) -> str:
    """Return where a recipient stands first in a message as it was written."""
    fields = (("/to", written.to), ("/cc", written.cc), ("/bcc", written.bcc))
    pairs = (pair for pointer, given in fields for pair in _pointed(pointer, given))
    parsed = ((pointer, parse(one, pointer)) for pointer, one in pairs)
    same = (at for at, one in parsed if isinstance(one, Address) and mailbox(one) == mailbox(recipient))
    return next(same, "/to")


def _pointed(pointer: str, given: Addresses) -> Iterator[tuple[str, str | Address]]:
    """Yield each address of a field with its pointer."""
    if isinstance(given, str | Address):
        yield pointer, given
    else:
        yield from ((f"{pointer}/{at}", one) for at, one in enumerate(given))


def _plain(text: str, limits: Limits) -> Address | None:
    """Return an address of plain ASCII at a sound domain, as nearly all are, in one step; None for all others.

    It is what the long way would return. The rest of this module says what is wrong with the others, if anything is.
    """
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    name, local, domain = found.groups("")
    normal, name = _plain_domain(domain), name.strip(" ")
    sound = normal and ".." not in local and len(name) <= limits.name_length
    return Address(f"{local}@{normal}", name) if sound else None


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str:
    """Return a domain in lower case, or nothing if it is none, has no dot or stands for letters beyond ASCII."""
    try:
        normal, _ = _domain(domain)
    except ValueError:
        return ""
    return normal if normal.isascii() and "." in normal else ""


def _apart(text: str, pointer: str) -> Address | Problem:
    """Return the two halves of ``Name <local@domain>``, neither checked for what stands in it."""
    if wrong := line_problem(text, pointer, _TEXT_LENGTH):
        return wrong
    if not text.endswith(">"):
        return Address(text)
    # The address itself cannot hold a "<", so the last one begins it, whatever the name holds.
    head, opened, email = text[:-1].rpartition("<")
    name = _name(head.strip(" "))
    if not opened or name is None:
        return problem(pointer, ProblemCode.INVALID_ADDRESS, f'{_ONE}; "quote" a name with punctuation')
    return Address(email, name)


def _name(head: str) -> str | None:
    """Return the display name that stands before the angle bracket, or None if it cannot stand there."""
    if quoted := _QUOTED.fullmatch(head):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    return None if _SPECIALS.intersection(head) else head


def _normalised(email: str, pointer: str) -> str | Problem:
    """Return an address without a name in its normal form, or why it is none."""
    if not email:
        return problem(pointer, ProblemCode.REQUIRED, "an address is required")
    if wrong := line_problem(email, pointer, _ADDRESS_OCTETS):
        return wrong
    try:
        normal, _ = _syntax(email)
    except ValueError as error:
        return problem(pointer, ProblemCode.INVALID_ADDRESS, f"{_ONE}. {error}")
    local, _, domain = normal.rpartition("@")
    return _local_problem(local, pointer) or _domain_problem(domain, pointer) or normal


def _syntax(email: str) -> tuple[str, str]:
    """Return the normalised address and its domain as A-labels.

    Most local parts are plain ASCII, which no rule changes; then only the domain has to be read, and domains recur.

    Raises:
        ValueError: It is no address.
    """
    local, at, domain = email.rpartition("@")
    if at and _is_plain(local):
        normal, ascii_domain = _domain(domain)
        if len(local) + max(len(normal.encode()), len(ascii_domain)) < _ADDRESS_OCTETS:
            return f"{local}@{normal}", ascii_domain
    return _validated(email)


@lru_cache(maxsize=4096)
def _domain(domain: str) -> tuple[str, str]:
    """Return a domain as lower-case U-labels and as A-labels.

    Raises:
        ValueError: It is none.
    """
    normal, ascii_domain = _validated(f"a@{domain}")
    return normal.removeprefix("a@"), ascii_domain


def _validated(email: str) -> tuple[str, str]:
    """Return what email-validator makes of an address, and its domain as A-labels.

    Raises:
        ValueError: It is no address.
    """
    from email_validator import validate_email

    # test_environment lets `.test` pass; with it `@test` passes too, which we refuse ourselves.
    found = validate_email(email, strict=True, check_deliverability=False, test_environment=True)
    return found.normalized, found.ascii_domain


def _is_plain(local: str) -> bool:
    """Return whether it is an ASCII dot-atom (RFC 5322 section 3.2.3), as nearly all local parts are."""
    return bool(_ATOMS.fullmatch(local)) and ".." not in local and local[0] != "." != local[-1]


def _local_problem(local: str, pointer: str) -> Problem | None:
    """Return what email-validator lets pass before the at sign and we do not."""
    if _is_plain(local):
        return None
    if len(local.encode()) > _LOCAL_OCTETS:
        return problem(pointer, ProblemCode.TOO_LONG, f"at most {_LOCAL_OCTETS} octets before the at sign")
    if not _is_dot_atom(unicodedata.normalize("NFKC", local)):
        return problem(pointer, ProblemCode.INVALID_ADDRESS, "before the at sign stands a special character")
    return None


def _domain_problem(domain: str, pointer: str) -> Problem | None:
    """Return what email-validator lets pass behind the at sign and we do not."""
    if "." not in domain:
        return problem(pointer, ProblemCode.INVALID_ADDRESS, "the domain must have a dot")
    if not domain.isascii() and any(map(_mixes_scripts, domain.split("."))):
        return problem(pointer, ProblemCode.MIXED_SCRIPTS, "the domain mixes letters that look alike")
    return None


def _is_dot_atom(local: str) -> bool:
    """Return whether it is one still when every character is replaced by the plain one it stands for.

    A fullwidth at sign (U+FF20) is a letter to RFC 6531 and an at sign to whoever folds it later.
    """
    atoms = local.split(".")
    return all(atom and " " not in atom and not _SPECIALS.intersection(atom) for atom in atoms)


def _mixes_scripts(label: str) -> bool:
    """Return whether the letters of a domain's label come from several scripts that look alike."""
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in label if letter.isalpha()}
    return len(scripts.intersection(_ALIKE)) > 1
