"""What becomes of one request: the provider's verdict with a scripted fault laid over it. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from mailapps.emulator.faults import Action, Drip, Garbage, Hang, Pass, Rate, Reset, Rule, Shape, Status
from mailapps.emulator.wire import JSON, TEXT, Answer, Verdict, json_answer

HUGE_BYTES = 10_000_000


class Ruling(Struct, frozen=True, kw_only=True):
    """What is done with a request.

    Attributes:
        verdict: What the ledger calls it, whatever the sender hears: `accepted`, `checked` or `refused`.
        delivered: It goes to the inbox.
        answer: What the sender is told, if the action lets it hear anything.
        action: What is done to the connection.
        latency: Seconds before any of it.
        fault: The word for what was scripted; None for the provider's own behaviour.
    """

    verdict: str
    delivered: bool
    answer: Answer
    action: Action = Pass()
    latency: float = 0.0
    fault: str | None = None

    @property
    def status(self) -> int | None:
        """What the sender is told; None if the action keeps every answer from it."""
        return None if isinstance(self.action, Hang | Reset) else self.answer.status


def rule_on(verdict: Verdict, rule: Rule | None, refuse: Callable[[int], Answer]) -> Ruling:
    """Return what is done with a request.

    Args:
        verdict: What the provider says.
        rule: The scripted rule that it met, if any.
        refuse: The provider's own words for a status.
    """
    action = rule.action if rule else Pass()
    accepted = verdict.accepted and _lets_in(action)
    return Ruling(
        verdict=_called(verdict, rule, accepted=accepted),
        delivered=verdict.delivered and accepted,
        answer=_answer(verdict, action, refuse),
        action=action,
        latency=rule.latency if rule else 0.0,
        fault=_word(rule),
    )


def _called(verdict: Verdict, rule: Rule | None, *, accepted: bool) -> str:
    """Return the ledger's word; what a sandbox found right was neither taken nor refused."""
    if accepted:
        return "accepted"
    return "checked" if verdict.checked and (rule is None or isinstance(rule.action, Pass)) else "refused"


def _lets_in(action: Action) -> bool:
    """Tell whether the message is taken in spite of the action."""
    match action:
        case Status() | Rate():
            return False
        case Hang(accept=accept) | Reset(accept=accept):
            return accept
        case Drip() | Garbage() | Pass():
            return True


def _answer(verdict: Verdict, action: Action, refuse: Callable[[int], Answer]) -> Answer:
    """Return what the sender is told; for a hang or a reset nobody hears it."""
    match action:
        case Status():
            return _scripted(action, refuse(action.status))
        case Rate(retry_after=retry_after):
            return _with_retry_after(refuse(429), retry_after)
        case Garbage(shape=shape) if verdict.accepted:
            return _spoilt(verdict.answer, shape)
        case _:
            return verdict.answer


def _scripted(action: Status, usual: Answer) -> Answer:
    """Return the answer of a status rule: the script's body if it has one, else the provider's own words."""
    body = usual.body
    content_type = action.content_type or usual.content_type
    if isinstance(action.body, str):
        body, content_type = action.body.encode(), action.content_type or TEXT
    elif action.body is not None:
        body, content_type = msgspec.json.encode(action.body), action.content_type or JSON
    answer = Answer(status=action.status, body=body, content_type=content_type, headers=tuple(action.headers.items()))
    return _with_retry_after(answer, action.retry_after)


def _with_retry_after(answer: Answer, wish: float | str | None) -> Answer:
    """Return an answer with a Retry-After header, if one is wished."""
    added = () if wish is None else (("Retry-After", str(wish)),)
    return msgspec.structs.replace(answer, headers=answer.headers + added)


def _spoilt(answer: Answer, shape: Shape) -> Answer:
    """Return a success that says nothing of use; none of the shapes but a huge one keeps an id.

    It looks as the provider's own success does, which has a body (Mailgun's) or none (SendGrid's).
    """
    bare, speaks = Answer(status=answer.status), bool(answer.body)
    match shape:
        case Shape.BAD_JSON:
            return msgspec.structs.replace(bare, body=b'{"id": "<cut off in the mid' if speaks else b'{"errors":')
        case Shape.EMPTY:
            return bare
        case Shape.HUGE:
            return msgspec.structs.replace(answer, body=b'{"id": "' + b"x" * HUGE_BYTES + b'"}')
        case Shape.WRONG_TYPE:
            return json_answer(answer.status, ["Queued. Thank you."] if speaks else [])
        case Shape.MISSING_ID:
            return json_answer(answer.status, {"message": "Queued. Thank you."}) if speaks else bare


def _word(rule: Rule | None) -> str | None:
    """Return the word for a rule in the ledger, such as `status 503` or `reset after accept`."""
    if rule is None:
        return None
    match rule.action:
        case Status(status=status):
            return f"status {status}"
        case Hang(accept=True) | Reset(accept=True):
            return f"{rule.action.__struct_config__.tag} after accept"
        case Garbage(shape=shape):
            return f"garbage {shape}"
        case Pass():
            return "latency" if rule.latency else None
        case _:
            return str(rule.action.__struct_config__.tag)
