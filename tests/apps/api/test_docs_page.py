"""The page at /docs in a real browser: it works, and asks nobody but us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Route, async_playwright
from tests.apps.api.test_server import Running, running
from tests.apps.api.world import World

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# A machine of CI has the browser, or its run says nothing about the page: there the test fails to launch.
needs_browser = pytest.mark.skipif(not CHROMIUM.exists() and "CI" not in os.environ, reason="no /usr/bin/chromium here")


@pytest.fixture
async def served(world: World) -> AsyncIterator[Running]:
    """Run the API around the world."""
    async with running(world.app()) as here:
        yield here


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """Return a browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await browser.new_context()
        await browser.close()


@needs_browser
async def test_the_page_sends_an_email_and_asks_nobody_else(
    browser: BrowserContext, served: Running, world: World
) -> None:
    """All assets are ours, the policy breaks nothing, and `Try it out` works from it."""
    foreign: list[str] = []
    complaints: list[str] = []

    async def only_ours(route: Route) -> None:
        if route.request.url.startswith((served.url, "data:")):
            await route.continue_()
        else:
            foreign.append(route.request.url)
            await route.abort()

    await browser.route("**/*", only_ours)
    page = await browser.new_page()
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{served.url}/docs")

    await page.click("#operations-emails-submit_email .opblock-summary-control")
    await page.click("#operations-emails-submit_email .try-out__btn")
    await page.click("#operations-emails-submit_email .execute")
    await page.wait_for_selector("#operations-emails-submit_email .live-responses-table .response-col_status")

    assert [email.recipients for email in world.store.emails.values()] == [("ann@example.com",)]
    assert foreign == []
    assert complaints == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/favicon.png", "image/png"),
    ],
)
async def test_a_file_says_its_kind_once(served: Running, path: str, kind: str) -> None:
    """The framework adds the charset of what is text; said twice, it is no media type (RFC 9110 section 8.3.1)."""
    async with served.client() as api:
        answer = await api.get(path)

    assert answer.headers["Content-Type"] == kind


async def test_the_page_names_no_other_host(served: Running) -> None:
    """What the page loads is beside it: no CDN, the icon included."""
    async with served.client() as api:
        page = (await api.get("/docs")).text
        files = {
            path: await api.get(path)
            for path in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon.png", "/docs/start.js")
        }

    assert "://" not in page
    assert {answer.status_code for answer in files.values()} == {200}
    assert all(path in page for path in files)


def test_the_vendored_files_are_the_ones_that_were_checked() -> None:
    """Nobody changed a file of Swagger UI by hand; its licence is beside it."""
    checked = subprocess.run([sys.executable, "tools/vendor_swagger.py", "--check"], capture_output=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert (
        (Path("src/mailapps/api/assets/swagger-ui") / "LICENSE")
        .read_text(encoding="utf-8")
        .strip()
        .startswith("Apache")
    )
