"""The outbox that users' tests assert on."""

import asyncio
from datetime import timedelta

import pytest

from mailcore.assembly import Tuning
from mailcore.errors import InvalidMessageError, SettingsError, StoreUnavailableError
from mailcore.events import Event, Happening
from mailcore.lifecycle import Status
from mailcore.message import Address, Message
from mailcore.outcome import Accepted, Deferred, Rejected, Unknown
from mailcore.rules import Rules
from mailcore.testing import Outbox

HOUR = timedelta(hours=1)
LEASE = Rules().lease
DEFERRED = Deferred(code="503", detail="try later")


def message(**fields: object) -> Message:
    """Return a message to Ann."""
    return Message(**{"to": "ann@example.com", "subject": "Hi", "text": "Hello", **fields})  # type: ignore[arg-type]


async def test_what_was_submitted_can_be_looked_at() -> None:
    """A program's test sees the message in its normal form, without sending anything."""
    outbox = Outbox(default_from="Shop <shop@example.com>")

    await outbox.mailer.submit(message())

    [seen] = outbox.messages
    assert (seen.to, seen.from_) == ((Address("ann@example.com"),), Address("shop@example.com", "Shop"))
    assert outbox.provider.sends == []


async def test_what_is_due_is_delivered_in_order() -> None:
    """One call sends everything, as the engine would in the background."""
    outbox = Outbox()
    for subject in ("first", "second"):
        await outbox.mailer.submit(message(subject=subject))

    delivered = await outbox.delivered()

    assert [one.subject for one in delivered] == ["first", "second"]
    assert [send.message.subject for send in outbox.provider.sends] == ["first", "second"]


async def test_delivered_is_all_of_it_and_sends_nothing_twice() -> None:
    """Asking again returns what was delivered before too."""
    outbox = Outbox()
    await outbox.mailer.submit(message())
    await outbox.delivered()

    again = await outbox.delivered()

    assert len(again) == len(outbox.provider.sends) == 1


async def test_one_key_makes_one_message() -> None:
    """The mailer is the real one: keys count."""
    outbox = Outbox()

    for _ in range(3):
        await outbox.mailer.submit(message(), key="receipt:42")

    assert len(outbox.messages) == 1


async def test_a_wrong_message_is_refused() -> None:
    """The mailer is the real one: a test finds what production would refuse."""
    outbox = Outbox()

    with pytest.raises(InvalidMessageError, match="/to"):
        await outbox.mailer.submit(message(to="nobody"))

    assert outbox.messages == ()


async def test_a_scheduled_message_goes_at_its_moment() -> None:
    """Time is the test's: a schedule of an hour takes none, and is neither early nor late."""
    outbox = Outbox()
    due = outbox.clock.now() + HOUR
    await outbox.mailer.submit(message(scheduled_at=due))

    await outbox.advance(HOUR - timedelta(seconds=1))
    early = await outbox.delivered()
    await outbox.advance(HOUR)

    assert early == ()
    assert [email.settled_at for email in outbox.emails] == [due]


async def test_a_failure_is_retried_as_time_passes() -> None:
    """A provider that fails twice and then works leaves an e-mail that is sent."""
    outbox = Outbox()
    outbox.provider.script([DEFERRED, DEFERRED])
    await outbox.mailer.submit(message())

    first = await outbox.delivered()
    await outbox.advance(60)

    assert first == ()
    assert [email.status for email in outbox.emails] == [Status.SENT]
    assert len(outbox.emails[0].attempts) == 3


async def test_a_provider_that_never_works_makes_a_dead_letter() -> None:
    """An outage of a day ends as it does in production, and in an instant."""
    outbox = Outbox()
    outbox.provider.script(lambda _: DEFERRED)
    await outbox.mailer.submit(message())

    await outbox.advance(timedelta(hours=25))

    assert [(email.status, email.reason) for email in outbox.emails] == [("failed", "gave_up")]


