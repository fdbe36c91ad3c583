"""The pages: whatever a letter says, it is text on them; and their headers leave it nothing to do."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import msgspec
import pytest
from tests.apps.emulator.calls import BEARER, NOW, SENDGRID, letter, mail
from tests.apps.emulator.hostile import PAYLOADS, everywhere

from mailapps.emulator.inbox import Received
from mailapps.emulator.ledger import Row
from mailapps.emulator.pages import View, inbox_page, letter_page, missing_page, preview
from mailapps.emulator.request_page import requests_page
from mailapps.emulator.wire import File, Letter

VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """What a browser would build of a page: its elements with the names of their attributes, and its text.

    Attributes:
        urls: The values of all attributes that lead somewhere.
    """

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.urls: set[str] = set()
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.urls |= {value or "" for name, value in attrs if name in {"href", "src", "action", "srcdoc", "data"}}

    def handle_endtag(self, tag: str) -> None:
        """Note an end, so that nothing can close early."""
        self.elements.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        """Note a comment: there are none of ours."""
        self.elements.append(("!--",))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words += data


def received(one: Letter, text: str = "sendgrid") -> Received:
    """Return a letter that arrived; its provider and its id may be hostile too."""
    return Received(id=1, received_at=NOW, provider=text, message_id=text, letter=one, size=1)


def row(text: str, **changes: object) -> Row:
    """Return a request that says this wherever it can."""
    right = {
        "seq": 1,
        "received_at": NOW,
        "provider": text,
        "email_id": text,
        "key": text,
        "sender": text,
        "recipients": (text,),
        "verdict": "refused",
        "status": 400,
        "fault": text,
        "message_id": text,
        "detail": text,
    }
    return Row(**{**right, **changes})


def squeezed(text: str) -> str:
    """Return text without its white space, which HTML does not keep."""
    return "".join(text.split())


def pages(text: str) -> list[str]:
    """Return every page, with this text wherever a stranger can put one."""
    one = received(everywhere(text), text)
    view = View(total=1, search=text, base=text, requests=1, scripted={text: 1})
    return [
        inbox_page([one], view),
        inbox_page([], view),
        inbox_page([], msgspec.structs.replace(view, search="")),
        letter_page(one),
        missing_page(text),
        requests_page([row(text)], total=1),
        requests_page([], total=0),
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_hostile_letter_changes_nothing_but_text(payload: str) -> None:
    """A page has the same elements and attributes as with a harmless letter, and leads only to ourselves."""
    for page, harmless in zip(pages(payload), pages("harmless"), strict=True):
        outline, expected = Outline(page), Outline(harmless)

        assert outline.elements == expected.elements
        assert outline.urls == expected.urls
        assert all(url.startswith("/") for url in outline.urls)
        if "harmless" in expected.words:
            assert squeezed(payload) in squeezed(outline.words)


def test_a_page_has_no_script_and_no_style_of_its_own() -> None:
    """What a page runs and looks like comes from files of ours, so that the policy can forbid all else."""
    for page in pages("harmless"):
        outline = Outline(page)
        names = {name for element in outline.elements for name in element[1:]}
        assert [element for element in outline.elements if element[0] == "script"] == [("script", "src", "defer")]
        assert "style" not in {element[0] for element in outline.elements}
        assert not [name for name in names if name.startswith("on") or name == "style"]


def test_the_letters_html_is_only_in_a_frame_without_permissions() -> None:
    """The sandbox attribute is there and empty, and the frame is the only place that leads to the HTML."""
    page = letter_page(received(letter(html="<b>")))

    assert page.count("<iframe") == 1
    assert '<iframe sandbox="" src="/inbox/1/html"' in page
    assert "<b>" not in page


def test_inline_images_become_data_and_nothing_else_does() -> None:
    """A picture that came along is shown without a request; other files stay where they are."""
    png = File(filename="a.png", content_type="image/png", content=b"x", content_id="logo")
    odd = File(filename="b", content_type='image/x"><script>', content=b"x", content_id="odd")
    page = File(filename="c", content_type="text/html", content=b"x", content_id="page")

    html = preview(letter(html='<img src="cid:logo"><img src="cid:odd"><a href="cid:page">', files=(png, odd, page)))

    assert html == '<img src="data:image/png;base64,eA=="><img src="data:image/png;base64,eA=="><a href="cid:page">'


@pytest.mark.parametrize(
    "element",
    ["<link rel=preconnect", "<LINK\nrel=preconnect", "<Link/rel=preconnect", "<iframe src=//a>", "<frame src=//a>"],
)
def test_an_element_that_connects_in_spite_of_the_policy_is_none_in_the_preview(element: str) -> None:
    """Chromium connects to the server of a frame or a preconnect whatever the policy says."""
    html = preview(letter(html=f"{element} href=http://evil.example>")).lower()

    assert not {"<link", "<iframe", "<frame"} & set(re.findall(r"<[\w-]+", html))


def test_nothing_yet_tells_how_to_send() -> None:
    """An empty inbox shows two commands, with the address of this very server."""
    page = Outline(inbox_page([], View(total=0, base="http://127.0.0.1:1234"))).words

    assert "Nothing has arrived yet" in page
    assert "curl http://127.0.0.1:8000/api/emails" in page
    assert "curl http://127.0.0.1:1234/mailgun/v3/shop.example/messages -u api:any-key" in page


def test_an_empty_inbox_says_where_the_requests_went() -> None:
    """Who sent something that was refused is led to the reason, and nobody else is."""
    refused = inbox_page([], View(total=0, requests=3))
    unasked = inbox_page([], View(total=0))

    assert "Requests have come, 3 in all" in Outline(refused).words
    assert "Requests have come" not in unasked


def test_the_bar_counts_what_is_shown_of_what_is_there() -> None:
    """A page of many says so; one message is one message."""
    one = received(letter())

    assert "1 of 7 messages" in Outline(inbox_page([one], View(total=7))).words
    assert "1 message " in Outline(inbox_page([one], View(total=1))).words


def test_a_refused_request_is_shown_with_the_reason() -> None:
    """Who wonders why nothing arrived finds the provider's own words on the page of requests."""
    page = Outline(
        requests_page([row("", detail="subject parameter is missing", recipients=("a@x.org",))], total=7)
    ).words

    assert "subject parameter is missing" in page
    assert "a@x.org" in page
    assert "1 of 7 requests" in page


