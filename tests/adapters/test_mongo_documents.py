"""What stands in the database: documents of other releases, and messages that are large, in dispute or gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from mailadapters.documents import UnreadableError, email_from_text, message_bytes, message_from_bytes
from mailadapters.mongo import MongoStore, open_store
from mailadapters.mongo.contents import PART
from mailcore.errors import EmailNotFoundError, HealthUnavailableError
from mailcore.lifecycle import Status
from mailcore.message import Attachment, Lane, Message
from mailcore.ports import Due, Query
from mailcore.retention import Kept, tombstone
from mailcore.stored import SMALL
from mailcore.testing.contracts.examples import MESSAGE, MINUTE, NOW, next_of, queued
from mailcore.testing.contracts.leasing import MINE
from mailcore.testing.contracts.provider_health import later
from mailcore.testing.contracts.suppressing import suppressed
from mailcore.testing.contracts.switching import STOP

Raw = AsyncDatabase[dict[str, Any]]
DATA = Path(__file__).parent / "data"
DUE = Due(lane=Lane.TRANSACTIONAL, limit=10, hide_for=MINUTE, closed=frozenset())
LONG = replace(MESSAGE, text="a" * SMALL)
"""Lies apart from its e-mail's document."""
OTHER = replace(LONG, subject="Another")


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[MongoStore]:
    """Yield a store that is open."""
    store = open_store(mongo_url)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def raw(mongo_url: str) -> AsyncIterator[Raw]:
    """Yield the database as another program sees it."""
    async with AsyncMongoClient[dict[str, Any]](mongo_url, tz_aware=True) as client:
        yield client.get_default_database()


async def rewritten(raw: Raw, email_id: str, old: str, new: str, **fields: object) -> None:
    """Have a newer release write one word of an e-mail."""
    document = await raw.emails.find_one({"_id": email_id})
    assert old in document["doc"]
    await raw.emails.update_one({"_id": email_id}, {"$set": {"doc": document["doc"].replace(old, new), **fields}})


async def test_what_wakes_no_more_is_no_stock(store: MongoStore, raw: Raw) -> None:
    """An e-mail may settle while stock is taken: its moment is gone by the time it is looked at, and nothing fails."""
    await store.add(queued("em_a"), MESSAGE)
    await store.add(queued("em_b"), MESSAGE)
    await raw.emails.update_one({"_id": "em_b"}, {"$set": {"wake_t": None, "status": "retrying"}})

    assert [(pile.status, pile.count) for pile in await store.stock()] == [(Status.QUEUED, 1)]


async def test_a_document_of_the_first_release_is_read(store: MongoStore, raw: Raw) -> None:
    """What an earlier release wrote, this one reads: e-mail, message and health (I42)."""
    text, octets = (DATA / "email-schema-1.json").read_text(), (DATA / "message-schema-1.msgpack").read_bytes()
    email = email_from_text(text)
    place = {
        "_id": email.id,
        "tenant": email.tenant,
        "version": email.version,
        "status": "queued",
        "reason": "accepted",
    }
    await raw.emails.insert_one({**place, "lane": email.lane, "doc": text, "wake_t": NOW, "listed": "0"})
    await raw.contents.insert_one({"_id": email.id, "doc": octets})
    await raw.health.insert_one({"_id": "p", "version": 1, "doc": (DATA / "health-schema-1.json").read_text()})

    got, content = await asyncio.gather(store.get(email.id), store.content(email.id))
    await store.save(next_of(email))

    assert got == email
    assert content == message_from_bytes(octets)
    assert (await store.get(email.id)).version == email.version + 1
    assert set(await store.health.load()) == {"p"}


async def test_fields_of_a_newer_release_survive_a_save(store: MongoStore, raw: Raw) -> None:
    """While two releases run side by side, neither takes away what only the other knows (I42)."""
    await store.add(queued(), MESSAGE)
    await raw.emails.update_one({"_id": "em_a"}, {"$set": {"delivery": "bounced"}})

    await store.save(next_of(queued()))

    assert (await raw.emails.find_one())["delivery"] == "bounced"


