"""Whom a suppression names, until when, and what is left of a message without them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.addresses import mailbox
from mailcore.errors import InvalidMessageError, Problem, SuppressedError
from mailcore.message import Address, Message, envelope
from mailcore.problems import ProblemCode
from mailcore.suppression import (
    Grounds,
    Suppression,
    addressed,
    in_force,
    must_reach,
    normalised,
    spared,
)
from mailcore.testing.contracts.examples import NOW
from mailcore.validation import checked

MILLISECOND = timedelta(milliseconds=1)
LOCALS = ("ann", "bob", "eve", "zoé")
TEXTS = st.sampled_from([f"{way(one)}@example.com" for one in LOCALS for way in (str.lower, str.upper, str.title)])
FIELDS = st.lists(TEXTS, max_size=4)
MESSAGES = st.builds(
    Message, from_=st.just("a@b.example"), subject=st.just("x"), text=st.just("x"), to=FIELDS, cc=FIELDS, bcc=FIELDS
).filter(lambda one: one.to or one.cc or one.bcc)


def suppression(address: str, **fields: object) -> Suppression:
    """Return a suppression of an address."""
    one = Suppression(tenant="default", address=address, reason=Grounds.MANUAL, created_at=NOW)
    return replace(one, **fields)


SUPPRESSIONS = st.lists(TEXTS.map(suppression), max_size=6)


def sound(written: Message) -> Message:
    """Return a message checked."""
    return checked(written, now=NOW)


@given(written=MESSAGES, found=SUPPRESSIONS)
def test_exactly_the_suppressed_recipients_are_left_out(written: Message, found: list[Suppression]) -> None:
    """Whoever is not suppressed stays, where he stood and in his order; the rest of the message is as it was."""
    message = sound(written)
    mailboxes = {one.mailbox for one in found}

    left = spared(message, found)

    fields = ("to", "cc", "bcc")
    before, after = ([getattr(envelope(one), name) for name in fields] for one in (message, left.message))
    assert after == [tuple(one for one in field if mailbox(one) not in mailboxes) for field in before]
    assert replace(left.message, to=message.to, cc=message.cc, bcc=message.bcc) == message


@given(written=MESSAGES, found=SUPPRESSIONS)
def test_what_was_left_out_is_pointed_to(written: Message, found: list[Suppression]) -> None:
    """Each pointer leads to a suppressed recipient of the checked message, and each of those has one."""
    message = sound(written)
    who = envelope(message)

    left = spared(message, found)

    places = [one.removeprefix("/").split("/") for one in left.left_out]
    told = [mailbox(getattr(who, name)[int(at)]) for name, at in places]
    assert told == [mailbox(one) for one in (*who.to, *who.cc, *who.bcc) if mailbox(one) in {s.mailbox for s in found}]
    assert len(set(left.left_out)) == len(left.left_out)


def test_many_that_were_left_out_are_named_in_few_words() -> None:
    """What a provider says has its place behind them: ten are named, the others counted."""
    to = [f"{n}@b.example" for n in range(12)]
    message = sound(Message(from_="a@b.example", to=to, subject="x", text="x"))

    named = [spared(message, [suppression(one) for one in to[:many]]).named for many in (2, 10, 12)]

    assert named == [
        "/to/0, /to/1",
        ", ".join(f"/to/{n}" for n in range(10)),
        ", ".join(f"/to/{n}" for n in range(10)) + " and 2 more",
    ]


@given(written=MESSAGES, found=SUPPRESSIONS)
def test_it_is_refused_when_nobody_it_is_written_to_may_get_it(written: Message, found: list[Suppression]) -> None:
    """When it is accepted and before a call the same is decided: by `to`, or by all recipients where there is none."""
    message = sound(written)
    suppressed = {one.mailbox for one in found}
    who = envelope(message)

    try:
        must_reach(message, found, written)
        reaches = True
    except SuppressedError:
        reaches = False

    assert reaches == any(mailbox(one) not in suppressed for one in who.to or who.recipients)
    assert reaches == spared(message, found).reaches


def test_the_problems_of_a_refusal_stand_where_their_author_wrote_them() -> None:
    """A repeat that was dropped moves no pointer, a single address has none of a list, and no text quotes anybody."""
    ann = suppression("ann@example.com", reason=Grounds.BOUNCED)
    bob = suppression("BOB@example.com", reason=Grounds.UNSUBSCRIBED, created_at=NOW + timedelta(days=1))
    written = Message(
        from_="a@b.example",
        to=["Ann <Ann@example.com>", "ann@EXAMPLE.com", Address("bob@example.com")],
        cc="eve@example.com",
        subject="x",
        text="x",
    )

    with pytest.raises(SuppressedError) as caught:
        must_reach(sound(written), [bob, ann], written)

    rest = "not written to until that is lifted"
    assert caught.value.problems == (
        Problem("/to/0", ProblemCode.SUPPRESSED, f"suppressed since 2030-01-01 (bounced): {rest}"),
        Problem("/to/2", ProblemCode.SUPPRESSED, f"suppressed since 2030-01-02 (unsubscribed): {rest}"),
    )
    assert str(caught.value).startswith("/to/0: suppressed since 2030-01-01 (bounced)")
    assert "@" not in str(caught.value)


@pytest.mark.parametrize(("field", "pointer"), [("to", "/to"), ("cc", "/cc"), ("bcc", "/bcc")])
def test_a_single_address_is_pointed_to_in_its_field(field: str, pointer: str) -> None:
    """Where there is no `to`, whoever gets a copy is written to."""
    written = Message(from_="a@b.example", subject="x", text="x", **{"to": (), field: "ann@example.com"})

    with pytest.raises(SuppressedError) as caught:
        must_reach(sound(written), [suppression("ANN@example.com")], written)

    assert [one.pointer for one in caught.value.problems] == [pointer]
    assert [one.email for one in addressed(sound(written))] == ["ann@example.com"]


def test_a_suppression_ends_to_the_millisecond() -> None:
    """It holds before its end, and at its end no more; without one it never ends."""
    ends = suppression("ann@example.com", expires_at=NOW)

    assert in_force(ends, NOW - MILLISECOND)
    assert not in_force(ends, NOW)
    assert in_force(suppression("ann@example.com"), NOW + timedelta(days=99999))


def test_an_address_is_normalised_as_a_recipient_is() -> None:
    """However its domain was written and whatever stood around it, it is found as the recipient of a message."""
    written = [suppression(one) for one in ("Ann@XN--BCHER-KVA.example", "Bob <bob@EXAMPLE.com>")]

    kept = normalised(written)

    assert [one.address for one in kept] == ["Ann@bücher.example", "bob@example.com"]
    assert kept[0] == replace(written[0], address=kept[0].address)
    assert normalised(kept) == kept


def test_what_is_no_address_is_named_by_its_place() -> None:
    """All that are none are told at once, without a word of what was written."""
    with pytest.raises(InvalidMessageError) as caught:
        normalised([suppression("ann"), suppression("bob@example.com"), suppression("a@localhost")])

    assert [(one.pointer, one.code) for one in caught.value.problems] == [
        ("/0/address", ProblemCode.INVALID_ADDRESS),
        ("/2/address", ProblemCode.INVALID_ADDRESS),
    ]
