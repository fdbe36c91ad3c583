"""The emulator's state, and the one thing that happens in it: a call comes and gets its ruling.

No globals: a process may hold several worlds, as tests do. What happens is in one place and without an await,
so that requests are judged one after another and the ledger is in the order of the verdicts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from mailapps.emulator import mailgun, sendgrid
from mailapps.emulator.faults import Progress, Rule, decide
from mailapps.emulator.inbox import Inbox
from mailapps.emulator.ledger import DETAIL, RECIPIENTS, Ledger, Row
from mailapps.emulator.ruling import Ruling, rule_on
from mailapps.emulator.wire import Account, Answer, Call, Kind, Letter, Mailbox, Verdict

Clock = Callable[[], datetime]
Pause = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """Everything that the emulator knows.

    Attributes:
        now: The clock.
        pause: How it waits that many seconds.
        accounts: What a provider knows of us, by the provider's name; anything goes at one that is not in it.
        scripts: The faults of each provider, and how far they have come.
    """

    now: Clock
    pause: Pause = asyncio.sleep
    ledger: Ledger = field(default_factory=Ledger)
    inbox: Inbox = field(default_factory=Inbox)
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    scripts: dict[str, Progress] = field(default_factory=dict[str, Progress])

    def receive(self, call: Call, kind: Kind) -> Ruling:
        """Judge a call, lay its fault over it, write the ledger, and put what was taken into the inbox."""
        verdict = judge(call, kind, self.accounts.get(call.provider, Account()))
        rule = self._met(call, verdict.letter)
        ruling = rule_on(verdict, rule, words(kind))
        self.ledger.write(_row(call, verdict, ruling))
        if ruling.delivered and verdict.letter and verdict.message_id:
            self.inbox.put(verdict.letter, provider=call.provider, message_id=verdict.message_id, now=call.now)
        return ruling

    def _met(self, call: Call, letter: Letter | None) -> Rule | None:
        """Return the rule that a call meets; its provider's script, if there is one, goes on."""
        if call.provider not in self.scripts:
            return None
        self.scripts[call.provider], rule = decide(self.scripts[call.provider], letter, call.now)
        return rule


def judge(call: Call, kind: Kind, account: Account) -> Verdict:
    """Return what the real provider says to a call."""
    match kind:
        case Kind.SENDGRID:
            return sendgrid.judge(call, account)
        case Kind.MAILGUN:
            return mailgun.judge(call, account)


def words(kind: Kind) -> Callable[[int], Answer]:
    """Return what gives the real provider's words for a status."""
    match kind:
        case Kind.SENDGRID:
            return sendgrid.refuse
        case Kind.MAILGUN:
            return mailgun.refuse


def _row(call: Call, verdict: Verdict, ruling: Ruling) -> Row:
    """Return the ledger's row of a call."""
    letter = verdict.letter or Letter(from_=Mailbox(""))
    return Row(
        seq=call.seq,
        received_at=call.now,
        provider=call.provider,
        email_id=letter.email_id,
        key=letter.key,
        sender=letter.from_.email,
        recipients=letter.recipients[:RECIPIENTS],
        verdict=ruling.verdict,
        status=ruling.status,
        fault=ruling.fault,
        message_id=verdict.message_id if ruling.verdict == "accepted" else None,
        detail=_detail(ruling) if ruling.verdict == "refused" else "",
    )


def _detail(ruling: Ruling) -> str:
    """Return the beginning of what a refused request is told; nothing if it hears nothing."""
    return ruling.answer.body[:DETAIL].decode("utf-8", "replace") if ruling.status else ""
