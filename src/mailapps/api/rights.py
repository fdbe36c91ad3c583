"""What each route needs of its caller, and who a caller is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from mailcore.keys import ApiKey, Scope, permits
from mailcore.mailer import DEFAULT_TENANT
from mailcore.rates import RateLimit


class Need(Struct, frozen=True):
    """What a route needs of its caller.

    Attributes:
        scope: One of the caller's must be it, or include it.
        operator: What it shows or changes is not one tenant's alone.
    """

    scope: Scope
    operator: bool = False


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        name: For logs: a key's id, or one of ours.
        tenant: Whose e-mails are reached; None for all.
        scopes: What may be done with them.
        senders: The addresses and domains that may be sent from; all if there is none.
        limit: How often may be asked; None for what the service allows every key.
        daily: How many e-mails may be submitted a day; None for any number.
    """

    name: str
    tenant: str | None
    scopes: tuple[Scope, ...]
    senders: tuple[str, ...] = ()
    limit: RateLimit | None = None
    daily: int | None = None

    @property
    def submits_as(self) -> str:
        """Whose the e-mails are that this caller submits."""
        return DEFAULT_TENANT if self.tenant is None else self.tenant

    @property
    def operates(self) -> bool:
        """Whether the whole service is in this caller's hands: a tenant of its own is not."""
        return Scope.ADMIN in self.scopes and self.tenant in {None, DEFAULT_TENANT}

    def may(self, need: Need) -> bool:
        """Whether this caller may do what needs that."""
        return self.operates if need.operator else permits(self.scopes, need.scope)


ANYBODY: Final = Caller(name="anybody", tenant=None, scopes=(Scope.ADMIN,))
"""Who asks a service that asks for no key."""

ADMINISTRATOR: Final = Caller(name="admin", tenant=None, scopes=(Scope.ADMIN,))
"""Who knows the key of the settings."""

OPERATE: Final[Mapping[str, Any]] = {"needs": Need(Scope.ADMIN, operator=True)}
ADMIN: Final[Mapping[str, Any]] = {"needs": Need(Scope.ADMIN)}
CONTENT: Final[Mapping[str, Any]] = {"needs": Need(Scope.CONTENT)}
READ: Final[Mapping[str, Any]] = {"needs": Need(Scope.READ)}
SEND: Final[Mapping[str, Any]] = {"needs": Need(Scope.SEND)}


def need_of(opt: Mapping[str, Any]) -> Need:
    """Return what a route needs by its options; one that says nothing is the operator's alone."""
    need: Need = opt.get("needs", OPERATE["needs"])
    return need


def caller_with(key: ApiKey) -> Caller:
    """Return who has shown a key."""
    return Caller(
        name=key.id,
        tenant=key.tenant,
        scopes=key.scopes,
        senders=key.senders,
        limit=key.limit,
        daily=key.daily,
    )
