"""API keys as values: what is shown, what is kept, what proves what."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.keys import (
    ALPHABET,
    ApiKey,
    Issued,
    KeyState,
    Scope,
    allows_sender,
    base62,
    issued,
    narrowed,
    outliving,
    parsed,
    permits,
    replacing,
    revoked,
    state_of,
    used,
    verified,
    widened,
)
from mailcore.rates import RateLimit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEPPER = b"pepper"
DRAFT = ApiKey(id="", digest="", tenant="shop", scopes=(Scope.SEND,), created_at=NOW)
SENDERS = st.lists(st.sampled_from(["shop.example", "a@shop.example", "b@shop.example", "other.example"]), max_size=3)
LIMITS = st.none() | st.builds(RateLimit, requests=st.integers(1, 4), per=st.sampled_from([HOUR, 2 * HOUR, HOUR / 3]))
BOUNDED = st.builds(
    lambda senders, daily, limit: replace(DRAFT, senders=tuple(senders), daily=daily, limit=limit),
    SENDERS,
    st.none() | st.integers(1, 3),
    LIMITS,
)
SECRETS = st.binary(min_size=32, max_size=32)


def made(octets: bytes = bytes(range(32)), key_id: str = "key_AAAAAAA1") -> Issued:
    """Return a key that was just made."""
    return issued(DRAFT, key_id, octets, PEPPER)


@given(octets=SECRETS, other=SECRETS)
def test_a_token_proves_its_own_key_and_no_other(octets: bytes, other: bytes) -> None:
    """Whoever shows the whole secret under the right name is let in, by the right pepper alone."""
    one, two = made(octets), made(other, "key_AAAAAAA2")
    known = {one.key.id: one.key, two.key.id: two.key}
    shown = one.token.reveal()

    assert verified(known, shown, PEPPER) == one.key
    assert verified(known, shown, b"another") is None
    assert verified({two.key.id: two.key}, shown, PEPPER) is None
    assert verified(known, shown.replace("AAAAAAA1", "AAAAAAA2"), PEPPER) == (two.key if octets == other else None)


@given(octets=SECRETS, at=st.integers(0, 59), by=st.sampled_from(ALPHABET))
def test_one_wrong_character_proves_nothing(octets: bytes, at: int, by: str) -> None:
    """A token that differs anywhere is no key."""
    key, shown = made(octets).key, made(octets).token.reveal()
    wrong = shown[:at] + by + shown[at + 1 :]

    assert (verified({key.id: key}, wrong, PEPPER) is None) == (wrong != shown)


@given(text=st.text())
def test_any_text_may_be_shown(text: str) -> None:
    """What is no token claims to be a key that there cannot be; nothing raises."""
    encodable = text.encode("latin-1", "replace").decode("latin-1")

    assert verified({}, encodable, PEPPER) is None
    assert verified({"": replace(DRAFT, digest="0" * 64)}, encodable, PEPPER) is None


def test_a_token_has_the_form_that_scanners_of_secrets_know() -> None:
    """mc_live_, 8 characters that name it, 43 of 32 random bytes; letters and digits only."""
    token = made().token.reveal()

    prefix, name, secret = token[:8], token[8:16], token[17:]
    assert (prefix, name, token[16], len(secret)) == ("mc_live_", "AAAAAAA1", "_", 43)
    assert set(secret) <= set(string.ascii_letters + string.digits)


@given(octets=SECRETS, other=SECRETS)
def test_different_octets_make_different_secrets(octets: bytes, other: bytes) -> None:
    """43 digits to the base 62 hold 256 bits: nothing is cut off."""
    assert (base62(octets, 43) == base62(other, 43)) == (octets == other)


def test_a_key_shows_neither_secret_nor_digest() -> None:
    """Not in its repr, nor in what is kept of it."""
    one = made()
    secret = parsed(one.token.reveal()).secret
    kept = msgspec.json.encode(one.key).decode()

    assert secret not in kept + repr(one) + repr(one.key) + repr(parsed(one.token.reveal()))
    assert one.key.digest not in repr(one) + repr(one.key)


def test_a_key_ends_when_it_is_revoked_or_its_time_is_up() -> None:
    """At its very end it opens nothing any more; a revocation counts more than an end."""
    key = replace(DRAFT, expires_at=NOW + HOUR)

    assert state_of(DRAFT, NOW + 9999 * HOUR) is KeyState.ACTIVE
    assert [state_of(key, NOW + delta * HOUR) for delta in (0.99, 1)] == [KeyState.ACTIVE, KeyState.EXPIRED]
    assert state_of(revoked(key, NOW), NOW + 2 * HOUR) is KeyState.REVOKED


def test_every_change_raises_the_version_by_one() -> None:
    """So that none is made on top of another by mistake; what changes nothing stays as it is."""
    gone = revoked(DRAFT, NOW)

    assert [one.version for one in (gone, used(DRAFT, NOW), outliving(DRAFT, NOW))] == [2, 2, 2]
    assert revoked(gone, NOW + HOUR) is gone


@pytest.mark.parametrize(("ends", "until", "expected"), [(None, 1, 1), (2, 1, 1), (1, 2, 1)])
def test_a_replaced_key_never_lives_longer_than_it_would_have(ends: int | None, until: int, expected: int) -> None:
    """Rotation shortens a key's life or leaves it alone."""
    key = replace(DRAFT, expires_at=None if ends is None else NOW + ends * HOUR)

    assert outliving(key, NOW + until * HOUR).ends_at == NOW + expected * HOUR


