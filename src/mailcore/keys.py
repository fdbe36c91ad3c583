"""API keys: who may ask for what, on whose behalf, until when. Pure.

A key is shown once, as `mc_live_<8 characters that name it>_<its secret>`; what is kept is a digest of the secret,
under a pepper that the store need not hold. The secret is 256 random bits, so that a quick digest will do
(reliability.md 4.1).
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct
from msgspec.structs import replace

from mailcore.rates import RateLimit
from mailcore.secret import Secret

KEY_PREFIX: Final = "key_"
NAME_LENGTH: Final = 8
"""How many characters name a key; they are no secret."""

SECRET_BYTES: Final = 32
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_LIVE: Final = "mc_live_"
_SECRET_LENGTH: Final = 43
"""As many digits to the base 62 as 32 bytes take."""

_TOKEN: Final = re.compile(rf"{_LIVE}([0-9A-Za-z]{{{NAME_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})")
_NOBODY: Final = "0" * 64
"""Stands for the digest of a key that there is not, so that looking for one takes as long as finding it."""


class Scope(StrEnum):
    """What a key is for. `admin` is everything that its tenant has, the other three included."""

    SEND = "send"
    READ = "read"
    CONTENT = "content"
    ADMIN = "admin"


class KeyState(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is kept.

    Attributes:
        id: `key_` and the characters that name it in the token.
        version: Raised by every change, from 1.
        digest: Of its secret; with it nobody can make the secret.
        tenant: Whose e-mails it reaches; it sees no others.
        scopes: What it is for.
        name: For people.
        senders: The addresses and domains that it may send from; all if there is none.
        created_at: When it was made.
        expires_at: When it ends by itself; None if it does not.
        replaced_until: Until when it goes on beside the key that has replaced it; None if none has.
        revoked_at: When somebody ended it.
        last_used_at: About when it was last used, to within minutes; None if it never was.
        limit: How often it may ask; None for what the service allows every key.
        daily: How many e-mails it may submit a day; None for as many as it likes.
    """

    id: str
    version: int = 1
    digest: str
    tenant: str
    scopes: tuple[Scope, ...]
    name: str = ""
    senders: tuple[str, ...] = ()
    created_at: datetime
    expires_at: datetime | None = None
    replaced_until: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    limit: RateLimit | None = None
    daily: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None

    def __repr__(self) -> str:
        """Return which key it is, and nothing that helps to guess it."""
        return f"ApiKey({self.id})"

    @property
    def ends_at(self) -> datetime | None:
        """When it ends, by itself or because it was replaced; None if it does not."""
        return min((end for end in (self.expires_at, self.replaced_until) if end is not None), default=None)


class Bounds(Protocol):
    """What bounds whoever makes a key: what a key has of the same names."""

    @property
    def senders(self) -> tuple[str, ...]:
        """The addresses and domains that may be sent from; all if there is none."""
        ...

    @property
    def daily(self) -> int | None:
        """How many e-mails may be submitted a day."""
        ...

    @property
    def limit(self) -> RateLimit | None:
        """How often may be asked."""
        ...


ApiKeys = Mapping[str, ApiKey]
"""All keys that were ever made, by id."""


