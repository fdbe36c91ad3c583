"""The engine's front door: hand it messages, ask after them, and tell it what to do with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from mailcore.appeal import Resolution, cancelled, redriven, resolved
from mailcore.attempt import PassedOver
from mailcore.dispatch import Transition
from mailcore.errors import (
    CapReachedError,
    EmailNotFoundError,
    InvalidMessageError,
    KeyReusedError,
    NoProviderCanCarryError,
    Problem,
    SuppressedError,
)
from mailcore.events import Event, Happening
from mailcore.identity import checked_key, email_id_for_key, fingerprint
from mailcore.intake import new_email
from mailcore.lifecycle import Email, EmailId, Status
from mailcore.message import LIMITS, Address, Limits, Message
from mailcore.plan import Begin, plan_attempt
from mailcore.ports import Ports, Query
from mailcore.provider import ProviderView, lacks
from mailcore.records import Decide, Records
from mailcore.roster import Roster
from mailcore.route import find_route
from mailcore.rules import Rules
from mailcore.stored import Added, Page
from mailcore.suppression import must_reach
from mailcore.suppression_list import SuppressionList
from mailcore.validation import checked, problems_of

DEFAULT_TENANT = "default"

Admit = Callable[[Message], Awaitable[None]]
"""Counts a checked message before it is accepted, or raises CapReachedError."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Which provider would take a message now, and why.

    Attributes:
        provider: None if the message would have to wait.
        because: The strategy's reason, or what the e-mail would do instead.
        passed_over: The other providers, each with its reason.
    """

    provider: str | None
    because: str
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True, kw_only=True)
class Mailer:
    """Accepts messages and looks after the e-mails that come of them.

    Attributes:
        default_from: The author of messages that name none.
        suppressions: Who must not be written to.
    """

    ports: Ports
    rules: Rules
    records: Records
    roster: Roster
    suppressions: SuppressionList
    default_from: Address | None = None
    limits: Limits = field(default=LIMITS)

    async def submit(
        self, message: Message, *, key: str | None = None, tenant: str = DEFAULT_TENANT, admit: Admit | None = None
    ) -> Added:
        """Accept a message: once this returns, the e-mail is durable and will be sent.

        Args:
            message: As its author wrote it.
            key: The caller's idempotency key: however often it is submitted, one key makes one e-mail.
            tenant: Whose key it is; equal keys of two tenants have nothing to do with each other.
            admit: Bounds how many are accepted; a repeat of one that was accepted is never refused by it.

        Raises:
            InvalidMessageError: The message or the key is wrong; names every problem.
            NoProviderCanCarryError: No configured provider can express the message.
            SuppressedError: Nobody whom it is written to may be written to.
            CapReachedError: `admit` says so.
            KeyReusedError: The key belongs to another message.
            StoreUnavailableError: Whether it was stored is not known: submit it again with the same key.
        """
        email_id = email_id_for_key(tenant, checked_key(key)) if key is not None else self.ports.new_id()
        try:
            sound, email = self._accepted(message, email_id, tenant, key)
            await self._must_reach(sound, email, message)
            if admit is not None:
                await admit(sound)
        except (InvalidMessageError, NoProviderCanCarryError, SuppressedError, CapReachedError):
            if key is None or (repeated := await self._repeated(message, email_id)) is None:
                raise
            return repeated
        added = await self.ports.store.add(email, sound)
        if not added.fresh:
            _must_match(added.email, email.fingerprint)
            return added
        self.ports.watch(Event(what=Happening.SUBMITTED, email_id=email_id, email=added.email))
        self.ports.crash_point("after_commit")
        if added.email.status is Status.QUEUED:
            await self.records.wake_up(added.email)
        return added

    def _accepted(
        self, message: Message, email_id: EmailId, tenant: str, key: str | None = None
    ) -> tuple[Message, Email]:
        """Return the message checked and its new record, not stored yet; without a key nothing can repeat it."""
        now = self.ports.clock.now()
        sound = checked(message, now=now, default_from=self.default_from, limits=self.limits)
        written = "" if key is None else fingerprint(message)
        email = new_email(sound, email_id, tenant, written, self.rules, now)
        self._must_be_carried(email)
        return sound, email

    def problems_of(self, value: object) -> Sequence[Problem]:
        """Return everything that is wrong with what JSON gave and should be a message."""
        now = self.ports.clock.now()
        return problems_of(value, now=now, default_from=self.default_from, limits=self.limits)

    async def _repeated(self, message: Message, email_id: EmailId) -> Added | None:
        """Return the e-mail of a repeat that would not be accepted any more, since it has expired meanwhile."""
        try:
            email = await self.ports.store.get(email_id)
        except EmailNotFoundError:
            return None
        return Added(email, fresh=False) if email.fingerprint == fingerprint(message) else None

    async def _must_reach(self, sound: Message, email: Email, written: Message) -> None:
        """Refuse a message that nobody may get whom it is written to."""
        if suppressions := await self.suppressions.among(email.tenant, email.recipients):
            must_reach(sound, suppressions, written)

    def _must_be_carried(self, email: Email) -> None:
        """Refuse an e-mail that no configured provider can carry."""
        reasons: dict[str, str] = {}
        for one in self.ports.providers:
            lack = lacks(one.provider.capabilities, email.needs)
            if lack is None:
                return
            reasons[one.provider.name] = lack
        raise NoProviderCanCarryError(reasons)

    async def get(self, email_id: EmailId, *, tenant: str | None = None) -> Email:
        """Return an e-mail with its attempts and history.

        Raises:
            EmailNotFoundError: No e-mail of this tenant has this id.
        """
        return _of_tenant(await self.ports.store.get(email_id), tenant)

    async def content(self, email_id: EmailId, *, tenant: str | None = None) -> Message:
        """Return the message of an e-mail as it was accepted.

        Raises:
            EmailNotFoundError: No e-mail of this tenant has this id, or its content is gone.
        """
        await self.get(email_id, tenant=tenant)
        return await self.ports.store.content(email_id)

    async def list(self, query: Query | None = None, *, after: str | None = None, limit: int = 20) -> Page:
        """Return e-mails, newest first.

        Raises:
            ValueError: `after` is no cursor.
        """
        return await self.ports.store.list(query or Query(), after=after, limit=limit)

    async def count(self, query: Query | None = None) -> int:
        """Return how many e-mails a query finds."""
        return await self.ports.store.count(query or Query())

    async def cancel(self, email_id: EmailId, *, tenant: str | None = None) -> Email:
        """Withdraw an e-mail; one that is being sent is only marked, and withdrawn after a clean failure.

        Raises:
            ConflictError: It is sent or failed already.
            EmailNotFoundError: No e-mail of this tenant has this id.
        """
        return await self._appeal(email_id, tenant, lambda email: cancelled(email, self.ports.clock.now()))

    async def resolve(self, email_id: EmailId, how: Resolution, *, note: str = "", tenant: str | None = None) -> Email:
        """Settle a held e-mail by what a person found out.

        Raises:
            ConflictError: It is not held.
            EmailNotFoundError: No e-mail of this tenant has this id.
        """
        return await self._appeal(
            email_id, tenant, lambda email: resolved(email, how, note, self.rules, self.ports.clock.now())
        )

    async def redrive(self, email_id: EmailId, *, tenant: str | None = None) -> Email:
        """Queue a dead letter again, as a new series of attempts.

        Raises:
            ConflictError: It is not failed.
            EmailNotFoundError: No e-mail of this tenant has this id.
        """
        return await self._appeal(email_id, tenant, lambda email: redriven(email, self.rules, self.ports.clock.now()))

    async def _appeal(self, email_id: EmailId, tenant: str | None, decide: Decide) -> Email:
        """Do what a person asks of an e-mail, if it is the tenant's."""

        def of_tenant(email: Email) -> Transition | None:
            return decide(_of_tenant(email, tenant))

        return await self.records.settle(email_id, of_tenant)

    async def providers(self) -> tuple[ProviderView, ...]:
        """Return how every configured provider stands now."""
        return await self.roster.views()

    async def explain(self, message: Message, *, tenant: str = DEFAULT_TENANT) -> Explanation:
        """Return which provider would take a message if it were due now, and why; nothing is stored or sent.

        Raises:
            InvalidMessageError: The message is wrong.
            NoProviderCanCarryError: No configured provider can express it.
            SuppressedError: Nobody whom it is written to may be written to.
        """
        sound, email = self._accepted(replace(message, scheduled_at=None), "em_explained", tenant)
        await self._must_reach(sound, email, message)
        now = self.ports.clock.now()
        plan = plan_attempt(email, await self.roster.views(), self.rules, now, self.ports.draw())
        if isinstance(plan, Begin):
            return Explanation(provider=plan.provider, because=plan.why.because, passed_over=plan.why.passed_over)
        route = find_route(email, self.roster.latest, now)
        return Explanation(provider=None, because="no provider takes it now", passed_over=route.passed_over)

    async def wait(self, email_id: EmailId, *, timeout: float = 30, every: float = 0.05) -> Email:
        """Return an e-mail once it is settled or held, or as it is after so many seconds.

        Raises:
            EmailNotFoundError: No e-mail has this id.
        """
        give_up = self.ports.clock.monotonic() + timeout
        email = await self.get(email_id)
        while not (email.settled or email.status is Status.HELD) and self.ports.clock.monotonic() < give_up:
            await self.ports.sleep(every)
            email = await self.get(email_id)
        return email


def _must_match(email: Email, mine: str) -> None:
    """Refuse a key that was used for another message."""
    if email.fingerprint != mine:
        message = "this idempotency key was used for another message; use a new key for a new message"
        raise KeyReusedError(message)


def _of_tenant(email: Email, tenant: str | None) -> Email:
    """Return the e-mail if it is the tenant's; to others it does not exist."""
    if tenant is not None and email.tenant != tenant:
        message = f"no e-mail has the id {email.id}"
        raise EmailNotFoundError(message)
    return email
