"""Lists: newest first, by any filter, with a cursor that stays valid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.lifecycle import Email, Reason, Status
from mailcore.message import Lane
from mailcore.ports import EmailStore, Query
from mailcore.stored import Page
from mailcore.testing.contracts.examples import MINUTE, NOW, attempt, emails, next_of, queued
from mailcore.testing.contracts.roundtrip import DRAWN, unused_id
from mailcore.testing.contracts.taking import filled
from mailcore.testing.selection import found

FAR = "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5LmVtX2E"  # 99… milliseconds in base64
ODD = 'a"b\\c.d[0] é\n$'
FIND = {
    "tenant": (queued(tenant="x"), queued("em_b", tenant="y"), Query(tenant="x")),
    "status": (queued(status=Status.SENT), queued("em_b"), Query(status=Status.SENT)),
    "failed": (queued(status=Status.FAILED), queued("em_b"), Query(status=Status.FAILED)),
    "held": (queued(status=Status.HELD), queued("em_b"), Query(status=Status.HELD)),
    "reason": (queued(reason=Reason.GAVE_UP), queued("em_b"), Query(reason=Reason.GAVE_UP)),
    "lane": (queued(lane=Lane.BULK), queued("em_b"), Query(lane=Lane.BULK)),
    "to": (queued(recipients=("a@x", "b@x")), queued("em_b", recipients=("ab@x",)), Query(to="b@x")),
    "tag": (queued(tags=("a", ODD)), queued("em_b", tags=("a",)), Query(tag=ODD)),
    "provider": (queued(attempts=(attempt("p"),)), queued("em_b", attempts=(attempt("q"),)), Query(provider="p")),
    "key": (queued(metadata={ODD: "1", "b": "2"}), queued("em_b", metadata={"b": "1"}), Query(metadata={ODD: "1"})),
    "pairs": (
        queued(metadata={"a": "1", "b": "2"}),
        queued("em_b", metadata={"a": "1", "b": "3"}),
        Query(metadata={"a": "1", "b": "2"}),
    ),
    "doubtful": (queued(possible_duplicate=True), queued("em_b"), Query(possible_duplicate=True)),
    "certain": (queued(), queued("em_b", possible_duplicate=True), Query(possible_duplicate=False)),
    "after": (queued(), queued("em_b", created_at=NOW - MINUTE), Query(created_after=NOW)),
    "before": (queued(created_at=NOW - MINUTE), queued("em_b"), Query(created_before=NOW)),
    "both": (
        queued(status=Status.SENT, tags=("a",)),
        queued("em_b", status=Status.SENT),
        Query(status=Status.SENT, tag="a"),
    ),
}
"""For every filter an e-mail `em_a` that it finds and another that it does not."""


async def pages(store: EmailStore, query: Query, limit: int) -> AsyncIterator[Page]:
    """Yield a list page by page."""
    page = await store.list(query, after=None, limit=limit)
    yield page
    while page.after is not None:
        page = await store.list(query, after=page.after, limit=limit)
        yield page


class ListingContract:
    """Lists: newest first, by any filter, with a cursor that stays valid."""

    async def test_an_empty_store_lists_nothing(self, store: EmailStore) -> None:
        """There is one page, it is empty, and nothing comes after it."""
        page = await store.list(Query(), after=None, limit=10)

        assert page == Page(emails=(), after=None)
        assert await store.count(Query()) == 0

    async def test_the_newest_comes_first(self, store: EmailStore) -> None:
        """Lists go by when e-mails were created, not by when they were stored."""
        await filled(store, [queued(f"em_{n}", created_at=NOW + n * MINUTE) for n in (2, 0, 3, 1)])

        page = await store.list(Query(), after=None, limit=10)

        assert [email.id for email in page.emails] == ["em_3", "em_2", "em_1", "em_0"]

    async def test_of_one_moment_the_greater_id_comes_first(self, store: EmailStore) -> None:
        """The order is total, so that no page can skip or repeat one."""
        await filled(store, [queued(email_id) for email_id in ("em_b", "em_c", "em_a")])

        page = await store.list(Query(), after=None, limit=10)

        assert [email.id for email in page.emails] == ["em_c", "em_b", "em_a"]

    async def test_a_list_shows_the_latest_version(self, store: EmailStore) -> None:
        """What is listed is what `get` returns."""
        await filled(store, [queued()])
        saved = next_of(queued(), status=Status.SENT)
        await store.save(saved)

        page = await store.list(Query(), after=None, limit=10)

        assert page.emails == (saved,)

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
    async def test_pages_make_up_the_list(self, store: EmailStore, limit: int) -> None:
        """However large the pages, together they are the whole list in its order, and only the last ends it."""
        await filled(store, [queued(f"em_{n}", created_at=NOW + n // 2 * MINUTE) for n in range(7)])

        got = [page async for page in pages(store, Query(), limit)]

        assert [email.id for page in got for email in page.emails] == [f"em_{n}" for n in reversed(range(7))]
        assert all(len(page.emails) == limit for page in got[:-1])

    async def test_pages_of_a_filtered_list_make_it_up_too(self, store: EmailStore) -> None:
        """A filter changes which e-mails are on the pages, not how pages follow each other."""
        await filled(store, [queued(f"em_{n:02d}", tags=("odd",) if n % 2 else ()) for n in range(20)])

        got = [page async for page in pages(store, Query(tag="odd"), 3)]

        assert [email.id for page in got for email in page.emails] == [f"em_{n:02d}" for n in range(19, 0, -2)]

    async def test_new_emails_do_not_move_the_pages(self, store: EmailStore) -> None:
        """A cursor stays valid while e-mails are added: nothing is skipped or shown twice."""
        await filled(store, [queued(f"em_{n}", created_at=NOW + n * MINUTE) for n in range(6)])
        first = await store.list(Query(), after=None, limit=3)
        await filled(store, [queued(f"em_new{n}", created_at=NOW + (10 + n) * MINUTE) for n in range(4)])

        second = await store.list(Query(), after=first.after, limit=3)

        assert [email.id for email in second.emails] == ["em_2", "em_1", "em_0"]
        assert second.after is None

    async def test_a_cursor_outlives_its_email(self, store: EmailStore) -> None:
        """A page goes on from where it was even if the last e-mail on it no longer fits the filter."""
        await filled(store, [queued(f"em_{n}") for n in range(4)])
        query = Query(status=Status.QUEUED)
        first = await store.list(query, after=None, limit=2)
        await store.save(next_of(queued("em_2"), status=Status.SENT))

        second = await store.list(query, after=first.after, limit=2)

        assert [email.id for email in second.emails] == ["em_1", "em_0"]

    @pytest.mark.parametrize("cursor", ["", "x", "!!!", "em_a", "MQ", "é", "\0", "." * 500, "LjE", "YS5i", "MS4", FAR])
    async def test_what_is_no_cursor_is_refused(self, store: EmailStore, cursor: str) -> None:
        """A cursor that this store did not give is the caller's mistake, and said to be one."""
        await filled(store, [queued()])

        with pytest.raises(ValueError):
            await store.list(Query(), after=cursor, limit=10)

    @pytest.mark.parametrize("name", FIND)
    async def test_each_filter_finds_what_it_says(self, store: EmailStore, name: str) -> None:
        """A filter finds the e-mail for which it holds, and not the other; `count` agrees."""
        wanted, other, query = FIND[name]
        await filled(store, [wanted, other])

        page = await store.list(query, after=None, limit=10)

        assert page.emails == (wanted,)
        assert await store.count(query) == 1

    async def test_a_filter_goes_by_the_latest_version(self, store: EmailStore) -> None:
        """What was saved is found by what it says now and no longer by what it said."""
        await filled(store, [queued(tags=("old",))])

        await store.save(next_of(queued(), tags=("new",), status=Status.FAILED, possible_duplicate=True))

        assert await store.count(Query(tag="old")) == await store.count(Query(status=Status.QUEUED)) == 0
        assert await store.count(Query(tag="new", status=Status.FAILED, possible_duplicate=True)) == 1

    async def test_a_rare_one_is_found_behind_many(self, store: EmailStore) -> None:
        """A filter finds the oldest e-mail however many others were created after it."""
        many = [queued(f"em_{n:03d}", created_at=NOW + timedelta(seconds=n)) for n in range(1, 200)]
        await filled(store, [queued("em_000", tags=("rare",)), *many])

        page = await store.list(Query(tag="rare"), after=None, limit=1)

        assert [email.id for email in page.emails] == ["em_000"]
        assert page.after is None

    @DRAWN
    @given(drawn=st.lists(emails(tenant=st.just("mine")), min_size=1, max_size=6), data=st.data())
    async def test_a_list_is_what_the_oracle_finds(
        self, store: EmailStore, drawn: list[Email], data: st.DataObject
    ) -> None:
        """For any e-mails and any query made of what they say, the store finds what the oracle finds."""
        tenant = unused_id()
        mine = [replace(email, id=unused_id(), tenant=tenant) for email in drawn]
        await filled(store, mine)
        query = data.draw(_queries(tenant, data.draw(st.sampled_from(mine))))

        page = await store.list(query, after=None, limit=100)

        expected = sorted((email for email in mine if found(email, query)), key=_newest, reverse=True)
        assert list(page.emails) == expected
        assert await store.count(query) == len(expected)


def _newest(email: Email) -> tuple[object, str]:
    """Return what lists are ordered by."""
    return email.created_at, email.id


def _queries(tenant: str, email: Email) -> st.SearchStrategy[Query]:
    """Return queries for what one e-mail says, with any of the filters left out."""
    providers = [attempt.provider for attempt in email.attempts]
    return st.builds(
        Query,
        tenant=st.just(tenant),
        status=st.sampled_from((None, email.status)),
        reason=st.sampled_from((None, email.reason)),
        lane=st.sampled_from((None, email.lane)),
        to=st.sampled_from((None, *email.recipients)),
        tag=st.sampled_from((None, *email.tags)),
        provider=st.sampled_from((None, *providers)),
        metadata=st.sampled_from(({}, dict(email.metadata))),
        possible_duplicate=st.sampled_from((None, email.possible_duplicate)),
        created_after=st.sampled_from((None, email.created_at)),
        created_before=st.sampled_from((None, email.created_at + timedelta(milliseconds=1))),
    )
