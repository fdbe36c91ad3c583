"""Clocks that are wrong or jump: rows C1 to C3. libfaketime tells whole processes another time of day."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.trial import Trial
from tests.e2e.town import post

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
HOW_TO_INSTALL = "libfaketime is not installed: apt-get install faketime"


def skewed(seconds: int) -> dict[str, str]:
    """Return the variables of a process whose time of day is so many seconds off; its monotonic clock is right."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{seconds:+d}", "DONT_FAKE_MONOTONIC": "1"}


def told_by(file: Path) -> dict[str, str]:
    """Return the variables of a process that reads from a file how far its time of day is off."""
    usual = {"LD_PRELOAD": str(LIBRARY), "DONT_FAKE_MONOTONIC": "1"}
    return {**usual, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def set_off(file: Path, seconds: int) -> None:
    """Say how far off the time of day is, to all who read this file."""
    file.write_text(f"{seconds:+d}\n")


async def wait_it_out(at: Trial) -> None:
    """C1: one worker is five minutes ahead, another behind; nothing is early, and no lease is taken too soon."""
    await at.wait(25)


async def jump(at: Trial, file: Path) -> None:
    """C2: the time of day of every process of ours jumps by an hour, forth and back."""
    for seconds in (3600, 0, -3600, 0):
        set_off(file, seconds)
        await at.wait(7)


async def strange_times(at: Trial) -> None:
    """C3: a wish that is far away or no date at all is refused; one that is past is for now."""
    await at.sent(await at.submit_one(scheduled_at="1970-01-01T00:00:00+00:00"))
    process = at.rig.named("api")[0]
    assert process.running is not None
    for wish, status in (
        ("2028-02-29T12:00:00Z", 400),
        ("2027-02-29T12:00:00Z", 400),
        ("9999-12-31T23:59:59Z", 400),
        ("2026-03-29T02:30:00", 400),
        ("99999-01-01T00:00:00Z", 400),
    ):
        said = await post(process.running, scheduled_at=wish)
        at.note(f"scheduled_at {wish}", said.status_code)
        at.must(said.status_code == status, f"scheduled_at {wish} was answered {said.status_code} {said.text[:120]}")
