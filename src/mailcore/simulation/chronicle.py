"""What happened in a simulation, as plain records to compute figures from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mailcore.breaker import State
from mailcore.health import Health
from mailcore.lifecycle import EmailId, Status
from mailcore.outcome import Verdict


class Try(NamedTuple):
    """One attempt.

    Attributes:
        at: When it started.
        ended: When the answer came.
        n: 1 for the e-mail's first.
        arrived: When the e-mail was accepted.
    """

    at: datetime
    ended: datetime
    email_id: EmailId
    n: int
    arrived: datetime
    provider: str
    verdict: Verdict


class Turn(NamedTuple):
    """A breaker opened or closed."""

    at: datetime
    provider: str
    state: State


class Fate(NamedTuple):
    """How an e-mail ended."""

    at: datetime
    email_id: EmailId
    arrived: datetime
    status: Status


class Sample(NamedTuple):
    """Which share of new mail the watched provider would get at a moment."""

    at: datetime
    share: float


@dataclass
class Chronicle:
    """Everything that happened, each list in order of time.

    Attributes:
        mails: E-mails that arrived or were parked.
        plans: How often `plan_attempt` was asked.
        saves: How often an e-mail was saved after it was accepted.
        health: What was known of the providers at the end.
    """

    mails: int = 0
    plans: int = 0
    saves: int = 0
    tries: list[Try] = field(default_factory=list[Try])
    turns: list[Turn] = field(default_factory=list[Turn])
    fates: list[Fate] = field(default_factory=list[Fate])
    samples: list[Sample] = field(default_factory=list[Sample])
    health: dict[str, Health] = field(default_factory=dict[str, Health])
