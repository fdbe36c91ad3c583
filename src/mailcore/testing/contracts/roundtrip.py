"""Whatever an e-mail or a message says, a store gives it back."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from mailcore.lifecycle import Email, Status
from mailcore.message import Message
from mailcore.ports import EmailStore
from mailcore.stored import SMALL, Fetched
from mailcore.testing.contracts.examples import MESSAGE, NOW, checked_messages, emails, next_of, queued

# One store serves all examples of a test, and a contract's tests run in several classes.
DRAWN: Final = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)
_numbers = count()


def unused_id() -> str:
    """Return an id that no example before had."""
    return f"em_{next(_numbers):026d}"


class RoundTripContract:
    """Whatever an e-mail or a message says, a store gives it back."""

    @DRAWN
    @given(email=emails())
    async def test_every_field_of_a_new_email_comes_back(self, store: EmailStore, email: Email) -> None:
        """An e-mail is stored as it is, whatever its fields say."""
        email = replace(email, id=unused_id())
        await store.add(email, MESSAGE)

        got = await store.get(email.id)

        assert got == email

    @DRAWN
    @given(email=emails())
    async def test_every_field_of_a_saved_email_comes_back(self, store: EmailStore, email: Email) -> None:
        """A save replaces every field, whatever it says."""
        first = queued(unused_id(), version=email.version, created_at=email.created_at, tenant=email.tenant)
        await store.add(first, MESSAGE)
        saved = replace(email, id=first.id, version=first.version + 1)

        await store.save(saved)

        assert await store.get(first.id) == saved

    @DRAWN
    @given(message=checked_messages())
    async def test_every_field_of_a_message_comes_back(self, store: EmailStore, message: Message) -> None:
        """A message is stored as it is, whatever its fields say."""
        email = queued(unused_id())
        await store.add(email, message)

        content = await store.content(email.id)

        assert content == message

    @pytest.mark.parametrize("field", ["created_at", "due_at", "give_up_at", "scheduled_at", "expires_at"])
    async def test_moments_keep_their_milliseconds_and_are_utc(self, store: EmailStore, field: str) -> None:
        """A moment comes back to the millisecond, aware, and in UTC."""
        moment = NOW + timedelta(milliseconds=987)
        await store.add(replace(queued(), **{field: moment}), MESSAGE)

        stored = getattr(await store.get("em_a"), field)

        assert stored == moment
        assert stored.tzinfo is not None
        assert stored.utcoffset() == UTC.utcoffset(None)

    @pytest.mark.parametrize("status", Status)
    async def test_every_status_comes_back(self, store: EmailStore, status: Status) -> None:
        """No status is unknown to a store."""
        await store.add(queued(), MESSAGE)

        await store.save(next_of(queued(), status=status))

        assert (await store.get("em_a")).status is status

    async def test_what_is_fetched_is_what_is_stored(self, store: EmailStore) -> None:
        """E-mails that are read together are those that are stored, each with its own small message; others are not."""
        messages = {f"em_{n}": replace(MESSAGE, subject=f"Number {n}") for n in range(70)}
        await asyncio.gather(*(store.add(queued(email_id), message) for email_id, message in messages.items()))
        await store.save(next_of(queued("em_1")))

        fetched = await store.fetch(["em_nobody", *messages])

        assert set(fetched) == set(messages)
        assert all(one.email.id == email_id for email_id, one in fetched.items())
        assert fetched["em_1"].email == next_of(queued("em_1"))
        assert {email_id: one.message for email_id, one in fetched.items()} == messages
        assert await store.fetch([]) == {}

    async def test_a_long_message_does_not_come_along(self, store: EmailStore) -> None:
        """What is fetched for many e-mails is bounded: a long message is read by itself."""
        long = replace(MESSAGE, text="a" * SMALL)
        await store.add(queued("em_long"), long)

        fetched = await store.fetch(["em_long"])

        assert fetched == {"em_long": Fetched(queued("em_long"), None)}
        assert await store.content("em_long") == long

    async def test_closing_twice_is_closing_once(self, store: EmailStore) -> None:
        """A shutdown that is told twice to close a store does not fail the second time."""
        await store.add(queued(), MESSAGE)

        await store.aclose()

        await store.aclose()  # raises nothing