def test_scripted_faults_are_announced() -> None:
    """Nobody wonders for long why nothing arrives."""
    page = Outline(inbox_page([], View(total=0, scripted={"sendgrid": 2, "mailgun": 0}))).words

    assert "Scripted faults are on: sendgrid (2)." in page


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (3 << 20, "3,072.0 KiB")]
)
def test_a_files_size_is_told_for_people(size: int, told: str) -> None:
    """Bytes up to a kibibyte, then kibibytes."""
    file = File(filename="a", content_type="b", content=b"x" * size)

    assert told in letter_page(received(letter(files=(file,))))


@pytest.mark.parametrize("path", ["/", "/?q=x", "/inbox/1", "/inbox/2", "/inbox/x", "/requests"])
async def test_every_page_has_the_strict_headers(client: httpx.AsyncClient, path: str) -> None:
    """No inline script, no stranger's frame, no sniffing, no referrer, and no copy in a cache."""
    await client.post(SENDGRID, json=mail(), headers=BEARER)

    answer = await client.get(path)

    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[name] for name in policy if name.endswith("-src") and name != "default-src"} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-dns-prefetch-control"] == "off"


SAID = ["/health/live", "/emulator/inbox", "/emulator/inbox/9", "/nothing", "/sendgrid/nothing", "/static/emulator.js"]


@pytest.mark.parametrize("path", [*SAID, "/mailgun/v3/x/messages", "/static/none"])
async def test_what_is_no_page_is_nothing_to_a_browser(client: httpx.AsyncClient, path: str) -> None:
    """JSON, files, the providers' answers and refusals: not sniffed, not framed, not run, read by no other site."""
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_preview_has_a_policy_that_allows_nothing_but_style_and_data(client: httpx.AsyncClient) -> None:
    """The letter's own HTML is harmless even when it is opened by itself. Source: reliability.md 4.10."""
    content = [{"type": "text/html", "value": "<script>alert(1)</script>"}]
    await client.post(SENDGRID, json=mail(content=content), headers=BEARER)

    answer = await client.get("/inbox/1/html")

    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-security-policy"] == (
        "sandbox; default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("name", "kind"), [("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")])
async def test_the_pages_files_are_served_with_their_types(client: httpx.AsyncClient, name: str, kind: str) -> None:
    """Nothing of the pages comes from elsewhere, and the browser need not guess."""
    answer = await client.get(f"/static/emulator.{name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "path", ["/static/server.py", "/static/..%2Fserver.py", "/static/%2e%2e/server.py", "/inbox/1/html"]
)
async def test_no_other_file_is_served(client: httpx.AsyncClient, path: str) -> None:
    """Only three files and the letters that are there."""
    assert (await client.get(path)).status_code == 404
