"""Caps on e-mails: what is counted of a message, and what its author is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcore.caps import DAY, Cap, daily_cap, must_fit, recipient_caps, sender_cap
from mailcore.errors import CapReachedError
from mailcore.message import Address, Message, envelope
from mailcore.metering import LocalRates
from mailcore.rates import RateLimit
from mailcore.validation import checked

HOURLY = RateLimit(requests=2, per=timedelta(hours=1))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
PEPPER = b"pepper"
LOCALS = st.sampled_from(["ann", "Ann", "bob", "c.d", "\u00e9ve"])
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "m\u00fcller.example", "xn--mller-kva.example"])
WRITTEN = st.builds("{}@{}".format, LOCALS, DOMAINS)
LISTS = st.lists(WRITTEN | WRITTEN.map(lambda one: f"Someone <{one}>") | WRITTEN.map(Address), max_size=4)


def message(**recipients: object) -> Message:
    """Return a message as its author wrote it."""
    return Message(**{"from_": "shop@shop.example", "subject": "a", "text": "b", "to": (), **recipients})


def caps_of(written: Message) -> list[Cap]:
    """Return the bounds of a message's recipients."""
    return recipient_caps(checked(written, now=NOW), HOURLY, PEPPER)


@given(to=LISTS, cc=LISTS, bcc=LISTS)
def test_each_mailbox_is_counted_once_under_a_name_of_its_own(to: list[str], cc: list[str], bcc: list[str]) -> None:
    """However it is spelt and wherever it stands, one mailbox has one bucket, and another has another."""
    written = message(to=["x@example.com", *to], cc=cc, bcc=bcc)

    names = [cap.bucket.name for cap in caps_of(written)]

    assert len(set(names)) == len(names) == len(envelope(checked(written, now=NOW)).recipients)
    assert caps_of(message(to="X@Example.com"))[0].bucket.name == names[0]


@given(address=WRITTEN)
def test_no_part_of_an_address_is_in_a_buckets_name(address: str) -> None:
    """What is counted is a digest that nobody can guess an address by who does not know the pepper."""
    sound = checked(message(to=address), now=NOW)

    (mine,), (other,) = recipient_caps(sound, HOURLY, PEPPER), recipient_caps(sound, HOURLY, b"another")

    kind, _, digest = mine.bucket.name.partition(":")
    assert (kind, len(digest), set(digest) <= set("0123456789abcdef")) == ("mailbox", 32, True)
    assert mine.bucket.name != other.bucket.name


@given(to=LISTS, cc=LISTS, bcc=LISTS, full=st.data())
async def test_who_is_bound_is_pointed_to_where_it_was_written(
    to: list[str], cc: list[str], bcc: list[str], full: st.DataObject
) -> None:
    """The pointer leads to an address of the very mailbox, and no address stands in the detail."""
    written = message(to=["x@example.com", *to], cc=cc, bcc=bcc)
    caps = caps_of(written)
    bound = full.draw(st.sampled_from(caps))
    rates = LocalRates(float)
    for _ in range(HOURLY.requests):
        await rates.admit(bound.bucket.name, HOURLY)

    with pytest.raises(CapReachedError) as caught:
        must_fit(caps, await rates.admit_together([cap.bucket for cap in caps]), written)

    _, field, at = caught.value.pointer.split("/")
    found = getattr(written, field)[int(at)]
    assert caps_of(message(to=found))[0].bucket == bound.bucket
    assert "@" not in str(caught.value)
    assert caught.value.retry_after_s == 1800


@pytest.mark.parametrize(("field", "pointer"), [("to", "/to"), ("cc", "/cc"), ("bcc", "/bcc")])
async def test_an_address_that_stands_alone_is_pointed_to_by_its_field(field: str, pointer: str) -> None:
    """As everywhere where something is wrong with it."""
    written = message(**{field: "Ann <ann@example.com>"})
    (cap,), rates = caps_of(written), LocalRates(float)
    full = [(await rates.admit_together([cap.bucket])) for _ in range(3)][-1]

    with pytest.raises(CapReachedError, match=f"the mailbox at {pointer} is sent 2 e-mails in 3600 s at most; wait"):
        must_fit([cap], full, written)


@given(local=LOCALS, domain=DOMAINS)
def test_a_domain_is_counted_under_one_name(local: str, domain: str) -> None:
    """However it is spelt and whoever writes, one domain has one bucket, and nobody's address is in its name."""
    sound, other = (checked(message(from_=f"{one}@{domain}", to="x@example.com"), now=NOW) for one in (local, "Zoe"))

    cap = sender_cap(sound, HOURLY)

    assert cap.bucket == sender_cap(other, HOURLY).bucket
    assert cap.bucket.name in {"domain:example.com", "domain:m\u00fcller.example"}


async def test_of_several_bounds_the_longest_wait_is_told() -> None:
    """Whoever waits as long as is told waits once."""
    written = message(to="ann@example.com")
    caps, rates = [daily_cap("key_1", 1), *caps_of(written)], LocalRates(float)
    for _ in range(2):
        await rates.admit(caps[1].bucket.name, HOURLY)
    await rates.admit(caps[0].bucket.name, caps[0].bucket.limit)

    with pytest.raises(CapReachedError) as caught:
        must_fit(caps, await rates.admit_together([cap.bucket for cap in caps]), written)

    told = caught.value
    assert (str(told), told.pointer) == ("this key may submit 1 e-mails a day; wait 86400 s", "")
    assert told.retry_after_s == DAY.total_seconds()


async def test_where_all_have_room_nothing_is_raised() -> None:
    """A message that fits is let in."""
    written = message(to=["ann@example.com", "bob@example.com"])
    caps, rates = [daily_cap("key_1", 1), *caps_of(written)], LocalRates(float)

    must_fit(caps, await rates.admit_together([cap.bucket for cap in caps]), written)

    assert not (await rates.admit("key_1:day", caps[0].bucket.limit)).allowed


async def test_a_domain_that_sends_too_much_is_told_at_its_author() -> None:
    """Whoever writes learns that it is the domain, and not the key or a mailbox, that must wait."""
    written = message(to="ann@example.com")
    cap, rates = sender_cap(checked(written, now=NOW), HOURLY), LocalRates(float)
    for _ in range(HOURLY.requests):
        await rates.admit(cap.bucket.name, HOURLY)

    with pytest.raises(CapReachedError) as caught:
        must_fit([cap], await rates.admit_together([cap.bucket]), written)

    told = caught.value
    assert (str(told), told.pointer) == ("the domain at /from sends 2 e-mails in 3600 s at most; wait 1800 s", "/from")
    assert "example" not in str(told)