@pytest.mark.parametrize("scope", Scope)
def test_admin_includes_all_and_the_others_only_themselves(scope: Scope) -> None:
    """`read` reads no contents, `content` lists nothing, `send` sees nothing."""
    assert permits((Scope.ADMIN,), scope)
    assert [one for one in Scope if permits((scope,), one)] == (list(Scope) if scope is Scope.ADMIN else [scope])
    assert not permits((), scope)


@pytest.mark.parametrize(
    ("senders", "address", "allowed"),
    [
        ((), "anybody@anywhere.example", True),
        (("shop.example",), "a@shop.example", True),
        (("shop.example",), "a@SHOP.example", True),
        (("shop.example",), "a@sub.shop.example", False),
        (("shop.example",), "a@notshop.example", False),
        (("a@shop.example",), "a@shop.example", True),
        (("a@shop.example",), "b@shop.example", False),
        (("a@shop.example",), "A@shop.example", False),
        (("b@shop.example", "other.example"), "x@other.example", True),
    ],
)
def test_a_sender_is_an_address_or_a_whole_domain(senders: tuple[str, ...], address: str, *, allowed: bool) -> None:
    """Nothing under or beside a domain, and no other local part."""
    assert allows_sender(senders, address) is allowed


def allowed(key: ApiKey, hours: int) -> float:
    """Return how many requests a key may make in so many hours at most."""
    return float("inf") if key.limit is None else key.limit.requests * (1 + hours * HOUR / key.limit.per)


@given(draft=BOUNDED, maker=BOUNDED)
def test_what_widens_nothing_may_do_no_more_than_its_maker(draft: ApiKey, maker: ApiKey) -> None:
    """A key that is made without an objection writes as nobody else, no more a day, and asks no more often."""
    made_so = narrowed(draft, maker)
    if not list(widened(made_so, maker)):
        for address in ("a@shop.example", "b@shop.example", "c@shop.example", "x@other.example", "x@third.example"):
            assert allows_sender(maker.senders, address) or not allows_sender(made_so.senders, address)
        assert maker.daily is None or (made_so.daily is not None and made_so.daily <= maker.daily)
        assert all(allowed(made_so, hours) <= allowed(maker, hours) for hours in (0, 1, 100))


@given(draft=BOUNDED, maker=BOUNDED)
def test_what_a_draft_leaves_open_is_its_makers_bound(draft: ApiKey, maker: ApiKey) -> None:
    """A bound of its own stays; one that it does not name is handed down, and is never an objection."""
    made_so = narrowed(draft, maker)
    named = {"senders": draft.senders, "daily": draft.daily, "rate_limit": draft.limit}

    assert made_so.senders == (draft.senders or maker.senders)
    assert (made_so.daily, made_so.limit) == (draft.daily or maker.daily, draft.limit or maker.limit)
    assert {name for name in widened(made_so, maker) if not named[name]} == set()
    assert list(widened(maker, maker)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"senders": ("c@shop.example",)}, []),
        ({"senders": ("other.example",)}, ["senders"]),
        ({"senders": ()}, []),
        ({"daily": 2}, []),
        ({"daily": 3}, ["daily"]),
        ({"limit": RateLimit(requests=4, per=2 * HOUR)}, []),
        ({"limit": RateLimit(requests=4, per=HOUR)}, ["rate_limit"]),
        ({"limit": RateLimit(requests=5, per=99 * HOUR)}, ["rate_limit"]),
    ],
)
def test_a_bound_that_is_wider_than_the_makers_is_named(changes: dict[str, object], expected: list[str]) -> None:
    """Neither at once nor in the long run; what is as wide is in order."""
    maker = replace(DRAFT, senders=("shop.example",), daily=2, limit=RateLimit(requests=4, per=2 * HOUR))

    assert list(widened(narrowed(replace(DRAFT, **changes), maker), maker)) == expected


def test_the_key_that_replaces_one_has_its_bounds_and_not_its_end() -> None:
    """Rotation changes the secret; the end that stands beside the new key is the old one's alone."""
    old = replace(DRAFT, daily=2, expires_at=NOW + 9 * HOUR, replaced_until=NOW + HOUR)

    assert replacing(old, NOW + HOUR) == replace(old, created_at=NOW + HOUR, replaced_until=None)
