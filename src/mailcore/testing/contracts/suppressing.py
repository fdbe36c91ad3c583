"""What every store that keeps a suppression list must hold to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

from msgspec.structs import replace

from mailcore.suppression import Grounds, Suppression
from mailcore.suppression_list import KeepsSuppressions
from mailcore.testing.contracts.examples import MINUTE, NOW

MILLISECOND = timedelta(milliseconds=1)
BOUNCED = Suppression(
    tenant="shop", address="ann@example.com", reason=Grounds.BOUNCED, source="sendgrid", created_at=NOW
)


def suppressed(local: str, **fields: object) -> Suppression:
    """Return a suppression of an address at example.com, of the tenant shop but for the fields given."""
    return replace(BOUNCED, address=f"{local}@example.com", **fields)


def by_mailbox(some: Iterable[Suppression]) -> dict[str, Suppression]:
    """Return suppressions by what they are found by; none may be there twice."""
    listed = list(some)
    found = {one.mailbox: one for one in listed}
    assert len(found) == len(listed)
    return found


async def pages(store: KeepsSuppressions, tenant: str, limit: int) -> Sequence[Sequence[Suppression]]:
    """Return a tenant's whole list, page by page."""
    found: list[Sequence[Suppression]] = []
    after: str | None = None
    while True:
        page = await store.list_suppressions(tenant, after=after, limit=limit)
        found.append(page.suppressions)
        after = page.after
        if after is None:
            return found


