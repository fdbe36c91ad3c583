"""The routes of API keys: make one, list them, replace one by another, revoke one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from mailapps.api.access import caller_of
from mailapps.api.body import ApiRequest
from mailapps.api.config import ApiConfig
from mailapps.api.filters import Aware
from mailapps.api.key_rules import NewKey, drafted, is_ahead
from mailapps.api.problems import ApiCode, RefusedError
from mailapps.api.reach import patience
from mailapps.api.rights import ADMIN
from mailapps.api.views import Moment, maybe, moment
from mailcore.errors import Problem
from mailcore.keyring import Keyring
from mailcore.keys import ApiKey, Issued, KeyState, Scope, narrowed, outliving, replacing, revoked, state_of, widened
from mailcore.problems import ProblemCode
from mailcore.rates import RateLimit

OVERLAP: Final = timedelta(hours=24)


class LimitView(Struct, frozen=True, kw_only=True):
    """How often a key may ask.

    Attributes:
        requests: So many at once, and as many again in each
        per_s: so many seconds, evenly.
    """

    requests: int
    per_s: float


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as it may be seen: without its secret, which nobody has but its owner.

    Attributes:
        id: Names it; the same 8 characters stand in the key itself.
        tenant: Whose e-mails it reaches.
        scopes: What it is for; `admin` includes the others.
        senders: The addresses and domains that it may send from; any if there is none.
        state: Whether it opens anything now.
        created_at: When it was made.
        expires_at: When it ends by itself or, once it was replaced, beside the new one; null if it does not.
        revoked_at: When somebody revoked it.
        last_used_at: About when it was last used, to within minutes; null if it was not.
        rate_limit: Its own; null if it has the service's.
        daily: How many e-mails it may submit a day; null for any number.
    """

    id: str
    name: str
    tenant: str
    scopes: tuple[Scope, ...]
    senders: tuple[str, ...]
    state: KeyState
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None
    rate_limit: LimitView | None
    daily: int | None


class KeyShown(KeyView, frozen=True, kw_only=True):
    """A key that was just made.

    Attributes:
        key: What its owner sends as `Authorization: Bearer …`. It is shown here, and never again.
    """

    key: str


class KeyList(Struct, frozen=True):
    """All keys of a tenant, the oldest first; those that have ended, too."""

    data: tuple[KeyView, ...]


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key is replaced.

    Attributes:
        until: How long the old key goes on beside the new one; by default 24 hours.
    """

    until: Aware | None = None

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Yield an end that is over."""
        if self.until is not None and not is_ahead(self.until, now):
            yield Problem("/until", ProblemCode.OUT_OF_RANGE, "must be ahead, and within the calendar")


@get("/keys", opt=ADMIN)
async def list_keys(request: ApiRequest) -> KeyList:
    """List the API keys, the oldest first, without their secrets."""
    ring = _ring(request)
    with patience(request):
        keys = _reached(request, (await ring.current()).values())
    now = ring.clock.now()
    return KeyList(tuple(_view(key, now) for key in sorted(keys, key=lambda one: (one.created_at, one.id))))


@post("/keys", status_code=201, opt=ADMIN)
async def create_key(request: ApiRequest, data: JSONBody[NewKey]) -> KeyShown:
    """Make an API key: `key` is shown in this answer and never again."""
    ring, caller = _ring(request), caller_of(request.scope)
    now = ring.clock.now()
    draft = narrowed(drafted(data, caller.submits_as, now), caller)
    if draft.tenant != caller.tenant and not caller.operates:
        raise RefusedError(ApiCode.FORBIDDEN, "a key of another tenant is made by the operator's key alone")
    if wider := ", ".join(widened(draft, caller)):
        raise RefusedError(ApiCode.FORBIDDEN, f"a key may do no more than the key that makes it: {wider}")
    with patience(request):
        return _shown(await ring.issue(draft), now)


@post("/keys/{key_id:str}/rotate", status_code=201, opt=ADMIN)
async def rotate_key(request: ApiRequest, key_id: FromPath[str], data: JSONBody[Rotation]) -> KeyShown:
    """Make a key like this one, which goes on beside it for a while; `key` is shown in this answer and never again."""
    ring = _ring(request)
    now = ring.clock.now()
    until = now + OVERLAP if data.until is None else data.until.astimezone(UTC)
    with patience(request):
        key = await _found(request, key_id)
        if state_of(key, now) is not KeyState.ACTIVE:
            raise RefusedError(ApiCode.KEY_ENDED, f"it is {state_of(key, now)}: create a new one")
        made = await ring.issue(replacing(key, now))
        await ring.change(key_id, lambda old: outliving(old, until))
    return _shown(made, now)


@delete("/keys/{key_id:str}", status_code=200, opt=ADMIN)
async def revoke_key(request: ApiRequest, key_id: FromPath[str]) -> KeyView:
    """Revoke a key: within 5 seconds it opens nothing in any process; again is no error."""
    ring = _ring(request)
    now = ring.clock.now()
    with patience(request):
        key = await _found(request, key_id)
        ended = await ring.change(key_id, lambda old: revoked(old, now))
    return _view(ended or key, now)


def _ring(request: ApiRequest) -> Keyring:
    """Return the keys.

    Raises:
        RefusedError: This service can have none.
    """
    config: ApiConfig = request.app.state["config"]
    if config.keyring is None:
        detail = "off loopback keys need a pepper: set MAILCORE_KEY_PEPPER_FILE, or MAILCORE_KEY_PEPPER"
        raise RefusedError(ApiCode.KEYS_OFF, detail)
    return config.keyring


def _reached(request: ApiRequest, keys: Iterable[ApiKey]) -> list[ApiKey]:
    """Return those of the keys that the caller may see."""
    caller = caller_of(request.scope)
    return [key for key in keys if caller.operates or key.tenant == caller.tenant]


async def _found(request: ApiRequest, key_id: str) -> ApiKey:
    """Return a key that the caller may change.

    Raises:
        RefusedError: There is none of this id.
    """
    found = (await _ring(request).current()).get(key_id)
    if found is None or not _reached(request, [found]):
        raise RefusedError(ApiCode.KEY_NOT_FOUND, "no API key has this id; GET /api/keys lists them")
    return found


def _view(key: ApiKey, now: datetime) -> KeyView:
    """Return a key as it may be seen."""
    return KeyView(
        id=key.id,
        name=key.name,
        tenant=key.tenant,
        scopes=key.scopes,
        senders=key.senders,
        state=state_of(key, now),
        created_at=moment(key.created_at),
        expires_at=maybe(key.ends_at),
        revoked_at=maybe(key.revoked_at),
        last_used_at=maybe(key.last_used_at),
        rate_limit=_limit(key.limit),
        daily=key.daily,
    )


def _limit(limit: RateLimit | None) -> LimitView | None:
    """Return how often a key may ask."""
    return None if limit is None else LimitView(requests=limit.requests, per_s=limit.per.total_seconds())


def _shown(made: Issued, now: datetime) -> KeyShown:
    """Return a new key with what its owner shows."""
    view = _view(made.key, now)
    return KeyShown(**{name: getattr(view, name) for name in KeyView.__struct_fields__}, key=made.token.reveal())


ROUTES: Final = (list_keys, create_key, rotate_key, revoke_key)