async def test_an_unknown_status_is_passed_over_and_counted(store: MongoStore, raw: Raw) -> None:
    """An e-mail that a newer release wrote stops neither sweep nor list (I42)."""
    await store.add(queued("em_new", due_at=NOW - MINUTE), MESSAGE)
    await store.add(queued("em_old"), MESSAGE)
    await rewritten(raw, "em_new", '"queued"', '"paused"', status="paused")

    taken = await store.take_due(NOW, DUE)
    page = await store.list(Query(), after=None, limit=10)

    assert list(taken) == ["em_old"]
    assert page.emails == (queued("em_old"),)
    assert store.unreadable == 2


async def test_unknown_ones_do_not_use_up_the_limit(store: MongoStore, raw: Raw) -> None:
    """However many a newer release left at the head, the e-mails behind them are found by one call."""
    await asyncio.gather(*(store.add(queued(f"em_{n:02d}", due_at=NOW - MINUTE), MESSAGE) for n in range(12)))
    await store.add(queued("em_a"), MESSAGE)
    for n in range(12):
        await rewritten(raw, f"em_{n:02d}", "accepted", "moonlight", reason="moonlight")

    taken = await store.take_due(NOW, replace(DUE, limit=3))
    page = await store.list(Query(), after=None, limit=3)

    assert list(taken) == ["em_a"]
    assert page.emails == (queued("em_a"),)


async def test_unreadable_ones_can_be_asked_for_in_vain(store: MongoStore, raw: Raw) -> None:
    """Asking for one by its id says why not; one beside it in the same round trip is read."""
    await asyncio.gather(*(store.add(queued(email_id), MESSAGE) for email_id in ("em_a", "em_b")))
    await rewritten(raw, "em_b", "queued", "paused")
    await raw.emails.update_one({"_id": "em_b"}, {"$set": {"message": b"\x93"}})

    got = await asyncio.gather(
        store.get("em_a"),
        store.get("em_b"),
        store.content("em_b"),
        store.add(queued("em_b"), MESSAGE),
        return_exceptions=True,
    )

    assert got[0] == queued("em_a")
    assert [type(one) for one in got[1:]] == [UnreadableError] * 3
    assert store.unreadable == 2


async def test_an_unreadable_health_is_passed_over_and_kept(store: MongoStore, raw: Raw) -> None:
    """What a newer release knows of a provider is neither used nor overwritten (I42)."""
    await store.health.update("p", later)
    await raw.health.insert_one({"_id": "q", "version": 1, "doc": '{"breaker": 1}'})

    with pytest.raises(HealthUnavailableError, match="another release"):
        await store.health.update("q", later)

    assert (await raw.health.find_one({"_id": "q"}))["doc"] == '{"breaker": 1}'


async def test_a_switch_of_a_newer_release_hides_no_other(store: MongoStore, raw: Raw) -> None:
    """It is counted and passed over; a stop beside it holds in the older release too (I42)."""
    await store.save_switch("lane:bulk", STOP)
    await raw.switches.insert_one({"_id": "lane:x", "doc": '{"mode": "sideways"}'})

    assert await store.load_switches() == {"lane:bulk": STOP}
    assert store.unreadable == 1


async def test_a_suppression_of_a_newer_release_counts_all_the_same(store: MongoStore, raw: Raw) -> None:
    """One reason more not to write to somebody makes nobody be written to; it is counted, and ends when it ends."""
    await store.save_suppressions([suppressed("a", expires_at=NOW + MINUTE), suppressed("b"), suppressed("c")])
    for local in ("a", "b"):
        await raw.suppressions.update_one({"mailbox": f"{local}@example.com"}, {"$set": {"doc": '{"reason":"moved"}'}})

    found = await store.find_suppressions("shop", ["a@example.com", "b@example.com", "c@example.com"])
    page = await store.list_suppressions("shop", after=None, limit=2)

    known = {one.mailbox: one for one in found}
    ends = {one: known[one].expires_at for one in known}
    assert ends == {"a@example.com": NOW + MINUTE, "b@example.com": None, "c@example.com": None}
    assert known["c@example.com"] == suppressed("c")
    assert [(one.tenant, one.mailbox) for one in page.suppressions] == [("shop", one) for one in sorted(ends)[:2]]
    assert store.unreadable == 4


