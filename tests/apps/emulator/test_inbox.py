"""The inbox: newest first, bounded, searchable, and complete as JSON."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from tests.apps.emulator.calls import BASIC, BEARER, FORM, MAILGUN, NOW, SENDGRID, letter, mail

from mailapps.emulator.inbox import Inbox, size_of
from mailapps.emulator.wire import File, Letter, Mailbox


def put(inbox: Inbox, one: Letter) -> None:
    """Let a letter arrive."""
    inbox.put(one, provider="sendgrid", message_id="x", now=NOW)


def test_the_oldest_letters_go_and_it_is_said_how_many() -> None:
    """The number of letters is bounded."""
    inbox = Inbox(limit=2)

    for _ in range(5):
        put(inbox, letter())

    assert [one.id for one in inbox.newest()] == [5, 4]
    assert inbox.dropped == 3
    assert inbox.get(3) is None


def test_letters_together_stay_within_their_bytes() -> None:
    """Memory is bounded by size too; the latest letter is kept even if it is too large alone."""
    inbox = Inbox(max_bytes=250)
    kept: list[list[int]] = []

    for size in (100, 101, 102, 999, 103, 104):
        put(inbox, letter(text="a" * size))
        kept.append([one.size for one in inbox.newest()])

    assert kept == [[100], [101, 100], [102, 101], [999], [103], [104, 103]]


def test_after_clearing_new_letters_are_kept_within_bounds() -> None:
    """Numbers go on, and the oldest is still known."""
    inbox = Inbox(limit=1)
    put(inbox, letter())

    inbox.clear()
    put(inbox, letter())
    put(inbox, letter())

    assert [one.id for one in inbox.newest()] == [3]
    assert inbox.dropped == 1


def test_the_size_is_of_bodies_and_files() -> None:
    """Bytes of UTF-8 and of decoded files count."""
    file = File(filename="a", content_type="b", content=b"123")

    assert size_of(letter(text="ü", html="ab", files=(file,))) == 2 + 2 + 3


@pytest.mark.parametrize(
    ("search", "found"),
    [("RECEIPT", [1]), ("shop.example", [2, 1]), ("bob ann", [2]), ("em_1", [1]), ("nothing", []), ("", [2, 1])],
)
def test_a_search_is_for_words_in_subject_addresses_and_ids(search: str, found: list[int]) -> None:
    """All words must stand somewhere, whatever their case."""
    inbox = Inbox()
    put(inbox, letter(subject="Your receipt", metadata=(("mailcore_id", "em_1"),)))
    put(inbox, letter(cc=(Mailbox("x@y.org", "Bob"),)))

    assert [one.id for one in inbox.newest(search=search)] == found


async def test_the_list_goes_from_page_to_page(client: httpx.AsyncClient) -> None:
    """`after` is the last id seen; what arrives meanwhile does not shift the pages."""
    for number in range(3):
        await client.post(SENDGRID, json=mail(subject=f"No {number}"), headers=BEARER)

    first = (await client.get("/emulator/inbox", params={"limit": 2})).json()
    await client.post(SENDGRID, json=mail(), headers=BEARER)
    second = (await client.get("/emulator/inbox", params={"after": first["messages"][-1]["id"]})).json()

    assert [one["subject"] for one in first["messages"]] == ["No 2", "No 1"]
    assert [one["subject"] for one in second["messages"]] == ["No 0"]
    assert (first["count"], second["count"], second["dropped"]) == (3, 4, 0)


async def test_a_message_is_told_in_full(client: httpx.AsyncClient) -> None:
    """Everything that was sent by either wire format can be asserted on."""
    parts: dict[str, Any] = {**FORM, "cc": "C <c@x.org>", "bcc": "b@x.org", "h:Reply-To": "r@x.org", "h:X-A": "1"}
    parts |= {"o:tag": "receipt", "v:mailcore_id": "em_1", "html": "<p>"}
    files = {"attachment": ("a b.txt", b"abc", "text/plain")}

    await client.post(MAILGUN, data=parts, files=files, headers=BASIC)

    (short,) = (await client.get("/emulator/inbox")).json()["messages"]
    full = (await client.get(f"/emulator/inbox/{short['id']}")).json()
    assert short == {
        "id": 1,
        "received_at": "2026-11-24T12:00:00Z",
        "provider": "mailgun",
        "message_id": "<20261124120000.1.000000@shop.example>",
        "email_id": "em_1",
        "from": {"email": "a@shop.example", "name": "Shop"},
        "to": [{"email": "ann@example.com", "name": ""}],
        "subject": "Hello",
        "attachments": 1,
        "size": len("It works.") + len("<p>") + 3,
    }
    assert full == short | {
        "cc": [{"email": "c@x.org", "name": "C"}],
        "bcc": [{"email": "b@x.org", "name": ""}],
        "reply_to": [{"email": "r@x.org", "name": ""}],
        "text": "It works.",
        "html": "<p>",
        "headers": {"X-A": "1"},
        "tags": ["receipt"],
        "metadata": {"mailcore_id": "em_1"},
        "attachments": [
            {
                "filename": "a b.txt",
                "content_type": "text/plain",
                "content_id": None,
                "size": 3,
                "url": "/emulator/inbox/1/attachments/0",
            }
        ],
    }


async def test_a_file_is_downloaded_and_never_shown(client: httpx.AsyncClient) -> None:
    """Whatever a file says it is, the browser saves it: HTML in a file must not become a page of ours."""
    evil = {"content": base64.b64encode(b"<script>").decode(), "filename": 'a"\r\nb/ü.html', "type": "text/html"}
    await client.post(SENDGRID, json=mail(attachments=[evil]), headers=BEARER)

    answer = await client.get("/emulator/inbox/1/attachments/0")

    assert answer.content == b"<script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22%0D%0Ab%2F%C3%BC.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize("path", ["1", "-1", "x", "9" * 5000, "²", "1/attachments/1", "1/attachments/x"])
async def test_what_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    """No number, however strange, breaks the server."""
    assert (await client.get(f"/emulator/inbox/{path}")).status_code == 404


async def test_an_emptied_inbox_is_empty(client: httpx.AsyncClient) -> None:
    """A test starts from nothing."""
    await client.post(SENDGRID, json=mail(), headers=BEARER)

    await client.delete("/emulator/inbox")

    assert (await client.get("/emulator/inbox")).json() == {"messages": [], "count": 0, "dropped": 0}
