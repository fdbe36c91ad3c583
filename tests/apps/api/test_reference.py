"""docs/reference/http-api.md: every route is there, and every answer shown is the one that is given."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import httpx
from tests.apps.api.rights_table import TABLE
from tests.apps.api.world import JSON, World

from mailcore.outcome import Rejected, Unknown
from mailcore.testing import ScriptedProvider

PAGE = Path("docs/reference/http-api.md")
EXAMPLE = re.compile(r"```http\n(?!HTTP)(.*?)```\n\n```http\n(HTTP.*?)```", re.DOTALL)
SHOWN = ("Location", "Idempotency-Replayed", "Retry-After", "Content-Type", "Content-Disposition")
SENT = "em_ftoqibn6b7aanhfff9e5olrukg"
HELD, FAILED = (f"em_{number:026d}" for number in (1, 2))


class LoadedDice:
    """Names and secrets that are the same in every run."""

    def __init__(self) -> None:
        self._number = 0

    def new_key_id(self) -> str:
        """Return the next name."""
        self._number += 1
        return f"key_{self._number:08d}"

    def new_key_secret(self) -> bytes:
        """Return a secret that everybody knows."""
        return hashlib.sha256(str(self._number).encode()).digest()

    def new_pepper(self) -> str:
        """Return a pepper that everybody knows."""
        return "pepper"


async def be_sent(world: World) -> None:
    """Let the first e-mail be sent."""
    world.clock.advance(0.25)
    await world.attempt(SENT)


async def be_held(world: World) -> None:
    """Let the next e-mail be one whose fate nobody knows."""
    world.provider.script([Unknown(code="timeout", detail="no answer within 15 s")])
    await world.attempt(HELD)


async def be_rejected(world: World) -> None:
    """Let the next e-mail fail."""
    world.provider.script([Rejected(code="400", detail="The to address is not valid.")])
    await world.attempt(FAILED)


BEFORE: dict[str, Callable[[World], Awaitable[None]]] = {
    f"GET /api/emails/{SENT}": be_sent,
    f"POST /api/emails/{HELD}/resolve": be_held,
    "GET /api/dead-letters?reason=rejected": be_rejected,
}


async def performed(text: str) -> str:
    """Return the page with every answer replaced by the one that the API gives, in the page's order."""
    world = World(provider=ScriptedProvider("sendgrid-eu"), dice=LoadedDice())
    async with world.client() as api:
        for match in EXAMPLE.finditer(text):
            asked, told = match.groups()
            await BEFORE.get(asked.partition("\n")[0], _nothing)(world)
            text = text.replace(told, _written(await _answer(api, asked)), 1)
    return text


async def _nothing(_: World) -> None:
    """Prepare nothing."""


async def _answer(api: httpx.AsyncClient, asked: str) -> httpx.Response:
    """Return the answer to a request as the page writes it."""
    head, _, body = asked.partition("\n\n")
    line, *headers = head.strip().splitlines()
    method, path = line.split(" ", 1)
    named = dict(header.split(": ", 1) for header in headers)
    return await api.request(method, path, content=body.strip(), headers={**(JSON if body.strip() else {}), **named})


def _written(answer: httpx.Response) -> str:
    """Return an answer as the page writes it."""
    heads = [f"{name}: {answer.headers[name]}" for name in SHOWN if name in answer.headers]
    status = HTTPStatus(answer.status_code)
    lines = answer.headers["Content-Type"] == "application/x-ndjson"
    body = answer.text.rstrip() if lines else json.dumps(answer.json(), indent=2, ensure_ascii=False)
    return "\n".join([f"HTTP/1.1 {status} {status.phrase}", *heads, "", body, ""])


def page() -> str:
    """Return the page."""
    return PAGE.read_text(encoding="utf-8")


def requests() -> list[str]:
    """Return the request lines of the page, without what stands after a question mark."""
    return [match[1].splitlines()[0].partition("?")[0] for match in EXAMPLE.finditer(page())]


async def test_every_answer_is_the_one_that_is_given() -> None:
    """Examples that nobody runs go stale; renew these by `python -m tests.apps.api.test_reference`."""
    text = page()

    assert await performed(text) == text


def placed(line: str) -> str:
    """Return a request line with its route's places in place of what the example has there."""
    line = re.sub(r"em_[0-9a-v]{26}", "{email_id}", line)
    line = re.sub(r"key_[0-9]{8}", "{key_id}", line)
    line = re.sub(r"\w+@example\.com", "{address}", line)
    return line.replace("/sendgrid-eu/", "/{name}/").replace("/bulk/", "/{lane}/")


def test_every_route_has_an_example() -> None:
    """A route without an example is one that nobody finds."""
    shown = {placed(line) for line in requests()}

    assert shown == {f"{method} {path}" for method, path in TABLE if path.startswith(("/api", "/health"))}


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(performed(page())), encoding="utf-8")
