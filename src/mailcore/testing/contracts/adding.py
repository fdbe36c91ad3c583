"""Adding e-mails and reading them again."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from mailcore.errors import EmailNotFoundError
from mailcore.message import Address, Attachment
from mailcore.ports import EmailStore, Query
from mailcore.stored import Added
from mailcore.testing.contracts.examples import MESSAGE, NOW, queued


class AddingContract:
    """One id, one e-mail: the insert is the guard of idempotency (I12, I14)."""

    async def test_a_new_email_is_fresh(self, store: EmailStore) -> None:
        """Adding an e-mail that nobody has returns it as fresh."""
        email = queued()

        added = await store.add(email, MESSAGE)

        assert added == Added(email, fresh=True)

    async def test_an_added_email_is_there(self, store: EmailStore) -> None:
        """Whoever asks after `add` has returned gets the e-mail."""
        email = queued()
        await store.add(email, MESSAGE)

        got = await store.get(email.id)

        assert got == email

    async def test_a_repeat_is_not_fresh(self, store: EmailStore) -> None:
        """The second e-mail with an id is not stored: the first is returned."""
        first = queued(fingerprint="1:first")
        await store.add(first, MESSAGE)

        added = await store.add(queued(fingerprint="1:second"), MESSAGE)

        assert added == Added(first, fresh=False)

    async def test_a_repeat_changes_nothing(self, store: EmailStore) -> None:
        """Neither the e-mail nor its message is replaced by a repeat."""
        await store.add(queued(tenant="first"), MESSAGE)

        await store.add(queued(tenant="second"), replace(MESSAGE, subject="Another"))

        assert (await store.get("em_a")).tenant == "first"
        assert await store.content("em_a") == MESSAGE

    async def test_a_repeat_returns_the_email_as_it_is_now(self, store: EmailStore) -> None:
        """A repeat of a request sees how far its e-mail has come, not how it began."""
        email = queued()
        await store.add(email, MESSAGE)
        later = replace(email, version=2, saved_by="worker")
        await store.save(later)

        added = await store.add(email, MESSAGE)

        assert added == Added(later, fresh=False)

    @pytest.mark.parametrize("callers", [2, 8, 50])
    async def test_of_equal_adds_at_once_one_is_fresh(self, store: EmailStore, callers: int) -> None:
        """However many add one id at the same time: one is fresh, and all get that one's e-mail."""
        rivals = [queued(saved_by=f"caller-{n}") for n in range(callers)]

        added = await asyncio.gather(*(store.add(email, MESSAGE) for email in rivals))

        winner = await store.get("em_a")
        assert [one.fresh for one in added].count(True) == 1
        assert {one.email.saved_by for one in added} == {winner.saved_by}

    async def test_adds_at_once_are_all_there(self, store: EmailStore) -> None:
        """Adds that share a round trip do not lose each other."""
        emails = [queued(f"em_{n:03d}") for n in range(300)]

        added = await asyncio.gather(*(store.add(email, MESSAGE) for email in emails))

        assert [one.email.id for one in added] == [email.id for email in emails]
        assert all(one.fresh for one in added)
        assert await store.count(Query()) == len(emails)

    async def test_a_repeat_among_new_ones_is_alone_in_being_one(self, store: EmailStore) -> None:
        """A repeat that shares a round trip with new e-mails keeps none of them out."""
        await store.add(queued("em_5"), MESSAGE)

        added = await asyncio.gather(*(store.add(queued(f"em_{n}"), MESSAGE) for n in range(10)))

        assert [one.email.id for one in added if not one.fresh] == ["em_5"]
        assert await store.count(Query()) == len(added)

    async def test_each_email_keeps_its_own_message(self, store: EmailStore) -> None:
        """Messages that are stored at the same time are not mixed up."""
        messages = {f"em_{n}": replace(MESSAGE, subject=f"Number {n}") for n in range(40)}

        await asyncio.gather(*(store.add(queued(email_id), message) for email_id, message in messages.items()))

        stored = {email_id: await store.content(email_id) for email_id in messages}
        assert stored == messages

    async def test_an_unknown_id_is_not_found(self, store: EmailStore) -> None:
        """Asking for an e-mail that there is not says so."""
        await store.add(queued("em_a"), MESSAGE)

        with pytest.raises(EmailNotFoundError):
            await store.get("em_b")

    async def test_the_content_of_an_unknown_id_is_not_found(self, store: EmailStore) -> None:
        """Asking for the message of an e-mail that there is not says so."""
        with pytest.raises(EmailNotFoundError):
            await store.content("em_b")

    @pytest.mark.parametrize("email_id", ["", "em_' OR 1=1 --", "em_\0", "em_\n", "%", "$ne", "em_a "])
    async def test_an_odd_id_is_only_not_found(self, store: EmailStore, email_id: str) -> None:
        """An id is data, whatever stands in it: it finds no other e-mail and breaks nothing."""
        await store.add(queued("em_a"), MESSAGE)

        with pytest.raises(EmailNotFoundError):
            await store.get(email_id)

    async def test_one_that_is_not_found_spoils_nothing_for_others(self, store: EmailStore) -> None:
        """Gets that share a round trip each have their own result."""
        await store.add(queued("em_a"), MESSAGE)

        got = await asyncio.gather(store.get("em_a"), store.get("em_b"), store.get("em_a"), return_exceptions=True)

        assert got[0] == got[2] == queued("em_a")
        assert isinstance(got[1], EmailNotFoundError)

    async def test_attachments_come_back_byte_by_byte(self, store: EmailStore) -> None:
        """Content is bytes: every value of a byte survives, and so does their order."""
        octets = bytes(range(256)) * 64
        message = replace(MESSAGE, attachments=(Attachment(filename="Ä €.bin", content=octets, content_id="logo"),))
        await store.add(queued(), message)

        content = await store.content("em_a")

        assert content == message

    async def test_a_large_message_comes_back_whole(self, store: EmailStore) -> None:
        """A message near the limit of 25 MiB is stored like any other."""
        message = replace(MESSAGE, attachments=(Attachment(filename="a", content=b"\xff\x00" * (10 * 1024 * 1024)),))
        await store.add(queued(), message)

        content = await store.content("em_a")

        assert content == message

    async def test_texts_of_any_script_come_back(self, store: EmailStore) -> None:
        """Unicode survives, with the characters that mean something to databases and to JSON."""
        text = "Grüße 日本語 🎉 \u202e \u2028 \0 \x7f ' \" \\ ; -- $where {} \r\n\t"
        message = replace(MESSAGE, subject=text, text=text, html=text, metadata={text: text}, headers={"X-A": text})
        await store.add(queued(metadata={text: text}, tags=(text,)), message)

        content, email = await store.content("em_a"), await store.get("em_a")

        assert content == message
        assert email.metadata == {text: text}
        assert email.tags == (text,)

    async def test_a_message_as_checked_comes_back_equal(self, store: EmailStore) -> None:
        """Every kind of field of a message survives: addresses, moments with their zone, flags."""
        ann = Address("ann@example.com", "Ann")
        message = replace(MESSAGE, cc=(ann, ann), reply_to=(ann,), tags=("a", "b"), scheduled_at=NOW, expires_at=NOW)
        await store.add(queued(), message)

        content = await store.content("em_a")

        assert content == message

    async def test_a_caller_who_gave_up_harms_nobody(self, store: EmailStore) -> None:
        """A cancelled add may or may not have happened; those beside it happen, each whole."""
        adds = [asyncio.ensure_future(store.add(queued(f"em_{n}"), MESSAGE)) for n in range(20)]
        await asyncio.sleep(0)
        for add in adds[::2]:
            add.cancel()

        await asyncio.gather(*adds, return_exceptions=True)

        page = await store.list(Query(), after=None, limit=100)
        stored = {email.id for email in page.emails}
        assert stored >= {f"em_{n}" for n in range(1, 20, 2)}
        for email_id in stored:
            assert await store.content(email_id) == MESSAGE
