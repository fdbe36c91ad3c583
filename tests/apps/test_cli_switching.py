"""The commands that stop and erase, against a real service: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.apps.conftest import Mailcore

from mailapps.cli.exits import Exit

HI = ("--from", "shop@shop.example", "--subject", "Hi", "--text", "Hello")
STOPPED = "sendgrid-emulator"
LATER = "not settled yet; erase again later, or with --cancel-unfinished"


@pytest.fixture(autouse=True)
def switched_back(mailcore: Mailcore) -> Iterator[None]:
    """Take back all that a test has switched."""
    yield
    mailcore("resume", "bulk")
    mailcore("provider-mode", STOPPED, "auto")


def accepted(mailcore: Mailcore, to: str, *more: str) -> str:
    """Submit an e-mail and return its id."""
    code, out, err = mailcore("send", "--to", to, *HI, "--json", *more)
    assert code == Exit.OK, err
    return str(json.loads(out)["id"])


def status(mailcore: Mailcore, email_id: str) -> str:
    """Return an e-mail's status."""
    return str(json.loads(mailcore("show", email_id, "--json")[1])["status"])


def test_a_stop_is_said_once_and_shown_to_everybody(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the providers or the switches sees what was stopped, by whom, why and until when."""
    monkeypatch.setenv("COLUMNS", "200")
    until = "2099-01-01T00:00:00Z"

    told = mailcore("provider-mode", STOPPED, "stopped", "--reason", "they bounce", "--until", until, "--by", "ann")

    line = f"{STOPPED}: stopped until 2099-01-01 00:00:00 by ann: they bounce"
    assert told[:2] == (Exit.OK, f"provider {line}\n")
    assert line in " ".join(mailcore("providers")[1].split())
    row = next(one for one in mailcore("switches")[1].splitlines() if STOPPED in one)
    assert row.split()[:5] == ["provider", STOPPED, "stopped", "yes", "ann"]
    assert json.loads(mailcore("switches", "--json")[1])["data"][-1]["by"] == "ann"


def test_a_lane_is_paused_and_resumed(mailcore: Mailcore) -> None:
    """What is said without a name is said by the command line; the other lanes go on."""
    paused = mailcore("pause", "bulk", "--reason", "wrong prices")
    waiting = accepted(mailcore, "ann@example.com", "--lane", "bulk")
    other = mailcore("send", "--to", "ann@example.com", *HI, "--wait", "20")
    before = status(mailcore, waiting)

    resumed = mailcore("resume", "bulk")

    assert paused[:2] == (Exit.OK, "lane bulk: paused by cli: wrong prices\n")
    assert resumed[:2] == (Exit.OK, "lane bulk: auto by cli\n")
    assert (other[0], before) == (Exit.OK, "queued")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("provider-mode", "nobody", "stopped"), Exit.FAILED, "no provider of this name is configured"),
        (("provider-mode", STOPPED, "off"), Exit.USAGE, "off"),
        (("pause", "express"), Exit.USAGE, "express"),
        (("pause", "bulk", "--until", "2001-01-01T00:00:00Z"), Exit.FAILED, "/until: must be ahead"),
        (("erase", "nobody"), Exit.FAILED, "/recipient"),
        (("cancel",), Exit.USAGE, "or give a filter"),
        (("cancel", "em_1", "--dry-run"), Exit.USAGE, "not both"),
        (("cancel", "em_1", "--tag", "x"), Exit.USAGE, "not both"),
        (("redrive", "em_1", "--dry-run"), Exit.USAGE, "not both"),
    ],
)
def test_what_cannot_be_meant_is_said_so(mailcore: Mailcore, arguments: tuple[str, ...], code: Exit, said: str) -> None:
    """A stop or an erasure that did not happen must not look as if it had."""
    ended, out, err = mailcore(*arguments)

    assert ended == code
    assert said in out + err


def test_many_are_withdrawn_by_a_filter(mailcore: Mailcore) -> None:
    """Counted first, then done; those that are named are done one by one."""
    mailcore("pause", "bulk")
    for _ in range(2):
        accepted(mailcore, "ann@example.com", "--tag", "news", "--lane", "bulk")

    counted = mailcore("cancel", "--tag", "news", "--dry-run")
    none = mailcore("cancel", "--tag", "news", "--status", "held")
    done = mailcore("cancel", "--tag", "news")
    again = mailcore("cancel", "--tag", "news", "--json")

    assert counted[:2] == (Exit.OK, "would be withdrawn: 2; of them possibly sent before: 0\n")
    assert none[1].startswith("withdrawn: 0 of 0")
    assert done[1] == "withdrawn: 2 of 2; being sent, and marked: 0; of them possibly sent before: 0\n"
    assert json.loads(again[1])["matched"] == 0


def test_a_person_is_erased(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was settled goes; what is on its way is listed, and goes with the flag."""
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = mailcore("send", "--to", "eve@example.com", *HI, "--wait", "20", "--json")
    sent = json.loads(out)["id"]
    mailcore("pause", "bulk")
    waiting = accepted(mailcore, "eve@example.com", "--lane", "bulk")

    found = mailcore("erase", "eve@example.com", "--dry-run")
    some = mailcore("erase", "eve@example.com")
    rest = mailcore("erase", "eve@example.com", "--cancel-unfinished", "--json")

    assert code == Exit.OK
    assert found[:2] == (Exit.OK, f"found: 2; still on their way: 1\n{waiting}: {LATER}\n")
    assert some[:2] == (Exit.FAILED, f"erased: 1 of 2; still on their way: 1\n{waiting}: {LATER}\n")
    assert rest[0] == Exit.OK
    assert json.loads(rest[1]) == {"matched": 1, "erased": 1, "unfinished": [], "errors": []}
    assert json.loads(mailcore("show", sent, "--json")[1])["recipients"] == []
