"""The commands of the suppression list, against a real service: what they print, and how they end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.apps.conftest import Mailcore, Service
from tests.apps.test_cli_bulk import answering, raw, refused

from mailapps.cli.app import run
from mailapps.cli.exits import Exit
from mailapps.cli.filling import Filled, fill
from mailapps.cli.lines import BadLine, Line
from mailapps.cli.options import Reach

MINE = "mine.example"


def exported(mailcore: Mailcore, domain: str) -> list[str]:
    """Return who is suppressed in a domain; the service is shared by all tests."""
    found = [json.loads(line)["address"] for line in mailcore("suppressions", "export")[1].splitlines()]
    return [one for one in found if one.endswith(f"@{domain}")]


def test_an_address_is_suppressed_shown_and_lifted(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The life of a suppression, by the command line alone."""
    monkeypatch.setenv("COLUMNS", "200")
    told = ("--reason", "complained", "--source", "the phone", "--until", "2999-01-01T00:00:00Z")
    added = mailcore("suppressions", "add", f"Ann@{MINE}", f"bob@{MINE}", *told)

    sent = mailcore("send", "--to", f"ann@{MINE}", "--subject", "a", "--text", "a", "--from", "a@shop.example")
    listed = mailcore("suppressions", "list", "--address", f"bob@{MINE}")
    one = json.loads(mailcore("suppressions", "list", "--address", f"ANN@{MINE}", "--json")[1])
    lifted = mailcore("suppressions", "remove", f"ann@{MINE}")
    again = mailcore("suppressions", "remove", f"ann@{MINE}")

    assert added == (Exit.OK, "2 suppressed\n", "")
    assert (sent[0], "suppressed since" in sent[2], "/to/0" in sent[2]) == (Exit.FAILED, True, True)
    rows = [line.split() for line in listed[1].splitlines()]
    assert rows[0][:3] == ["address", "reason", "until"]
    assert rows[1][:4] == [f"bob@{MINE}", "complained", "2999-01-01", "00:00:00"]
    assert [found["address"] for found in one["data"]] == [f"Ann@{MINE}"]
    assert lifted == (Exit.OK, f"Ann@{MINE}: may be written to again\n", "")
    assert (again[0], "nobody has suppressed it" in again[2]) == (Exit.FAILED, True)


