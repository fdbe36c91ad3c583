"""What the domain's values show of themselves: in a traceback, a log or a debugger nobody's letter is quoted (I40)."""

from __future__ import annotations

import pkgutil
from datetime import timedelta
from importlib import import_module
from typing import get_args, get_type_hints

import pytest
from msgspec import Struct
from msgspec.structs import replace

import mailcore
from mailcore.appeal import cancelled
from mailcore.caps import recipient_caps
from mailcore.claim import Claim, Draft
from mailcore.dispatch import told
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email
from mailcore.message import Address, Attachment, Message, envelope
from mailcore.ports import Query
from mailcore.provider import HttpRequest, HttpResponse, Send
from mailcore.rates import RateLimit
from mailcore.retention import Aged
from mailcore.secret import Secret
from mailcore.stored import Added, Fetched, Page
from mailcore.suppression import Grounds, Suppression, SuppressionPage, spared
from mailcore.testing.contracts.examples import NOW, attempt, queued

CANARY = "canary77"
ANN = Address(f"ann{CANARY}@example.com", f"Ann {CANARY}")
FILE = Attachment(filename=f"{CANARY}.txt", content=CANARY.encode(), content_type=f"text/{CANARY}", content_id=CANARY)
MESSAGE = Message(
    from_=ANN,
    to=(ANN,),
    cc=(ANN,),
    bcc=(ANN,),
    reply_to=(ANN,),
    subject=CANARY,
    text=CANARY,
    html=CANARY,
    attachments=(FILE,),
    headers={"X-Canary": CANARY},
    tags=(CANARY,),
    metadata={CANARY: CANARY},
)
EMAIL = replace(
    queued(), recipients=(ANN.email,), tags=(CANARY,), metadata={CANARY: CANARY}, needs=replace(queued().needs)
)
SEND = Send(message=MESSAGE, email_id="em_a", key="em_a.0", deadline=timedelta(seconds=20))
REQUEST = HttpRequest(
    method="POST", url="https://x.example", headers=(("authorization", CANARY),), body=CANARY.encode()
)
RESPONSE = HttpResponse(status=200, headers={"x": CANARY}, body=CANARY.encode(), received_at=NOW)
SUPPRESSION = Suppression(
    tenant="shop", address=ANN.email, reason=Grounds.MANUAL, source=f"said by {CANARY}", created_at=NOW
)
VALUES = [
    *(ANN, FILE, MESSAGE, envelope(MESSAGE), SEND, REQUEST, RESPONSE, Secret(CANARY)),
    *(EMAIL, Added(EMAIL, fresh=True), Page(emails=(EMAIL,), after=None), told(EMAIL), cancelled(EMAIL, NOW)),
    *recipient_caps(MESSAGE, RateLimit(requests=1, per=timedelta(hours=1)), b"pepper")[:1],
    *(
        Claim(EMAIL, attempt("first"), began=0.0, message=MESSAGE),
        Fetched(EMAIL, MESSAGE),
        Aged(emails=(EMAIL,), after=None),
    ),
    *(SUPPRESSION, SuppressionPage((SUPPRESSION,), after=None)),
    *(spared(MESSAGE, []), Draft(SEND, note="left out, as suppressed: /to/0")),
    Event(what=Happening.CHANGED, email_id="em_a", email=EMAIL),
    Query(to=ANN.email, tag=CANARY, metadata={CANARY: CANARY}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_value_shows_a_letter_or_a_key(value: object) -> None:
    """Neither repr nor str nor a format of it has a recipient, a subject, a body, a file or a key."""
    shown = f"{value!r} {value!s} {value} {[value]} {(value,)}"

    assert CANARY not in shown


def structs() -> set[type[Struct]]:
    """Return every kind of value in mailcore, but for those of tests and simulations."""
    names = [found.name for found in pkgutil.walk_packages(mailcore.__path__, "mailcore.")]
    modules = [
        import_module(name) for name in names if not name.startswith(("mailcore.testing", "mailcore.simulation"))
    ]
    found = (one for module in modules for one in vars(module).values())
    return {one for one in found if isinstance(one, type) and issubclass(one, Struct) and one is not Struct}


def mentioned(hint: object) -> set[object]:
    """Return the types that an annotation is made of."""
    return {hint}.union(*map(mentioned, get_args(hint)))


def quoting() -> set[type[Struct]]:
    """Return the kinds that hold what an author wrote, themselves or in a part of theirs."""
    parts = {one: set().union(*map(mentioned, get_type_hints(one).values())) for one in structs()}
    found = {Address, Attachment, Message, Email}
    while more := {one for one, held in parts.items() if held & found} - found:
        found |= more
    return found


def test_every_kind_of_value_that_holds_a_letter_is_tried_above() -> None:
    """A new one that would show the letter in its repr does not get past."""
    assert quoting() - {type(value) for value in VALUES} == set()


def test_what_is_shown_still_tells_values_apart() -> None:
    """An address is known by its first letter and its domain, an e-mail by its id, a query by what it asks for."""
    assert repr(ANN) == "Address(a***@example.com)"
    assert repr(EMAIL) == "Email(em_a v1, queued: accepted)"
    assert repr(Query(to=ANN.email, tag="a")) == "Query(to, tag)"
    assert repr(FILE) == "Attachment(8 bytes)"
