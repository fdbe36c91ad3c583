"""Take the pictures of the documentation: the pages, in a real Chromium.

`nox -s screenshots` runs `mailcore up` on free ports, sends a few e-mails through it, and writes docs/images.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs/images"
MAILCORE = Path(sys.executable).with_name("mailcore")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
RECEIPT = """
<div style="font-family: sans-serif; max-width: 32em; margin: auto">
  <h1 style="color: #14532d">Thank you, Ann</h1>
  <p>Your order <b>42</b> is on its way.</p>
  <table style="width: 100%; border-top: 1px solid #ccc"><tr><td>Tea, 3 boxes</td><td align="right">€ 21.00</td></tr>
  <tr><td>Shipping</td><td align="right">€ 3.90</td></tr></table>
</div>
"""
LETTERS = (
    {
        "to": "Ann <ann@example.com>",
        "subject": "Your receipt",
        "text": "Thank you.",
        "html": RECEIPT,
        "tags": ["receipt"],
    },
    {"to": "bob@example.com", "subject": "Reset your password", "text": "Your code is 314159.", "lane": "urgent"},
    {"to": "Cleo <cleo@example.net>", "subject": "What is new in November", "text": "Tea.", "lane": "bulk"},
)


@dataclass(frozen=True)
class Place:
    """A service that runs: where its API and its emulator answer."""

    api: str
    emulator: str

    def send(self, letter: dict[str, object]) -> str:
        """Send an e-mail and wait until it is settled; return its id."""
        message = {"from": "Shop <no-reply@shop.example>", **letter}
        email_id = str(httpx.post(f"{self.api}/api/emails", json=message).raise_for_status().json()["id"])
        end = time.monotonic() + 30
        while httpx.get(f"{self.api}/api/emails/{email_id}").json()["status"] != "sent":
            if time.monotonic() > end:
                raise TimeoutError(email_id)
            time.sleep(0.1)
        return email_id


@contextmanager
def service() -> Iterator[Place]:
    """Run `mailcore up` on free ports."""
    api, emulator = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    environment = {**os.environ, "MAILCORE_BIND": api, "MAILCORE_EMULATOR__BIND": emulator}
    with tempfile.TemporaryDirectory() as folder:
        quiet = subprocess.DEVNULL
        running = subprocess.Popen([str(MAILCORE), "up"], cwd=folder, env=environment, stdout=quiet, stderr=quiet)
        try:
            place = Place(f"http://{api}", f"http://{emulator}")
            _await(f"{place.api}/health/live")
            yield place
        finally:
            running.terminate()
            running.wait(30)


def _free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str) -> None:
    """Wait until an address answers."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def take(page: Page, url: str, name: str, await_text: str) -> None:
    """Take a picture of a page once it shows a text."""
    page.goto(url)
    page.get_by_text(await_text).first.wait_for()
    page.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with service() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 640})
        for letter in LETTERS[::-1]:
            place.send(letter)
        take(page, f"{place.emulator}/", "inbox", "Your receipt")
        page.get_by_text("Your receipt").first.click()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=IMAGES / "inbox-message.png")
        take(page, f"{place.api}/docs", "api", "/api/emails")
        browser.close()


if __name__ == "__main__":
    main()
