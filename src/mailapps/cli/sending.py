"""The command send: one message from flags, or many from a file."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast

from cyclopts import Group, Parameter
from msgspec import to_builtins

from mailapps.cli.bulk import Tally, send_all
from mailapps.cli.client import Json, Service, said_of
from mailapps.cli.exits import Exit, UsageError, exit_of, plain
from mailapps.cli.letters import letters_of
from mailapps.cli.options import Reach
from mailapps.cli.printing import Column, console, print_json, progress, table_of

_MESSAGE = Group("The message")
_UNLIKE: Final = {"from_": "from", "tag": "tags"}
_FAILURES: Final = (Column("line"), Column("key", least=110), Column("what is wrong"))
Many = Annotated[tuple[str, ...], Parameter(negative="")]


@Parameter(name="*", group=_MESSAGE)
@dataclass(frozen=True, kw_only=True)
class Written:
    """A message as flags say it."""

    to: Many = ()
    """A recipient; may be given several times."""

    cc: Many = ()
    """Somebody who gets a copy."""

    bcc: Many = ()
    """Somebody who gets a copy that the others do not see."""

    from_: Annotated[str | None, Parameter(name="--from")] = None
    """The author, such as `Shop <no-reply@shop.example>`; by default the service's default_from."""

    reply_to: Many = ()
    """Where answers go."""

    subject: str | None = None
    """The subject."""

    text: str | None = None
    """The text; @FILE reads it from a file, @- from standard input."""

    html: str | None = None
    """The HTML, likewise."""

    attach: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """A file to attach."""

    header: Many = ()
    """A header Name:value."""

    metadata: Many = ()
    """A pair key:value that the provider hands back in its events."""

    tag: Many = ()
    """A word to group e-mails by."""

    lane: str | None = None
    """urgent, transactional (the default) or bulk."""

    scheduled_at: Annotated[str | None, Parameter(name=("--scheduled-at", "--at"))] = None
    """Not before this time, such as 2026-12-01T08:00:00Z."""

    expires_at: Annotated[str | None, Parameter(name=("--expires-at", "--expires"))] = None
    """Not after this time: it fails instead."""

    on_unknown: str | None = None
    """What to do when nobody knows whether a provider took it: retry (the default) or hold."""


def send(
    *,
    written: Written | None = None,
    from_file: Path | None = None,
    idempotency_key: str | None = None,
    wait: float = 0.0,
    reach: Reach | None = None,
) -> int:
    """Send one e-mail, or many from a file.

    A file is .jsonl (a message as the API takes it on each line) or .csv (a head line of field names; several
    recipients with semicolons between). Each line may bring its own `key`; without one the key is made of the
    file's name and the line's content. So the same command again sends only what was not accepted before.

    Args:
        from_file: A file of messages.
        idempotency_key: Your name for this e-mail: however often it is sent, one key makes one e-mail.
        wait: Wait so many seconds for it to be sent, and fail if it is not.
    """
    written, reach = written or Written(), reach or Reach()
    if from_file is None:
        return _send_one(written, idempotency_key, wait, reach)
    if written != Written() or idempotency_key or wait:
        raise UsageError("--from-file brings messages and keys of its own: leave the other options out")
    return _send_file(from_file, reach)


def _send_one(written: Written, key: str | None, wait: float, reach: Reach) -> int:
    """Submit one message, and wait for what becomes of it if asked to."""
    with Service(reach) as service:
        email = service.post("/api/emails", message_of(written), {"Idempotency-Key": key} if key else None)
        if wait:
            email = asyncio.run(_waited(service, email, wait))
    if reach.json:
        print_json(email)
    else:
        console().print(f"{email['id']}  {email['status']}")
    return Exit.FAILED if wait and email["status"] != "sent" else Exit.OK


async def _waited(service: Service, email: Json, wait: float) -> Json:
    """Return an e-mail once it is settled or held, or as it is after so many seconds."""
    ends_at = asyncio.get_running_loop().time() + wait
    while (
        email["status"] not in {"sent", "failed", "cancelled", "held"} and asyncio.get_running_loop().time() < ends_at
    ):
        await asyncio.sleep(0.1)
        email = service.get(f"/api/emails/{email['id']}")
    return email


def message_of(written: Written) -> Mapping[str, Any]:
    """Return a message as the API takes it; what was not given is left out.

    Raises:
        UsageError: A file cannot be read, or a pair has no colon.
    """
    given = {_UNLIKE.get(name, name): value for name, value in vars(written).items() if value}
    message: Json = {
        name: list(cast("Many", value)) if isinstance(value, tuple) else value for name, value in given.items()
    }
    for name in ("text", "html"):
        if name in message:
            message[name] = _read(message[name])
    for name, field in (("header", "headers"), ("metadata", "metadata")):
        if name in message:
            message[field] = _pairs(name, message.pop(name))
    if written.attach:
        message["attachments"] = [_attachment(path) for path in message.pop("attach")]
    return message


def _read(text: str) -> str:
    """Return a text, from where it stands."""
    if text == "@-":
        return sys.stdin.read()
    return _bytes(Path(text[1:])).decode("utf-8", "replace") if text.startswith("@") else text


def _bytes(path: Path) -> bytes:
    """Return a file's content."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    """Return pairs that were written with a colon."""
    if bare := [text for text in texts if ":" not in text]:
        raise UsageError(f"--{option}: expected name:value, got {bare[0][:40]}")
    return {name.strip(): value.strip() for name, _, value in (text.partition(":") for text in texts)}


def _attachment(path: Path) -> dict[str, str]:
    """Return a file as the API takes it."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {"filename": path.name, "content_type": kind, "content": base64.b64encode(_bytes(path)).decode()}


def _send_file(path: Path, reach: Reach) -> int:
    """Submit every message of a file, and say what came of them, however it ends."""
    total, tally = sum(1 for _ in letters_of(path)), Tally()
    if not total:
        raise UsageError(f"{path}: there is no message in it")
    try:
        with progress("sending", total) as step:
            asyncio.run(send_all(letters_of(path), reach, tally, step))
    except BaseException:
        if tally.done or tally.failures:
            _told(tally, reach)
        raise
    _told(tally, reach)
    return exit_of(tally.done, len(tally.failures))


def _told(tally: Tally, reach: Reach) -> None:
    """Say what came of a file: how many, and each line that failed with what is wrong with it."""
    failures = sorted(tally.failures, key=lambda one: one.line)
    if reach.json:
        ids = [{"line": line, "id": email_id} for line, email_id in sorted(tally.ids.items())]
        counts = {"accepted": tally.accepted, "repeated": tally.repeated, "failed": len(failures)}
        print_json({**counts, "data": ids, "errors": to_builtins(failures)})
        return
    out = console()
    out.print(f"{tally.accepted} accepted, {tally.repeated} were accepted before, {len(failures)} failed")
    if failures:
        rows = [(str(one.line), one.key, "\n".join(map(said_of, one.problems))) for one in failures]
        out.print(table_of(_FAILURES, [tuple(map(plain, row)) for row in rows], out.width))
