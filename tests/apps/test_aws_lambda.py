"""The Lambda function: real events of SQS, a real store, and the emulator as the provider."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.servers.running import Server

from mailapps.aws_lambda import Function
from mailapps.container import opened
from mailapps.emulator import running_emulator
from mailapps.emulator.server import Running
from mailapps.settings import Settings
from mailapps.tuning import Role
from mailcore.events import Event, Happening
from mailcore.lifecycle import Email, Status
from mailcore.message import Message
from mailcore.secret import Secret
from mailcore.standing import Mode
from mailcore.suppression import Grounds, Suppression
from mailcore.switches import Switch

EVENT: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "sqs-event.json").read_text())
"""As the documentation of Lambda shows it, but for the bodies."""

PLENTY = timedelta(minutes=1)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Invoked:
    """A Lambda function in its process, which is a thread here, and what its watcher was told."""

    settings: Settings
    told: list[Event] = field(default_factory=list[Event])
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def __post_init__(self) -> None:
        self.function = self.thread.submit(Function, self.settings, self.told.append).result()

    async def handle(self, event: object, left: timedelta = PLENTY) -> list[str]:
        """Return the messages that must come again."""
        answer = await asyncio.wrap_future(self.thread.submit(self.function.handle, event, left))
        assert set(answer) == {"batchItemFailures"}
        assert all(set(item) == {"itemIdentifier"} for item in answer["batchItemFailures"])
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def close(self) -> None:
        """End it."""
        self.thread.submit(self.function.close).result()
        self.thread.shutdown()

    @property
    def happened(self) -> list[Happening]:
        """What kinds of events it was told."""
        return [event.what for event in self.told]


def event_of(*bodies: str) -> dict[str, Any]:
    """Return an event with these messages, called m0, m1 and so on."""
    [first, *_] = EVENT["Records"]
    return {"Records": [{**first, "messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


def body_of(*emails: Email) -> str:
    """Return a wake-up for e-mails."""
    return json.dumps({"ids": [email.id for email in emails]})


@pytest.fixture
async def emulator() -> AsyncIterator[Running]:
    """Yield a provider."""
    async with running_emulator() as running:
        yield running


@pytest.fixture(params=["sqlite", "mongodb"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, emulator: Running) -> Settings:
    """Return settings with an empty store; tables as the loader leaves them."""
    store = request.getfixturevalue("mongo_url") if request.param == "mongodb" else f"sqlite:///{tmp_path}/mail.db"
    table = {"kind": "sendgrid", "api_key": Secret("SG.x"), "base_url": f"{emulator.url}/sendgrid"}
    return Settings(store=store, default_from="Shop <no-reply@shop.example>", providers={"sendgrid": table})


@pytest.fixture
def invoked(settings: Settings) -> Iterator[Invoked]:
    """Yield a function on that store."""
    invoked = Invoked(settings)
    yield invoked
    invoked.close()


async def slow_down(emulator: Running, seconds: float) -> None:
    """Have the provider take its time for every answer."""
    rules = [{"action": {"kind": "pass"}, "latency": seconds}]
    async with httpx.AsyncClient(base_url=emulator.url, trust_env=False) as client:
        assert (await client.put("/emulator/faults/sendgrid", json={"rules": rules})).status_code == 200


@asynccontextmanager
async def submitted(
    settings: Settings, number: int
) -> AsyncIterator[tuple[Sequence[Email], Callable[[], Awaitable[list[Email]]]]]:
    """Have an API accept so many messages; give the e-mails, and what reads them again."""
    async with opened(settings, Role.API) as parts:
        mailer = parts.assembled().mailer
        message = Message(to="ann@example.com", subject="Hello", text="Hello.")
        emails = [(await mailer.submit(message)).email for _ in range(number)]

        async def again() -> list[Email]:
            return [await mailer.get(email.id) for email in emails]

        yield emails, again


async def test_the_e_mails_of_an_event_are_sent(invoked: Invoked, settings: Settings, emulator: Running) -> None:
    """A message may name several e-mails; what was looked at is not asked for again."""
    async with submitted(settings, 3) as (emails, again):
        event = event_of(body_of(emails[0]), body_of(*emails[1:]))

        failed = await invoked.handle(event)

        statuses = [email.status for email in await again()]
    assert failed == []
    assert statuses == [Status.SENT] * 3
    assert len(emulator.emulator.inbox) == 3


async def test_an_event_that_comes_again_sends_nothing_again(
    invoked: Invoked, settings: Settings, emulator: Running
) -> None:
    """SQS delivers at least once: a repeat costs a look."""
    async with submitted(settings, 1) as (emails, _):
        event = event_of(body_of(*emails), body_of(*emails))

        failed = [await invoked.handle(event) for _ in range(2)]

    assert failed == [[], []]
    assert len(emulator.emulator.inbox) == 1


async def test_a_process_opens_its_parts_once(invoked: Invoked, settings: Settings) -> None:
    """The connections and the event loop of the first event are those of all that follow."""
    async with submitted(settings, 2) as (emails, again):
        await invoked.handle(event_of(body_of(emails[0])))
        first = invoked.function._parts, invoked.function._runner.get_loop()

        await invoked.handle(event_of(body_of(emails[1])))

        statuses = [email.status for email in await again()]
    assert (invoked.function._parts, invoked.function._runner.get_loop()) == first
    assert statuses == [Status.SENT] * 2


async def test_between_two_events_a_function_forgets_what_must_be_fresh(
    invoked: Invoked, settings: Settings, emulator: Running
) -> None:
    """It stood still, and perhaps the clock that it goes by: a pause and a suppression said meanwhile hold at once."""
    async with submitted(settings, 3) as (emails, again), opened(settings, Role.API) as parts:
        await invoked.handle(event_of(body_of(emails[0])))
        address = Suppression(tenant="default", address="ann@example.com", reason=Grounds.MANUAL, created_at=NOW)
        await parts.assembled().mailer.suppressions.add([address])

        await invoked.handle(event_of(body_of(emails[1])))
        await parts.assembled().mailer.roster.board.turn("lane:all", Switch(mode=Mode.STOPPED, since=NOW))
        await invoked.handle(event_of(body_of(emails[2])))

        statuses = [email.status for email in await again()]
    assert statuses == [Status.SENT, Status.FAILED, Status.QUEUED]
    assert len(emulator.emulator.inbox) == 1


async def test_garbage_is_counted_and_never_asked_for_again(invoked: Invoked, settings: Settings) -> None:
    """K2: a message that is no wake-up, or names nobody, would only come again and again."""
    async with submitted(settings, 1) as (emails, again):
        bodies = ["{", "em_x", '{"ids": []}', '{"ids": ["em_unknown"]}', body_of(*emails)]

        failed = await invoked.handle(event_of(*bodies))

        statuses = [email.status for email in await again()]
    assert failed == []
    assert statuses == [Status.SENT]
    assert invoked.happened.count(Happening.STRANGE_WAKE_UP) == 4


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", [{}, None, {"Records": [{}]}, {"source": "aws.events"}, EVENT], ids=str)
async def test_an_event_that_is_none_of_ours_is_told(invoked: Invoked, event: object) -> None:
    """Somebody who tries the function out by hand gets an answer, and no e-mail is touched."""
    failed = await invoked.handle(event)

    assert failed == []
    assert set(invoked.happened) == {Happening.STRANGE_WAKE_UP}


async def test_without_time_nothing_is_begun(invoked: Invoked, settings: Settings, emulator: Running) -> None:
    """A call that the function might not outlive is not made; its message comes again, and garbage does not."""
    async with submitted(settings, 1) as (emails, again):
        event = event_of(body_of(*emails), "{")

        failed = await invoked.handle(event, invoked.function.needed - timedelta(seconds=1))
        left = len(emulator.emulator.inbox), [email.attempts for email in await again()]
        failed_then = await invoked.handle(event)

    assert (failed, failed_then) == (["m0"], [])
    assert left == (0, [()])
    assert len(emulator.emulator.inbox) == 1


async def test_what_time_runs_out_for_comes_again(emulator: Running, settings: Settings) -> None:
    """What was begun ends; what was not is reported; and nothing is both."""
    await slow_down(emulator, 0.4)
    invoked = Invoked(replace(settings, in_flight=1))
    async with submitted(settings, 4) as (emails, again):
        failed = await invoked.handle(
            event_of(*map(body_of, emails)), invoked.function.needed + timedelta(milliseconds=600)
        )

        statuses = [email.status for email in await again()]
    invoked.close()
    assert failed == [f"m{n}" for n, status in enumerate(statuses) if status is not Status.SENT]
    assert failed
    assert Status.SENDING not in statuses


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_who_is_not_done_in_time_is_left_to_its_lease(
    invoked: Invoked, settings: Settings, emulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda gets its answer before it cuts the function off; what the call came to, nobody knows."""
    monkeypatch.setattr("mailapps.aws_lambda.ANSWER_S", PLENTY.total_seconds() - 2)
    await slow_down(emulator, 15)
    async with submitted(settings, 1) as (emails, again):
        failed = await invoked.handle(event_of(body_of(*emails)))

        statuses = [email.status for email in await again()]
    assert failed == ["m0"]
    assert statuses != [Status.SENT]


