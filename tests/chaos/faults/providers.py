"""Providers that throttle, fail, hang, garble, forget us or refuse: rows V1 to V9."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.chaos.rig import PROVIDERS
from tests.chaos.trial import Trial

SHAPES = ("bad_json", "empty", "huge", "wrong_type", "missing_id")
OPEN_FOR = timedelta(seconds=120)
"""A breaker may stay open for so long after its provider works again: 99 s, then probes and a ramp."""
NOTICED_S = 0.25
"""After so long every process knows what one was told."""


async def throttle(at: Trial) -> None:
    """V1: 429 with a wish in seconds, as a date, as nonsense, negative and in an hour: none is asked before it."""
    at.limits["settling"] = OPEN_FOR
    for said, seconds in (("2", 2.0), ("in 5 s", 4.0), ("soon", 0.0), ("-1", 0.0), ("3600", 6.0)):
        wish = _in(5) if said == "in 5 s" else said
        await at.rig.town.break_down("sendgrid", {"kind": "status", "status": 429, "retry_after": wish})
        first = time.time()
        await at.wait(max(2.0, seconds))
        hits = [one for one in await at.hits("sendgrid") if one > first]
        early = [one - hits[0] for one in hits if hits[0] + NOTICED_S < one < hits[0] + seconds - 0.3]
        at.note(f"hits after Retry-After: {said}", len(hits))
        at.must(not early, f"asked {early} s after a 429 with Retry-After {wish}")
        await at.rig.town.break_down("sendgrid")
        await at.wait(3)


def _in(seconds: float) -> str:
    """Return an HTTP date so many seconds from now."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


async def fail(at: Trial, seconds: float = 40.0) -> None:
    """V2: one provider answers 503 to everything; its breaker opens, a few probes pass, it comes back."""
    at.limits["settling"] = OPEN_FOR
    await at.rig.town.break_down("sendgrid", {"kind": "status", "status": 503})
    await at.wait(seconds)
    await at.must_probe_little("sendgrid", within_s=seconds / 2)
    await at.rig.town.break_down("sendgrid")
    healed = time.time()
    while not [one for one in await at.hits("sendgrid") if one > healed] and time.time() - healed < 60:
        await at.wait(0.5)
    took = time.time() - healed
    at.note("asked again after it works, s", f"{took:.1f}")
    at.must(took <= 1.1 * 15 * 2 * 2 + 5, f"not asked again for {took:.1f} s")
    await at.wait(2)


async def fail_briefly(at: Trial) -> None:
    """V2 in short, for the monkey: one provider answers 503 for 8 s."""
    at.limits["settling"] = OPEN_FOR
    await at.rig.town.break_down("sendgrid", {"kind": "status", "status": 503})
    await at.wait(8)


async def brown_out(at: Trial, seconds: float = 60.0) -> None:
    """V3: 40 of 100 requests fail at one provider; mail moves to the other."""
    at.limits["settling"] = OPEN_FOR
    await at.rig.town.break_down("sendgrid", {"kind": "status", "status": 503}, probability=0.4)
    began = time.time()
    await at.wait(seconds)
    late = [one for one in await at.rig.town.requests() if _at(one) > began + seconds / 3]
    failed = sum(one["verdict"] != "accepted" for one in late) / max(1, len(late))
    at.note("attempts that failed in the last two thirds", f"{failed:.1%}")
    at.must(failed <= 0.1, f"{failed:.0%} of the attempts failed")


def _at(row: dict[str, Any]) -> float:
    """Return when a request came, in seconds since the epoch."""
    return datetime.fromisoformat(row["received_at"]).timestamp()


async def leave_open(at: Trial, actions: Sequence[dict[str, Any]]) -> None:
    """V4 to V6: what was asked is taken or not, and nobody can tell by the answer."""
    at.limits["settling"] = OPEN_FOR
    for action in actions:
        for provider in PROVIDERS:
            await at.rig.town.break_down(provider, action, probability=0.3)
        await at.wait(5)
        for provider in PROVIDERS:
            await at.rig.town.break_down(provider)
        await at.wait(1)


def hangs() -> Sequence[dict[str, Any]]:
    """Return a hang before and after the message was taken."""
    return ({"kind": "hang", "accept": False}, {"kind": "hang", "accept": True})


def resets() -> Sequence[dict[str, Any]]:
    """Return a reset before and after the message was taken."""
    return ({"kind": "reset", "accept": False}, {"kind": "reset", "accept": True})


def garbage() -> Sequence[dict[str, Any]]:
    """Return every way to spoil a success."""
    return tuple({"kind": "garbage", "shape": shape} for shape in SHAPES)


async def forget_us(at: Trial) -> None:
    """V7: 401 and 403 at one provider: no e-mail fails over it, and no round is used up."""
    at.limits["settling"] = OPEN_FOR
    for status in (401, 403):
        await at.rig.town.break_down("sendgrid", {"kind": "status", "status": status})
        await at.wait(8)
    shown = await at.shown(60)
    at.must(all(one["rounds"] == 0 for one in shown), "rounds were used up by an account that is set up wrongly")
    at.must(not [one for one in shown if one["status"] == "failed"], "e-mails failed over an account")


async def refuse_one(at: Trial) -> None:
    """V8: both providers refuse one message for what it is; it fails at once, and nobody else is touched."""
    refusal = {"kind": "status", "status": 400}
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider, refusal, match={"subject": "poison"})
    ids = [await at.submit_one(subject="poison") for _ in range(20)]
    await at.wait(5)
    ends = [await at.show(one) for one in ids]
    at.must({(one["status"], one["reason"]) for one in ends} == {("failed", "rejected")}, "a refusal is no end")
    at.must(set((await at.obstacles()).values()) == {None}, "a message that was refused opened a breaker")


async def all_out(at: Trial, seconds: float = 60.0) -> None:
    """V9: no provider works for a while; nothing fails, and all is sent within two minutes after."""
    at.limits["settling"] = OPEN_FOR
    for provider in PROVIDERS:
        await at.rig.town.break_down(provider, {"kind": "status", "status": 503})
    before = len(await at.rig.town.requests())
    await at.wait(seconds)
    asked = len(await at.rig.town.requests()) - before
    at.note("requests while no provider worked", asked)
    at.must(not (await at.listed("failed")), "e-mails failed because no provider worked")
