"""Whatever an e-mail or a message says, a store gives it back."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from mailcore.lifecycle import Email, Status
from mailcore.message import Message
from mailcore.ports import EmailStore
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

    async def test_closing_twice_is_closing_once(self, store: EmailStore) -> None:
        """A shutdown that is told twice to close a store does not fail the second time."""
        await store.add(queued(), MESSAGE)

        await store.aclose()

        await store.aclose()  # raises nothing