async def test_a_store_that_is_not_there_yet_fails_all(tmp_path: Path, emulator: Running) -> None:
    """The first event finds no store: all its messages come again, and then everything is opened."""
    table = {"kind": "sendgrid", "api_key": Secret("SG.x"), "base_url": f"{emulator.url}/sendgrid"}
    settings = Settings(
        store=f"sqlite:///{tmp_path}/later/mail.db", default_from="no-reply@shop.example", providers={"sendgrid": table}
    )
    invoked = Invoked(settings)

    failed = await invoked.handle(event_of('{"ids": ["em_a"]}', "{"))
    (tmp_path / "later").mkdir()
    async with submitted(settings, 1) as (emails, _):
        failed_then = await invoked.handle(event_of(body_of(*emails)))

    invoked.close()
    assert (failed, failed_then) == (["m0"], [])
    assert Happening.STORE_FAILED in invoked.happened
    assert len(emulator.emulator.inbox) == 1


async def test_a_store_that_goes_away_fails_what_could_not_be_looked_at(own_mongo: Server, emulator: Running) -> None:
    """A frozen MongoDB: the messages come again, garbage among them does not, and once it is back all are sent."""
    table = {"kind": "sendgrid", "api_key": Secret("SG.x"), "base_url": f"{emulator.url}/sendgrid"}
    settings = Settings(
        store=f"{own_mongo.url}/lambda", default_from="no-reply@shop.example", providers={"sendgrid": table}
    )
    invoked = Invoked(settings)
    async with submitted(settings, 1) as (emails, _):
        await invoked.handle(event_of("{"))
        event = event_of(body_of(*emails), "{")

        own_mongo.freeze()
        failed = await invoked.handle(event)
        own_mongo.thaw()
        failed_then = await invoked.handle(event)

    invoked.close()
    assert (failed, failed_then) == (["m0"], [])
    assert len(emulator.emulator.inbox) == 1