class SuppressionsContract:
    """Each mailbox has a tenant's latest word. The fixture `store` gives an empty store."""

    async def test_at_first_nobody_is_suppressed(self, store: KeepsSuppressions) -> None:
        """A new store's list is empty, whichever way it is asked."""
        page = await store.list_suppressions("shop", after=None, limit=10)

        assert not await store.has_suppressions()
        assert list(await store.find_suppressions("shop", ["ann@example.com"])) == []
        assert (page.suppressions, page.after) == ((), None)

    async def test_a_suppression_is_kept_whole(self, store: KeepsSuppressions) -> None:
        """Every field comes back, moments to the millisecond, hostile text and all, and so does what is a default."""
        tenant = "s'h\"o%p.3\nя"
        odd = replace(
            suppressed("o'neil+x"),
            tenant=tenant,
            reason=Grounds.MANUAL,
            source="\"é\n$\0{}'",
            created_at=NOW + MILLISECOND,
            expires_at=NOW + MINUTE + MILLISECOND,
        )
        plain = Suppression(tenant=tenant, address="béa@bücher.example", reason=Grounds.UNSUBSCRIBED, created_at=NOW)

        await store.save_suppressions([odd, plain])

        found = await store.find_suppressions(tenant, [odd.mailbox, plain.mailbox])
        assert by_mailbox(found) == by_mailbox([odd, plain])
        assert await store.has_suppressions()

    async def test_a_later_word_on_a_mailbox_replaces_the_one_before(self, store: KeepsSuppressions) -> None:
        """However it is written: neither case nor Unicode's other forms of a letter make it another mailbox."""
        later = suppressed("ann", reason=Grounds.COMPLAINED, created_at=NOW + MINUTE)
        await store.save_suppressions([suppressed("ann")])

        for local in ("ANN", "Ann", "\uff21NN"):
            word = replace(later, address=f"{local}@example.com")
            await store.save_suppressions([word])
            assert list(await store.find_suppressions("shop", ["ann@example.com"])) == [word]

        assert [len(page) for page in await pages(store, "shop", 10)] == [1]

    async def test_of_two_words_in_one_call_the_last_counts(self, store: KeepsSuppressions) -> None:
        """A file that names an address twice says what its last line says, however long it is."""
        first = [suppressed(f"a{n}") for n in range(100)]
        last = [suppressed(f"A{n}", reason=Grounds.MANUAL, expires_at=NOW) for n in range(100)]

        await store.save_suppressions([*first, *last])

        found = await store.find_suppressions("shop", [one.mailbox for one in first])
        assert by_mailbox(found) == by_mailbox(last)

    async def test_saving_none_changes_nothing(self, store: KeepsSuppressions) -> None:
        """An empty file is no mistake."""
        await store.save_suppressions([])

        assert not await store.has_suppressions()

    async def test_a_tenants_list_is_its_own(self, store: KeepsSuppressions) -> None:
        """One tenant's word is neither found, listed nor deleted by another, however alike their names are."""
        tenants = ["shop", "shop.", "sho", "4.shop", "Shop", ""]
        for tenant in tenants:
            await store.save_suppressions([suppressed("ann", tenant=tenant, source=tenant)])

        assert not await store.delete_suppression("shop.ann", "ann@example.com")
        for tenant in tenants:
            mine = suppressed("ann", tenant=tenant, source=tenant)
            assert list(await store.find_suppressions(tenant, ["ann@example.com"])) == [mine]
            assert [list(page) for page in await pages(store, tenant, 5)] == [[mine]]

    async def test_many_mailboxes_are_found_at_once(self, store: KeepsSuppressions) -> None:
        """Only those that are suppressed come back, each once, also one that has ended or is asked for twice."""
        ended = suppressed("ended", expires_at=NOW - MINUTE)
        await store.save_suppressions([suppressed("a"), suppressed("b"), suppressed("c"), ended])
        asked = [f"{local}@example.com" for local in ("a", "x", "c", "a", "ended", "%", "")]

        found = await store.find_suppressions("shop", asked)

        assert by_mailbox(found) == by_mailbox([suppressed("a"), suppressed("c"), ended])
        assert list(await store.find_suppressions("shop", [])) == []
        assert list(await store.find_suppressions("nobody", asked)) == []

    async def test_calls_at_the_same_time_each_get_their_own(self, store: KeepsSuppressions) -> None:
        """However many ask at once, of several tenants, each hears of what it asked for and of nothing else."""
        tenants = ("shop", "bank")
        await store.save_suppressions([suppressed(f"a{n}", tenant=one) for one in tenants for n in range(30)])
        asked = [(one, [f"a{n}@example.com", f"a{n + 1}@example.com"]) for one in tenants for n in range(0, 32, 2)]

        found = await asyncio.gather(*(store.find_suppressions(*one) for one in asked))

        there = {(one, f"a{n}@example.com") for one in tenants for n in range(30)}
        got = [{(one.tenant, one.mailbox) for one in some} for some in found]
        assert got == [{(tenant, one) for one in mailboxes} & there for tenant, mailboxes in asked]

    async def test_suppressions_at_the_same_time_are_all_kept(self, store: KeepsSuppressions) -> None:
        """None of many is lost, and of those on one mailbox one is kept."""
        words = [[suppressed(f"a{n % 10}", source=str(n)), suppressed(f"b{n}")] for n in range(40)]

        await asyncio.gather(*(store.save_suppressions(some) for some in words))

        listed = [one for page in await pages(store, "shop", 100) for one in page]
        assert set(by_mailbox(listed)) == {one.mailbox for some in words for one in some}
        assert all(any(one in some for some in words) for one in listed)

    async def test_who_deletes_is_told_whether_there_was_one(self, store: KeepsSuppressions) -> None:
        """Of many who lift one suppression at the same time exactly one did, and its neighbours stay."""
        await store.save_suppressions([suppressed("a"), suppressed("b")])

        told = await asyncio.gather(*(store.delete_suppression("shop", "a@example.com") for _ in range(10)))

        assert sorted(told) == [False] * 9 + [True]
        assert not await store.delete_suppression("shop", "nobody@example.com")
        assert list(await store.find_suppressions("shop", ["a@example.com", "b@example.com"])) == [suppressed("b")]
        assert await store.delete_suppression("shop", "b@example.com")
        assert not await store.has_suppressions()

    async def test_a_list_is_ordered_by_mailbox_in_pages(self, store: KeepsSuppressions) -> None:
        """Pages are as long as asked for and follow on from each other; the last one says that it is the last."""
        locals_ = ["B", "a", "é", "a.", "Z", "я", "a1"]
        await store.save_suppressions([suppressed(local) for local in locals_])

        by_two = await pages(store, "shop", 2)
        by_seven = await pages(store, "shop", 7)

        assert [len(page) for page in by_two] == [2, 2, 2, 1]
        assert [len(page) for page in by_seven] == [7]
        listed = [one.mailbox for page in by_two for one in page]
        assert listed == sorted(suppressed(local).mailbox for local in locals_)

    async def test_pages_have_no_gap_and_no_repeat_while_the_list_grows(self, store: KeepsSuppressions) -> None:
        """What was there from the beginning to the end is listed exactly once, whatever comes and goes meanwhile."""
        stays = [suppressed(f"{n:02}") for n in range(0, 20, 2)]
        await store.save_suppressions(stays)
        page = await store.list_suppressions("shop", after=None, limit=3)
        found = [one.mailbox for one in page.suppressions]

        n = 1
        while page.after is not None:
            comes = [suppressed(f"{n:02}"), suppressed(f"{20 - n:02}"), suppressed(f"{n - 1:02}x")]
            await store.save_suppressions(comes)
            await store.delete_suppression("shop", comes[2].mailbox)
            page = await store.list_suppressions("shop", after=page.after, limit=3)
            found += [one.mailbox for one in page.suppressions]
            n += 2

        assert found == sorted(set(found))
        assert {one.mailbox for one in stays} <= set(found)

    async def test_only_what_has_ended_is_dropped(self, store: KeepsSuppressions) -> None:
        """No more go than asked for, of any tenant; what ends at that very moment or never stays."""
        ends = {f"a{n}": NOW + n * MILLISECOND for n in range(-3, 2)}
        some = [suppressed(local, expires_at=end, tenant=f"t{local}") for local, end in ends.items()]
        await store.save_suppressions([*some, suppressed("b")])

        dropped = [await store.drop_suppressions(NOW, limit=2) for _ in range(3)]

        assert dropped == [2, 1, 0]
        for one in some[:3]:
            assert list(await store.find_suppressions(one.tenant, [one.mailbox])) == []
        for one in [*some[3:], suppressed("b")]:
            assert list(await store.find_suppressions(one.tenant, [one.mailbox])) == [one]

    async def test_one_that_ends_no_more_is_not_dropped(self, store: KeepsSuppressions) -> None:
        """The later word has no end, so the end of the one before counts no more."""
        await store.save_suppressions([suppressed("a", expires_at=NOW - MINUTE)])
        await store.save_suppressions([suppressed("a")])

        assert await store.drop_suppressions(NOW, limit=10) == 0
        assert list(await store.find_suppressions("shop", ["a@example.com"])) == [suppressed("a")]