class Shown(Struct, frozen=True):
    """What a token says: which key it claims to be, and the secret that is to prove it."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        """Return which key it claims to be."""
        return f"Shown({self.key_id})"


def base62(octets: bytes, length: int) -> str:
    """Return octets as so many digits and letters."""
    number, digits = int.from_bytes(octets, "big"), list[str]()
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def token_of(key_id: str, octets: bytes) -> str:
    """Return what a caller shows of a key: its name, and its secret from 32 random octets."""
    return f"{_LIVE}{key_id.removeprefix(KEY_PREFIX)}_{base62(octets, _SECRET_LENGTH)}"


class Issued(Struct, frozen=True):
    """A key that was just made, and what its owner shows: there is no other time to tell it."""

    key: ApiKey
    token: Secret


def issued(draft: ApiKey, key_id: str, octets: bytes, pepper: bytes) -> Issued:
    """Return a key like a draft, by a name and a secret of its own.

    Args:
        draft: All else that the key is; its id and digest count for nothing.
        key_id: `key_` and 8 digits and letters that no other key has.
        octets: 32 of them, drawn so that nobody can guess them.
        pepper: What the secret is digested with.
    """
    token = token_of(key_id, octets)
    digest = digest_of(parsed(token).secret, pepper)
    return Issued(replace(draft, id=key_id, version=1, digest=digest, last_used_at=None), Secret(token))


def parsed(token: str) -> Shown:
    """Return what a token says; of anything that is none, a claim that no key can meet."""
    found = _TOKEN.fullmatch(token)
    return Shown(f"{KEY_PREFIX}{found[1]}", found[2]) if found else Shown("", token[:_SECRET_LENGTH])


def digest_of(secret: str, pepper: bytes) -> str:
    """Return what is kept of a secret."""
    return hmac.digest(pepper, secret.encode(), "sha256").hex()


def verified(keys: ApiKeys, token: str, pepper: bytes) -> ApiKey | None:
    """Return the key that a token proves to be; None if it proves nothing.

    It takes as long for a key that there is not, and for a token that is none, as for a wrong secret.
    """
    shown = parsed(token)
    key = keys.get(shown.key_id)
    right = hmac.compare_digest(digest_of(shown.secret, pepper), key.digest if key else _NOBODY)
    return key if right else None


def state_of(key: ApiKey, now: datetime) -> KeyState:
    """Return whether a key opens anything now."""
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.ends_at is not None and key.ends_at <= now:
        return KeyState.EXPIRED
    return KeyState.ACTIVE


def permits(scopes: Collection[Scope], scope: Scope) -> bool:
    """Whether somebody with these scopes may do what needs that one."""
    return scope in scopes or Scope.ADMIN in scopes


def allows_sender(senders: Collection[str], address: str) -> bool:
    """Whether somebody with these senders may write as an address: one of them, or in a domain among them."""
    local, _, domain = address.rpartition("@")
    known = {f"{local}@{domain.lower()}", domain.lower()}
    return not senders or any(sender in known for sender in senders)


def revoked(key: ApiKey, now: datetime) -> ApiKey:
    """Return a key that opens nothing from now on; one that was revoked before stays as it is."""
    return key if key.revoked_at is not None else replace(key, version=key.version + 1, revoked_at=now)


def outliving(key: ApiKey, until: datetime) -> ApiKey:
    """Return a key that was replaced: it ends then, or when it would have ended anyway."""
    ends = until if key.ends_at is None else min(until, key.ends_at)
    return replace(key, version=key.version + 1, replaced_until=ends)


def replacing(key: ApiKey, at: datetime) -> ApiKey:
    """Return a draft of the key that replaces one: like it, and without the end that was only the old one's."""
    return replace(key, created_at=at, replaced_until=None)


def narrowed(draft: ApiKey, maker: Bounds) -> ApiKey:
    """Return a draft with the bounds of the key that makes it, where it has none of its own."""
    return replace(
        draft,
        senders=draft.senders or maker.senders,
        daily=draft.daily or maker.daily,
        limit=draft.limit or maker.limit,
    )


def widened(draft: ApiKey, maker: Bounds) -> Iterator[str]:
    """Yield the bounds of a draft that the key that makes it does not have itself, by the names of their fields."""
    if not all(_within(sender, maker.senders) for sender in draft.senders):
        yield "senders"
    if maker.daily is not None and (draft.daily or math.inf) > maker.daily:
        yield "daily"
    if maker.limit is not None and not (draft.limit and _is_as_seldom(draft.limit, maker.limit)):
        yield "rate_limit"


def _within(sender: str, senders: Collection[str]) -> bool:
    """Whether an address or a domain is one of some senders, or an address in a domain of theirs."""
    return not senders or sender in senders or ("@" in sender and allows_sender(senders, sender))


def _is_as_seldom(limit: RateLimit, bound: RateLimit) -> bool:
    """Whether a limit lets nobody ask more than a bound, neither at once nor in the long run."""
    return limit.requests <= bound.requests and limit.requests * bound.per <= bound.requests * limit.per


def used(key: ApiKey, at: datetime) -> ApiKey:
    """Return a key that was used."""
    return replace(key, version=key.version + 1, last_used_at=at)