PROGRAM = """
import json, sys
from mailapps.aws_lambda import handler

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), Context())), flush=True)
"""
"""What Lambda does with a function."""


async def in_a_process(lines: Sequence[object], **environ: str) -> tuple[int, list[Any], str]:
    """Hand events to the handler in a process of its own; return its code, its answers and its log."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILCORE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, **environ},
    )
    out, log = await process.communicate("\n".join(json.dumps(line) for line in lines).encode())
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()], log.decode()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_the_entry_point_goes_by_the_environment(settings: Settings, emulator: Running) -> None:
    """A function has no files of its own: store and providers come from variables, and logs go to its output."""
    async with submitted(settings, 2) as (emails, again):
        code, answers, log = await in_a_process(
            [event_of(body_of(email)) for email in emails],
            MAILCORE_STORE=settings.store,
            MAILCORE_PROVIDERS__SENDGRID__KIND="sendgrid",
            MAILCORE_PROVIDERS__SENDGRID__API_KEY="SG.x",
            MAILCORE_PROVIDERS__SENDGRID__BASE_URL=f"{emulator.url}/sendgrid",
        )

        statuses = [email.status for email in await again()]
    assert (code, answers) == (0, [{"batchItemFailures": []}] * 2), log
    assert statuses == [Status.SENT] * 2
    assert log.count('"event":"attempted"') == 2


async def test_wrong_settings_fail_the_function() -> None:
    """A function that is set up wrongly says so with every event, and loses none."""
    code, answers, log = await in_a_process([event_of("{")], MAILCORE_STORE="postgres://db")

    assert (code, answers) == (1, [])
    assert "SettingsError: store: there is no store for" in log