async def test_a_lease_of_a_newer_release_can_be_taken_over(store: MongoStore, raw: Raw) -> None:
    """A field that only the newer one has keeps nobody from leading after it, as in a change back (I42)."""
    after = replace(MINE, holder="older", until=NOW + MINUTE, term=2)
    await store.swap_lease(None, MINE)
    doc = (await raw.leases.find_one())["doc"]
    await raw.leases.update_one({}, {"$set": {"doc": doc.replace("{", '{"host":"a",', 1)}})

    assert await store.load_lease(MINE.name) == MINE
    assert await store.swap_lease(MINE, after)
    assert not await store.swap_lease(MINE, after)


@pytest.mark.parametrize("size", [PART - 500, PART + 1, 2 * PART, 2 * PART + 1])
async def test_a_large_message_is_several_documents(store: MongoStore, raw: Raw, size: int) -> None:
    """A message beyond what one document may hold comes back whole, and no document is larger than may be."""
    message = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xfe" * size),))
    await store.add(queued(), message)

    content = await store.content("em_a")

    assert content == message
    assert await raw.contents.count_documents({}) == -(-len(message_bytes(message)) // PART)


@pytest.mark.parametrize(("beyond", "apart"), [(0, 0), (1, 1)])
async def test_a_small_message_lies_in_its_emails_document(
    store: MongoStore, raw: Raw, beyond: int, apart: int
) -> None:
    """What is written in one step need not be looked for, and cannot be there without its e-mail."""
    message = replace(MESSAGE, text="a" * (SMALL - 1000))
    message = replace(message, text="a" * (SMALL - 1000 + SMALL - len(message_bytes(message)) + beyond))

    await store.add(queued(), message)

    assert len(message_bytes(message)) == SMALL + beyond
    assert await raw.contents.count_documents({}) == apart
    assert ("message" in await raw.emails.find_one()) is not bool(apart)
    assert await store.content("em_a") == message


async def test_a_message_apart_that_nobody_claims_does_not_go_with_a_small_one(store: MongoStore, raw: Raw) -> None:
    """Whoever died between his long message and his e-mail leaves the id to one whose message is small (I12)."""
    await raw.contents.insert_one({"_id": "em_a", "doc": message_bytes(OTHER)})

    added = await store.add(queued(), MESSAGE)

    assert added.fresh
    assert await store.content("em_a") == MESSAGE


async def test_a_message_without_one_of_its_parts_is_gone(store: MongoStore, raw: Raw) -> None:
    """Half a message is never sent."""
    await store.add(queued(), replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xfe" * PART),)))
    await raw.contents.delete_one({"_id": "em_a#1"})

    with pytest.raises(EmailNotFoundError):
        await store.content("em_a")


async def test_a_message_whose_sender_died_does_not_go_with_another_email(store: MongoStore, raw: Raw) -> None:
    """Whoever died between his message and his e-mail leaves the id free, and his message is not sent (I12)."""
    await raw.contents.insert_one({"_id": "em_a", "doc": message_bytes(OTHER)})

    added = await store.add(queued(), LONG)

    assert added.fresh
    assert await store.content("em_a") == LONG


@pytest.mark.parametrize("of", ["em_a#1", "em_a"])
async def test_parts_of_a_message_whose_sender_died_are_not_mixed_in(store: MongoStore, raw: Raw, of: str) -> None:
    """A large message is all of one sender, whichever of its parts another one left behind."""
    message = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xfe" * PART),))
    await raw.contents.insert_one({"_id": of, "doc": b"\x00" * 1000})

    await store.add(queued(), message)

    assert await store.content("em_a") == message


async def test_after_a_save_a_message_with_a_name_of_its_own_is_still_found(store: MongoStore, raw: Raw) -> None:
    """Where the message is was written once, and no save takes it away."""
    await raw.contents.insert_one({"_id": "em_a", "doc": message_bytes(OTHER)})
    await store.add(queued(), LONG)

    await store.save(next_of(queued()))

    assert await store.content("em_a") == LONG


async def test_of_two_messages_with_one_id_the_emails_own_is_sent(store: MongoStore, mongo_url: str) -> None:
    """However two processes race for an id, the e-mail that is stored goes with its own message (I12)."""
    there = open_store(mongo_url)
    await there.open()
    ids = [f"em_{n}" for n in range(40)]
    ours = [store.add(queued(email_id, tenant="ours"), LONG) for email_id in ids]
    theirs = [there.add(queued(email_id, tenant="theirs"), OTHER) for email_id in ids[::-1]]

    added = await asyncio.gather(*(asyncio.gather(*some) for some in (ours, theirs)))

    assert sum(one.fresh for some in added for one in some) == len(ids)
    for email_id in ids:
        email, content = await store.get(email_id), await store.content(email_id)
        assert content == (LONG if email.tenant == "ours" else OTHER)
    await there.aclose()


async def test_a_repeat_does_not_bring_back_a_message_that_was_removed(store: MongoStore, raw: Raw) -> None:
    """What retention or an erasure took away stays away, whoever repeats his request."""
    await store.add(queued(), LONG)
    await raw.contents.delete_one({"_id": "em_a"})

    added = await store.add(queued(), LONG)

    assert not added.fresh
    assert await raw.contents.count_documents({}) == 0
    with pytest.raises(EmailNotFoundError):
        await store.content("em_a")


@pytest.mark.parametrize("named", [True, False])
async def test_all_parts_of_a_message_are_erased(store: MongoStore, raw: Raw, named: bool) -> None:
    """Wherever it lies and in however many parts, nothing of what was written stays."""
    if named:
        await raw.contents.insert_one({"_id": "em_a", "doc": message_bytes(OTHER)})
    message = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xfe" * (2 * PART)),))
    await store.add(queued(), message)
    await store.save(next_of(queued(), status=Status.SENT, settled_at=NOW))

    await store.erase_content(["em_a"])

    assert await raw.contents.count_documents({}) == 0
    assert set(await raw.emails.find_one()) & {"content", "erased_by", "kept_content"} == set()


@pytest.mark.parametrize("message", [MESSAGE, LONG], ids=["small", "long"])
async def test_an_erasure_that_was_cut_short_is_found_again(store: MongoStore, raw: Raw, message: Message) -> None:
    """Whoever died between marking and erasing leaves an e-mail that still counts as having its message."""
    await store.add(queued(), message)
    await store.save(next_of(queued(), status=Status.SENT, settled_at=NOW))
    await raw.emails.update_one({}, {"$set": {"erased_by": "somebody who died"}})

    aged = await store.find_aged(Kept.CONTENT, NOW + MINUTE, after=None, limit=10)
    await store.erase_content([email.id for email in aged.emails])

    assert await raw.contents.count_documents({}) == 0
    assert set(await raw.emails.find_one()) & {"message", "content", "erased_by", "kept_content"} == set()


async def test_a_burial_that_was_cut_short_is_found_again(store: MongoStore, raw: Raw) -> None:
    """Whoever died between a tombstone and its message leaves a message that the next walk finds."""
    sent = next_of(queued(), status=Status.SENT, settled_at=NOW)
    await store.add(queued(), LONG)
    await store.save(sent)
    content = await raw.contents.find_one()
    await store.entomb(tombstone(sent))
    await raw.contents.insert_one(content)
    await raw.emails.update_one({}, {"$set": {"kept_content": "063000000000000.em_a"}})

    aged = await store.find_aged(Kept.CONTENT, NOW + MINUTE, after=None, limit=10)
    await store.erase_content([email.id for email in aged.emails])

    assert await raw.contents.count_documents({}) == 0