def test_a_narrow_terminal_shows_addresses_whole(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are left out, and the address can be copied; a list that is not whole says how it goes on."""
    monkeypatch.setenv("COLUMNS", "40")
    mailcore("suppressions", "add", "!a@narrow.example", "!b@narrow.example")  # before all others

    first = mailcore("suppressions", "list", "--limit", "1")[1].splitlines()
    rest = mailcore("suppressions", "list", "--limit", "1", *first[-1].removeprefix("more: ").split())[1].splitlines()

    assert [line.split() for line in first[:2]] == [["address", "reason"], ["!a@narrow.example", "manual"]]
    assert rest[1].split() == ["!b@narrow.example", "manual"]


def test_an_empty_list_says_so(mailcore: Mailcore) -> None:
    """Nobody takes nothing for an error."""
    assert mailcore("suppressions", "list", "--address", "nobody@a.example")[:2] == (Exit.OK, "none\n")


def test_what_was_exported_can_be_given_back(mailcore: Mailcore, tmp_path: Path) -> None:
    """The file that `export` writes is one that `add` reads; its owner alone may read it."""
    mailcore("suppressions", "add", "a/b@back.example", "b\u00fccher@back.example", "--reason", "bounced")
    before = mailcore("suppressions", "export")[1]
    written = mailcore("suppressions", "export", "--to", "list.jsonl")
    for one in ("a/b@back.example", "B\u00dcCHER@back.example"):
        assert mailcore("suppressions", "remove", one)[0] == Exit.OK
    between = exported(mailcore, "back.example")

    given = mailcore("suppressions", "add", "--from-file", "list.jsonl")

    path = tmp_path / "list.jsonl"
    assert (written, between) == ((Exit.OK, "", ""), [])
    assert path.read_text(encoding="utf-8") == before == mailcore("suppressions", "export")[1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert given == (Exit.OK, f"{before.count(chr(10))} suppressed, 0 lines failed\n", "")
    assert [one.name for one in tmp_path.iterdir()] == ["list.jsonl"]


def test_wrong_lines_are_named_and_stop_nobody(mailcore: Mailcore, tmp_path: Path) -> None:
    """Each is told with its number and what is wrong, in every part; the options hold where a line says nothing."""
    lines = [f"{n}@many.example,," for n in range(1_100)]
    lines[7], lines[600], lines[1_099] = "nobody,,", "x@many.example,spam,", "y@many.example"
    lines[8] = "eve@many.example,bounced,"
    (tmp_path / "a.csv").write_text("\n".join(["address,reason,expires_at", *lines]))

    code, out, err = mailcore("suppressions", "add", "--from-file", "a.csv", "--reason", "unsubscribed")

    told = [line.split(maxsplit=1) for line in out.splitlines()]
    assert (code, told[0], err) == (Exit.PARTLY, ["1097", "suppressed, 3 lines failed"], "")
    assert [(line, said.partition(":")[0].strip()) for line, said in told[2:] if line.isdecimal()] == [
        ("9", "/address"),
        ("602", "/reason"),
        ("1101", "has 1 cells, the head has 3"),
    ]
    found = [
        json.loads(mailcore("suppressions", "list", "--address", f"{name}@many.example", "--json")[1])["data"][0][
            "reason"
        ]
        for name in ("0", "eve")
    ]
    assert found == ["unsubscribed", "bounced"]


def test_a_file_of_nothing_but_wrong_lines_fails(mailcore: Mailcore, tmp_path: Path) -> None:
    """By its exit code and in JSON."""
    (tmp_path / "a.jsonl").write_text('{"address": 5}\n{"adress": "x"}\nnothing\n')

    code, out, _ = mailcore("suppressions", "add", "--from-file", "a.jsonl", "--json")

    told = json.loads(out)
    assert (code, told["kept"], told["failed"]) == (Exit.FAILED, 0, 3)
    assert [(one["line"], [(p["pointer"], p["code"]) for p in one["problems"]]) for one in told["errors"]] == [
        (1, [("/address", "wrong_type")]),
        (2, [("/address", "required"), ("/adress", "unknown_field")]),
        (3, [("", "unreadable")]),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name addresses, or give them by --from-file"),
        (("ann@a.example", "--from-file", "a.csv"), "name addresses, or give them by --from-file"),
        (("--from-file", "none.csv"), "No such file"),
        (("--from-file", "wrong.csv"), "no such column: email; there are: address, expires_at, reason, source"),
        (("--from-file", "empty.csv"), "there is no address in it"),
        (("--from-file", "a.txt"), "expected a file .jsonl"),
        (("ann@a.example", "--reason", "spam"), "--reason"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_usage(
    mailcore: Mailcore, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """It is told, and nobody is suppressed."""
    (tmp_path / "wrong.csv").write_text("email\nann@a.example\n")
    (tmp_path / "empty.csv").write_text("address\n")

    code, out, err = mailcore("suppressions", "add", *arguments)

    assert (code, out, said in err) == (Exit.USAGE, "", True), err


def test_of_named_addresses_all_are_suppressed_or_none(mailcore: Mailcore) -> None:
    """The one that is wrong is named."""
    code, out, err = mailcore("suppressions", "add", "ann@none.example", "bob")

    assert (code, out, err.startswith("mailcore: /suppressions/1/address: ")) == (Exit.FAILED, "", True)
    assert exported(mailcore, "none.example") == []


def test_no_address_is_in_the_log_of_the_service(mailcore: Mailcore, service: Service) -> None:
    """Neither of what was added, looked for or lifted (I40); that somebody did is."""
    mailcore("suppressions", "add", "canary@canary.example")
    mailcore("suppressions", "list", "--address", "canary@canary.example")
    mailcore("suppressions", "remove", "canary@canary.example")

    assert "canary" not in service.log + service.said
    assert "admin suppressed 1 addresses of tenant default" in service.log


def test_an_export_to_nowhere_leaves_nothing(mailcore: Mailcore, tmp_path: Path) -> None:
    """A folder that is not there is told."""
    code, out, err = mailcore("suppressions", "export", "--to", "none/list.jsonl")

    assert (code, out, "none/list.jsonl: No such file or directory" in err) == (Exit.USAGE, "", True)
    assert list(tmp_path.iterdir()) == []


async def exported_from(answer: bytes, folder: Path) -> tuple[int, dict[str, str]]:
    """Export over an old file from a service that gives this answer; return how it ended, and what is there."""
    path = folder / "list.jsonl"
    path.write_text("old")
    async with answering(iter([answer])) as url:
        done = await asyncio.to_thread(run, ["suppressions", "export", "--to", str(path), "--url", url])
    return done, contents(folder)


def contents(folder: Path) -> dict[str, str]:
    """Return what is in the files of a folder, by name."""
    return {one.name: one.read_text() for one in folder.iterdir()}


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'17\r\n{"address":"a@b.test"}\n\r\n'
)
WHOLE = CHUNKED + b"0\r\n\r\n"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (CHUNKED, Exit.FAILED, "broke off"),
        (b"", Exit.UNREACHABLE, "no mailcore answers"),
        (PAGE, Exit.FAILED, "but not as mailcore does"),
        (raw(502), Exit.FAILED, "but not as mailcore does"),
        (refused(500, "store_unavailable"), Exit.FAILED, "mailcore: d"),
    ],
    ids=["broken off", "gone", "another page", "proxy", "refused"],
)
async def test_an_export_that_is_not_whole_is_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], answer: bytes, code: int, said: str
) -> None:
    """The old file stays, nothing else is left, and it is told."""
    done, files = await exported_from(answer, tmp_path)

    assert (done, said in capfd.readouterr().err) == (code, True)
    assert files == {"list.jsonl": "old"}


async def test_an_export_that_is_whole_replaces_the_old_file(tmp_path: Path) -> None:
    """The bytes are the service's."""
    assert await exported_from(WHOLE, tmp_path) == (Exit.OK, {"list.jsonl": '{"address":"a@b.test"}\n'})


KEPT = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"kept":1}'


async def filled(*answers: bytes) -> tuple[Filled, list[float]]:
    """Suppress one address at a service that gives these answers; return what came of it, and the waits."""
    told, waits = Filled(), list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    lines = iter([Line(1, {"address": "a@b.example"}), BadLine(2, "is no object")])
    async with answering(iter(answers)) as url:
        await fill(lines, {}, Reach(url=url, key="k" * 30), told, lambda: None, sleep)
    return told, waits


@pytest.mark.parametrize("busy", [raw(502), refused(500, "store_unavailable"), b""], ids=["proxy", "store", "lost"])
async def test_a_service_that_is_busy_is_asked_again(busy: bytes) -> None:
    """A suppression may be said twice, so that whatever was lost is repeated."""
    told, waits = await filled(busy, KEPT)

    assert (told.kept, [one.line for one in told.wrong], len(waits)) == (1, [2], 1)
