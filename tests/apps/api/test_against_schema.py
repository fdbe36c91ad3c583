"""The API against its own description: schemathesis makes requests of it, and every answer is one that it promises.

In CI the same few hundred requests each time; `nox -s schema -- 2000` makes so many for each route, others each time.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from litestar.types import ASGIApp, Receive, Scope, Send
from schemathesis import APIOperation, BaseSchema, Case, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.apps.api.world import MESSAGE, World

from mailcore.outcome import Accepted, Deferred, Outcome, Rejected, Unknown

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "0"))
QUIET = settings(
    deadline=None,
    database=None,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
# A schema cannot say what an address is, or that a message needs a body: what it allows may still be refused, as 400.
LEFT_OUT = [positive_data_acceptance]
BASE_URL = "http://127.0.0.1:8000"
OUTCOMES: list[Outcome] = [
    Accepted(provider_id="1"),
    Rejected(code="550", detail="no such mailbox"),
    Deferred(code="503", detail="later"),
    Unknown(code="timeout", detail="no answer"),
]


def described(app: ASGIApp) -> BaseSchema:
    """Return the description as an API serves it, ready to make requests of the API."""
    schema = schemathesis.openapi.from_asgi("/schema/openapi.json", app)
    schema.config.update(base_url=BASE_URL)
    return schema


OPERATIONS = {found.ok().label: found.ok() for found in described(World().app()).get_all_operations()}


@st.composite
def cases(draw: st.DrawFn, operation: APIOperation) -> Case:
    """Return requests of an operation, half of them wrong; some about what there is."""
    case = draw(operation.as_strategy(draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))))
    there = {"email_id": "em_a", "name": "first", "lane": "bulk"}
    for name in case.path_parameters if draw(st.booleans()) else ():
        case.path_parameters[name] = there.get(name, case.path_parameters[name])
    return case


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_the_description_promises(label: str) -> None:
    """No request, right or wrong by the schema, gets a 5xx, an undescribed answer, or success where it is wrong."""
    world = World()
    operation = next(found.ok() for found in described(world.app()).get_all_operations() if found.ok().label == label)

    @settings(QUIET, max_examples=EXAMPLES or 40)
    @given(case=cases(operation))
    def ask(case: Case) -> None:
        case.call_and_validate(excluded_checks=LEFT_OUT)

    ask()

    assert world.crashes == []


def test_an_answer_that_was_not_promised_is_seen() -> None:
    """The comparison above is no rubber stamp."""
    schema = described(World().app())
    schema.raw_schema["components"]["schemas"]["Life"] = {"type": "object", "required": ["nothing"]}

    with pytest.raises(FailureGroup, match="nothing"):
        schema["/health/live"]["GET"].Case().call_and_validate()


class Turn:
    """The API of the series that runs now: what is generated must depend on nothing that happened before it."""

    def __init__(self) -> None:
        """Begin where nothing has happened."""
        self.world = World()
        self.app = self.world.app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        await self.app(scope, receive, send)


def sound(body: object) -> object:
    """Return a generated message with what a schema cannot ask for: addresses, a subject, a text."""
    return {**body, **MESSAGE, "headers": {}, "attachments": [], "cc": [], "bcc": [], "reply_to": []}


def aim(case: Case, emails: Mapping[str, object]) -> None:
    """Let every other request about an e-mail be about the newest; by the request alone, so that it repeats."""
    asked = (case.path_parameters or {}).get("email_id")
    if isinstance(asked, str) and emails and len(asked) % 2:
        case.path_parameters["email_id"] = next(reversed(emails))


def test_every_answer_of_a_series_is_one_that_the_description_promises() -> None:
    """Requests that follow each other, on e-mails that were made and carried on the way, are answered as described."""
    turn, seen, crashes = Turn(), Counter[tuple[str, int]](), list[Exception]()

    class Series(described(turn).as_state_machine()):  # type: ignore[misc]  # made at run time
        """What callers and a worker do in turns, in a world of their own."""

        def setup(self) -> None:
            """Begin where nothing has happened."""
            turn.world = World(crashes=crashes)
            turn.app = turn.world.app()

        def before_call(self, case: Case) -> None:
            """Make of most messages ones that can be accepted, and ask for what there is every other time."""
            if case.operation.label in {"POST /api/emails", "POST /api/email"} and isinstance(case.body, dict):
                case.body = sound(case.body)
            aim(case, turn.world.store.emails)

        def after_call(self, response: Response, case: Case) -> None:
            """Remember what was answered."""
            seen[case.operation.label, response.status_code] += 1

        def validate_response(self, response: Response, case: Case, **more: object) -> None:
            """Compare an answer with the description."""
            case.validate_response(response, excluded_checks=LEFT_OUT)

        @rule(outcome=st.sampled_from(OUTCOMES))
        def carry(self, outcome: Outcome) -> None:
            """Attempt the newest e-mail as a worker would."""
            if turn.world.store.emails:
                turn.world.provider.script([outcome])
                asyncio.run(turn.world.attempt(next(reversed(turn.world.store.emails))))

    run_state_machine_as_test(Series, settings=settings(QUIET, max_examples=EXAMPLES or 50, stateful_step_count=12))

    assert crashes == []
    assert sum(times for (label, status), times in seen.items() if "{email_id}" in label and status == 200), seen