async def test_a_provider_can_answer_by_what_it_is_handed() -> None:
    """A test may have one recipient refused and the others not."""
    outbox = Outbox()
    bad = Rejected(code="400", detail="no such mailbox")
    outbox.provider.script(lambda send: bad if send.message.subject == "bad" else Accepted())
    for subject in ("bad", "good"):
        await outbox.mailer.submit(message(subject=subject))

    delivered = await outbox.delivered()

    assert [one.subject for one in delivered] == ["good"]


async def test_waiting_takes_no_time() -> None:
    """`mailer.wait` in the program under test lets the outbox's time pass, and the e-mail is sent meanwhile."""
    outbox = Outbox()
    submitted = await outbox.mailer.submit(message())

    email = await outbox.mailer.wait(submitted.email.id, timeout=5)

    assert email.status == "sent"


async def test_waiting_in_vain_ends() -> None:
    """A wait ends by the outbox's own time, though nothing happens."""
    outbox = Outbox()
    began = outbox.clock.now()
    submitted = await outbox.mailer.submit(message(scheduled_at=began + HOUR))

    email = await outbox.mailer.wait(submitted.email.id, timeout=5)

    assert (email.status, outbox.clock.now() < began + HOUR) == ("scheduled", True)


async def test_an_answer_that_nobody_knows_is_held() -> None:
    """What a program asks for an unknown outcome holds here too."""
    outbox = Outbox()
    outbox.provider.script([Unknown(code="no_answer", detail="")])
    await outbox.mailer.submit(message(on_unknown="hold"))

    await outbox.advance(HOUR)

    assert [email.status for email in outbox.emails] == ["held"]


async def test_a_store_that_is_down_is_told_to_the_program() -> None:
    """A test can see what its program does when an e-mail cannot be stored."""
    outbox = Outbox()
    outbox.store.down = True

    with pytest.raises(StoreUnavailableError):
        await outbox.mailer.submit(message())


async def test_a_store_that_is_down_in_mid_send_loses_nothing() -> None:
    """The engine's own pauses pass in the outbox's time, and nobody overtakes the attempt meanwhile."""
    outbox = Outbox()
    await outbox.mailer.submit(message())
    began = outbox.clock.now()

    async def accept(_send: object) -> Accepted:
        outbox.store.down = True
        recovering.append(asyncio.create_task(recover()))
        return Accepted()

    async def recover() -> None:
        while outbox.clock.now() < began + LEASE:  # noqa: ASYNC110 - no event tells the outbox's time
            await asyncio.sleep(0)
        outbox.store.down = False

    recovering: list[asyncio.Task[None]] = []
    outbox.provider.script(accept)
    delivered = await outbox.delivered()

    assert (len(delivered), len(outbox.provider.sends)) == (1, 1)


async def test_an_attempt_that_nobody_finished_is_made_again() -> None:
    """An e-mail whose worker is gone is taken over once its lease has lapsed."""
    outbox = Outbox()
    await outbox.mailer.submit(message())

    def die(_send: object) -> Accepted:
        raise KeyboardInterrupt

    outbox.provider.script(die)
    with pytest.raises(KeyboardInterrupt):
        await outbox.delivered()
    outbox.provider.script([])
    await outbox.advance(HOUR)

    assert [(email.status, email.crashes) for email in outbox.emails] == [("sent", 1)]


async def test_who_watches_is_told() -> None:
    """A test may count what happens, as a program's own watcher would."""
    told: list[Event] = []
    outbox = Outbox(tuning=Tuning(watch=told.append))

    await outbox.mailer.submit(message())

    assert [event.what for event in told] == [Happening.SUBMITTED]


async def test_a_wrong_author_is_told_at_once() -> None:
    """A default author that is no address is a mistake of the test, not of the program under test."""
    with pytest.raises(SettingsError, match="default_from"):
        Outbox(default_from="nobody")
