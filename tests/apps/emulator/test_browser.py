"""The inbox in a real browser: a person finds an e-mail and opens it, and a hostile one can do nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, async_playwright
from tests.apps.emulator.calls import BEARER, NOW, SENDGRID, mail
from tests.apps.emulator.hostile import PAYLOADS, everywhere

from mailapps.emulator import Running

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A machine of CI has the browser, or its run says nothing about the pages: there the test fails to launch.
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and "CI" not in os.environ, reason="no /usr/bin/chromium on this laptop"
)


class Canary:
    """A server that nothing may ask.

    Attributes:
        asked: How many connections came.
        heard: What was said on them, a byte of each.
    """

    def __init__(self) -> None:
        """Start unasked."""
        self.asked = 0
        self.heard = b""
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection, hear whether it says anything, and close it."""
        self.asked += 1
        self.heard += await reader.read(1)
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """Return a server outside of the emulator."""
    canary = Canary()
    async with await asyncio.start_server(canary, "127.0.0.1", 0) as server:
        canary.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield canary


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """Return a browser as wide as a telephone."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await browser.new_context(viewport={"width": 390, "height": 800})
        await browser.close()


def hostile_html(canary: str) -> str:
    """Return all payloads with a way out each, and a sentence to see."""
    own = f"""<h1>Thank you</h1>
    <script>top.document.title = 'pwned'; fetch('{canary}')</script>
    <img src="{canary}/pixel"><img srcset="{canary}/set 1x"><link rel="stylesheet" href="{canary}/css">
    <style>@import '{canary}/import'; body {{ background: url({canary}/background) }}</style>
    <meta http-equiv="refresh" content="0;url={canary}/refresh"><iframe src="{canary}/frame"></iframe>
    <object data="{canary}/object"></object><video src="{canary}/video" autoplay></video>
    <link rel="prefetch" href="{canary}/prefetch"><link rel="dns-prefetch preconnect" href="{canary}">
    <form action="{canary}/form" method="post"><button id="send">send</button></form>
    <a id="top" href="{canary}/top" target="_top">top</a>"""
    return own + "\n".join(PAYLOADS).replace("//evil.example", canary.removeprefix("http:"))


async def test_a_person_sees_an_e_mail_and_opens_it(
    browser: BrowserContext, client: httpx.AsyncClient, running: Running
) -> None:
    """From the empty page to the open e-mail: the list fills by itself, a click shows the text."""
    page = await browser.new_page()
    await page.goto(running.url)
    empty = await page.inner_text("h1")

    await client.post(SENDGRID, json=mail(subject="Your receipt"), headers=BEARER)
    await page.click("text=Your receipt")
    await page.wait_for_url("**/inbox/1")

    assert empty == "Nothing has arrived yet"
    assert await page.inner_text("h1") == "Your receipt"
    assert await page.inner_text("pre.text") == "It works."
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "the page is wider than a telephone"


async def test_the_inbox_is_emptied_by_its_button(
    browser: BrowserContext, client: httpx.AsyncClient, running: Running
) -> None:
    """One click, and nothing is left."""
    await client.post(SENDGRID, json=mail(), headers=BEARER)
    page = await browser.new_page()
    await page.goto(running.url)

    await page.click("text=Empty the inbox")
    await page.wait_for_selector("text=Nothing has arrived yet")

    assert len(running.emulator.inbox) == 0


SHAPE = "[...document.querySelectorAll('*')].map(one => [one.tagName, ...one.getAttributeNames()].join(' '))"
"""Of a page: its elements and the names of their attributes, in order."""


async def shown(browser: BrowserContext, running: Running, text: str) -> list[list[str]]:
    """Return the shapes of the pages that show a letter and a request which say this wherever they can."""
    running.emulator.inbox.clear()
    received = running.emulator.inbox.put(everywhere(text), provider=text, message_id=text, now=NOW)
    page = await browser.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"{text}: {dialog.message}"))
    shapes = []
    for path in ("/", f"/inbox/{received.id}", "/requests"):
        await page.goto(running.url + path, wait_until="networkidle")
        assert page.url == running.url + path
        shapes.append(await page.evaluate(SHAPE))
    await page.close()
    return shapes


async def test_no_payload_runs_asks_or_changes_a_page(
    browser: BrowserContext, running: Running, canary: Canary
) -> None:
    """In subject, names, file names, headers, text and HTML alike: no dialog, no request, the same elements as ever."""
    harmless = await shown(browser, running, "harmless")

    changed = [
        payload
        for payload in PAYLOADS
        if await shown(browser, running, payload.replace("//evil.example", canary.url.removeprefix("http:")))
        != harmless
    ]

    assert len(PAYLOADS) >= 40
    assert changed == []
    assert canary.asked == 0


@pytest.mark.parametrize("path", ["/inbox/1", "/inbox/1/html"])
async def test_a_hostile_e_mail_runs_nothing_and_asks_nobody(
    browser: BrowserContext, client: httpx.AsyncClient, running: Running, canary: Canary, path: str
) -> None:
    """No script, no dialog, no connection to the outside, no form sent: in the frame and opened by itself."""
    content = [{"type": "text/html", "value": hostile_html(canary.url)}]
    await client.post(SENDGRID, json=mail(subject=PAYLOADS[0], content=content), headers=BEARER)
    dialogs: list[str] = []
    page = await browser.new_page()
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    await page.goto(running.url + path, wait_until="networkidle")
    frame = page.frames[-1]
    seen = await frame.inner_text("h1")
    await frame.click("#send", force=True, no_wait_after=True)
    await page.wait_for_load_state("networkidle")

    assert seen == "Thank you"
    assert dialogs == []
    assert canary.asked == 0
    assert "pwned" not in await page.title()


async def test_a_click_in_a_hostile_e_mail_leads_nowhere(
    browser: BrowserContext, client: httpx.AsyncClient, running: Running, canary: Canary
) -> None:
    """In its frame a letter can neither load another site nor take the page there.

    Chromium connects at a click before it looks at the policy; what counts is that it asks for nothing.
    """
    links = f'<a id="top" href="{canary.url}" target="_top">a</a> <a id="self" href="{canary.url}">b</a>'
    content = [{"type": "text/html", "value": links}]
    await client.post(SENDGRID, json=mail(content=content), headers=BEARER)
    page = await browser.new_page()

    for link in ("#top", "#self"):
        await page.goto(f"{running.url}/inbox/1", wait_until="networkidle")
        await page.frames[-1].click(link, no_wait_after=True)
        await page.wait_for_load_state("networkidle")

        assert page.url == f"{running.url}/inbox/1"
    assert canary.heard == b""
