"""The command line against a real service: what it prints, and how it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace
from tests.apps.conftest import KEY, MAILCORE, Mailcore, Service, free_port, plain_environ

from mailadapters.providers.http import connector
from mailadapters.providers.sendgrid import PROVIDER as SENDGRID
from mailadapters.system import new_clock
from mailapps.cli.app import COMMANDS, registry, run
from mailapps.cli.banner import banner
from mailapps.cli.checking import missing_key
from mailapps.cli.exits import Exit
from mailapps.cli.sending import message_of
from mailapps.roles import Started
from mailapps.settings import Settings
from mailapps.tuning import Role
from mailcore.secret import Secret

NAMES = [name for commands in COMMANDS.values() for name in commands]
HI = ("--from", "shop@shop.example", "--subject", "Hi", "--text", "Hello")


def sent(mailcore: Mailcore, *more: str) -> str:
    """Send an e-mail and return its id once it is sent."""
    code, out, err = mailcore("send", "--to", "ann@example.com", *HI, "--wait", "20", "--json", *more)
    assert code == Exit.OK, err
    return str(json.loads(out)["id"])


def in_shell(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [str(MAILCORE), *arguments]
    env = plain_environ(**environ)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_banner_shows_where_everything_is_and_what_to_try(service: Service) -> None:
    """A newcomer sees the API, the documentation, the inbox and a curl to copy."""
    wanted = [
        service.url,
        f"{service.url}/docs",
        f"{service.emulator}/",
        "sendgrid-emulator",
        "mailgun-emulator",
        "curl",
    ]

    assert [text for text in wanted if text not in service.said] == []
    assert KEY not in service.said


def test_an_email_from_flags_is_sent_and_its_timeline_says_why(mailcore: Mailcore) -> None:
    """`send` and `show` tell the story from submission to the provider's answer, with the reason of the choice."""
    email_id = sent(mailcore, "--tag", "greeting")

    code, out, _ = mailcore("show", email_id)

    assert code == Exit.OK
    assert out.startswith(f"{email_id}  sent")
    assert "attempt 1 at " in out
    assert "-emulator: accepted in " in out
    assert ": score " in out
    assert "(preferred_band)" in out


def test_one_key_is_one_email(mailcore: Mailcore) -> None:
    """`send --idempotency-key` twice makes one e-mail."""
    first, second = (sent(mailcore, "--idempotency-key", "welcome-7") for _ in range(2))

    assert first == second


def test_a_message_from_files(mailcore: Mailcore, service: Service, tmp_path: Path) -> None:
    """@FILE reads a body, --attach adds a file, and pairs go where they belong."""
    (tmp_path / "body.html").write_text("<p>Grüße</p>")
    (tmp_path / "note.txt").write_text("Hi")
    flags = ("--html", "@body.html", "--attach", "note.txt", "--header", "X-Order: 42", "--metadata", "order:42")

    email_id = sent(mailcore, *flags)

    code, out, _ = mailcore("list", "--metadata", "order:42", "--json")
    assert code == Exit.OK
    assert [one["id"] for one in json.loads(out)["data"]] == [email_id]


def test_a_wrong_message_is_refused_with_every_problem(mailcore: Mailcore) -> None:
    """The service's pointers reach the person who typed."""
    code, _, err = mailcore("send", "--to", "nobody", "--from", "shop@shop.example")

    assert code == Exit.FAILED
    assert [line.split(":")[0].strip() for line in err.splitlines()] == ["mailcore", "/subject", "/text"]
    assert "/to" in err


def test_the_list_filters_pages_and_fits_narrow_terminals(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables drop columns before they break; ids are never broken."""
    ids = [sent(mailcore, "--tag", "paged") for _ in range(3)]

    monkeypatch.setenv("COLUMNS", "120")
    _, wide, _ = mailcore("list", "--tag", "paged", "--limit", "2", "--status", "sent")
    monkeypatch.setenv("COLUMNS", "44")
    _, narrow, _ = mailcore("list", "--tag", "paged")

    assert "more: --after " in wide
    after = wide.rpartition("--after ")[2].strip()
    assert ids[0] in mailcore("list", "--tag", "paged", "--after", after, "--limit", "2")[1]
    assert wide.splitlines()[0].split() == ["id", "status", "reason", "created", "to", "provider", "tries"]
    assert narrow.splitlines()[0].split() == ["id", "status"]
    assert all(email_id in narrow for email_id in ids)
    assert max(map(len, narrow.splitlines())) <= 44


def test_an_empty_list_says_so(mailcore: Mailcore) -> None:
    """Nothing found is an answer, not an error."""
    assert mailcore("list", "--tag", "nobody-has-this") == (Exit.OK, "none\n", "")
    assert mailcore("dead-letters", "--tag", "nobody-has-this") == (Exit.OK, "none\n", "")


def test_providers_show_how_they_stand(mailcore: Mailcore) -> None:
    """A line for every configured provider, in configured order."""
    code, out, _ = mailcore("providers")
    _, machine, _ = mailcore("providers", "--json")

    assert code == Exit.OK
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["sendgrid-emulator", "yes"],
        ["mailgun-emulator", "yes"],
    ]
    assert [one["name"] for one in json.loads(machine)["data"]] == ["sendgrid-emulator", "mailgun-emulator"]


def test_a_scheduled_email_can_be_withdrawn(mailcore: Mailcore) -> None:
    """`cancel` says what became of each, and fails if one could not be."""
    later = (new_clock().now() + timedelta(days=30)).isoformat()
    _, out, _ = mailcore("send", "--to", "ann@example.com", *HI, "--scheduled-at", later, "--json")
    email_id = json.loads(out)["id"]

    code, said, _ = mailcore("cancel", email_id, "em_unknown")

    assert code == Exit.PARTLY
    assert f"{email_id}: cancelled" in said
    assert "em_unknown: no e-mail" in said


def break_down(service: Service, *rules: object) -> None:
    """Script the faults of both providers; without any they work again."""
    with httpx.Client(base_url=service.emulator, trust_env=False) as client:
        for kind in ("sendgrid", "mailgun"):
            assert client.put(f"/emulator/faults/{kind}", json={"rules": rules}).status_code == 200


def test_a_dead_letter_is_listed_counted_and_queued_again(mailcore: Mailcore, service: Service) -> None:
    """`send --wait` fails with it; `dead-letters` lists it, and `redrive` counts first and then queues it again."""
    break_down(service, {"action": {"kind": "status", "status": 400}, "match": {"subject": "Poison"}})
    poison = ("--to", "ann@example.com", "--from", "shop@shop.example", "--subject", "Poison", "--text", "x")
    failed, out, _ = mailcore("send", *poison, "--tag", "dead", "--wait", "20")
    email_id = out.split()[0]

    _, listed, _ = mailcore("dead-letters", "--tag", "dead")
    _, counted, _ = mailcore("redrive", "--tag", "dead", "--dry-run")
    break_down(service)
    code, queued, _ = mailcore("redrive", "--tag", "dead")
    again, refused, _ = mailcore("redrive", email_id)

    assert (failed, code, again) == (Exit.FAILED, Exit.OK, Exit.FAILED)
    assert email_id in listed
    assert counted.startswith("would be queued again: 1;")
    assert queued.startswith("queued again: 1 of 1;")
    assert refused.startswith(f"{email_id}: ")


def test_all_dead_letters_are_queued_again_only_if_asked_for(mailcore: Mailcore, service: Service) -> None:
    """`redrive` alone is refused, `redrive --all` queues every one, and says kindly when there is none."""
    break_down(service, {"action": {"kind": "status", "status": 400}, "match": {"subject": "Poison"}})
    poison = ("--to", "ann@example.com", "--from", "shop@shop.example", "--subject", "Poison", "--text", "x")
    mailcore("send", *poison, "--wait", "20")
    break_down(service)

    alone, _, why = mailcore("redrive")
    counted = mailcore("redrive", "--dry-run")
    queued = mailcore("redrive", "--all")
    none = mailcore("redrive", "--all", "--tag", "nobody-has-this")

    assert (alone, "say --all" in why) == (Exit.USAGE, True)
    assert (counted[0], queued[0]) == (Exit.OK, Exit.OK)
    assert counted[1].startswith("would be queued again: ")
    assert queued[1].startswith("queued again: ")
    assert none == (Exit.OK, "nothing to queue again: there is no such dead letter\n", "")


def test_a_held_email_is_settled_by_a_person(mailcore: Mailcore, service: Service) -> None:
    """`show` warns of what may have been sent; `resolve --as` settles it with a note in its story."""
    break_down(service, {"action": {"kind": "reset", "accept": True}, "match": {"subject": "Perhaps"}})
    perhaps = ("--to", "ann@example.com", "--from", "shop@shop.example", "--subject", "Perhaps", "--text", "x")
    code, out, _ = mailcore("send", *perhaps, "--on-unknown", "hold", "--wait", "20")
    email_id = out.split()[0]

    _, held, _ = mailcore("show", email_id)
    resolved, said, _ = mailcore("resolve", email_id, "--as", "sent", "--note", "seen in their log")
    _, settled, _ = mailcore("show", email_id)
    break_down(service)

    assert (code, out.split()[1]) == (Exit.FAILED, "held")
    assert "may have been sent already" in held
    assert (resolved, said) == (Exit.OK, f"{email_id}: sent\n")
    assert "settled by a person: seen in their log" in settled


LINES = """{"to": "one@example.com", "from": "shop@shop.example", "subject": "Hi", "text": "Hello", "tags": ["%(tag)s"]}
no JSON
{"to": "nobody", "from": "shop@shop.example", "subject": "Hi", "text": "Hello"}

{"to": "two@example.com", "from": "a@shop.example", "subject": "Hi", "text": "x", "tags": ["%(tag)s"], "key": "%(tag)s"}
"""


def test_a_file_is_sent_line_by_line_and_again_without_harm(mailcore: Mailcore, tmp_path: Path) -> None:
    """Wrong lines are named and do not stop the others; the same command again sends nothing twice."""
    (tmp_path / "two.jsonl").write_text(LINES % {"tag": "bulk-1"})

    first = mailcore("send", "--from-file", "two.jsonl")
    second = mailcore("send", "--from-file", "two.jsonl", "--json")

    assert (first[0], first[2]) == (Exit.PARTLY, "")
    assert first[1].startswith("2 accepted, 0 were accepted before, 2 failed\n")
    told = json.loads(second[1])
    assert (second[0], told["accepted"], told["repeated"], told["failed"]) == (Exit.PARTLY, 0, 2, 2)
    assert [one["line"] for one in told["data"]] == [1, 5]
    assert len(json.loads(mailcore("list", "--tag", "bulk-1", "--json")[1])["data"]) == 2


def test_every_line_that_failed_is_told_with_everything_that_is_wrong(
    mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """People read a table, machines read the line, its key and the API's own problems; both know where to mend."""
    (tmp_path / "bad.jsonl").write_text(
        'no JSON\n{"key": "k-2", "to": "nobody", "subject": 5, "text": "Hi", "from": "a@b.example"}\n'
    )

    monkeypatch.setenv("COLUMNS", "60")
    code, narrow, _ = mailcore("send", "--from-file", "bad.jsonl")
    monkeypatch.setenv("COLUMNS", "160")
    _, wide, _ = mailcore("send", "--from-file", "bad.jsonl")
    again, out, err = mailcore("send", "--from-file", "bad.jsonl", "--json")

    assert (code, again, err) == (Exit.FAILED, Exit.FAILED, "")
    assert max(map(len, narrow.splitlines())) <= 60
    assert [line.split() for line in narrow.splitlines()[1:2]] == [["line", "what", "is", "wrong"]]
    assert "k-2" in wide
    assert "/subject: " in narrow
    unread, refused = json.loads(out)["errors"]
    assert (unread["line"], unread["key"], unread["problems"][0]["code"]) == (1, "", "unreadable")
    assert (refused["line"], refused["key"]) == (2, "k-2")
    assert [(one["pointer"], one["code"]) for one in refused["problems"]] == [
        ("/to", "invalid_address"),
        ("/subject", "wrong_type"),
    ]


def test_a_service_that_goes_away_is_told_with_what_was_accepted(
    mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever sends a file again knows how far it came."""
    (tmp_path / "some.jsonl").write_text("no JSON\n" + LINES % {"tag": "bulk-4"})
    monkeypatch.setattr("mailapps.cli.patience.PAUSE_S", 0.0)

    code, out, err = mailcore("send", "--from-file", "some.jsonl", "--url", f"http://127.0.0.1:{free_port()}")

    assert code == Exit.UNREACHABLE
    assert out.startswith("0 accepted, 0 were accepted before, ")
    assert "no mailcore answers at" in err


def test_the_short_names_of_times_are_the_long_ones() -> None:
    """A flag has the name of the field that it sets; those of the first release stay."""
    for flags in (("--scheduled-at", "--expires-at"), ("--at", "--expires")):
        command, bound, _ = registry().parse_args(["send", flags[0], "one", flags[1], "two"], exit_on_error=False)
        written = bound.arguments["written"]

        assert command.__name__ == "send"
        assert message_of(written) == {"scheduled_at": "one", "expires_at": "two"}


def test_a_file_without_a_wrong_line_ends_well(mailcore: Mailcore, tmp_path: Path) -> None:
    """A CSV of fifty recipients, a few at once, without a terminal."""
    head = "to,from,subject,text,tags\n"
    rows = (f"n{number}@example.com,shop@shop.example,Hi,Hello,bulk-2;news\n" for number in range(50))
    (tmp_path / "fifty.csv").write_text(head + "".join(rows))

    done = mailcore("send", "--from-file", "fifty.csv")

    assert done == (Exit.OK, "50 accepted, 0 were accepted before, 0 failed\n", "")


def test_a_terminal_sees_how_far_a_file_is(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bar on standard error moves with each line; what is printed for a script stays as it is."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    (tmp_path / "two.jsonl").write_text(LINES % {"tag": "bulk-5"})

    _, _, err = mailcore("send", "--from-file", "two.jsonl")

    assert "0/4" in err
    assert "4/4" in err


@pytest.mark.parametrize(
    ("name", "content"), [("none.jsonl", ""), ("none.jsonl", "\n \n"), ("none.csv", "to,subject\n")]
)
def test_a_file_without_a_message_is_a_mistake(mailcore: Mailcore, tmp_path: Path, name: str, content: str) -> None:
    """A script whose export came out empty is not told that all is well."""
    (tmp_path / name).write_text(content)

    done = mailcore("send", "--from-file", name)

    assert done == (Exit.USAGE, "", f"mailcore: {name}: there is no message in it\n")


def test_a_key_that_is_wrong_ends_a_file_at_once(mailcore: Mailcore, tmp_path: Path) -> None:
    """A thousand lines are not tried with a key that the service does not know."""
    (tmp_path / "two.jsonl").write_text(LINES % {"tag": "bulk-3"})

    code, out, err = mailcore("send", "--from-file", "two.jsonl", "--key", "wrong")

    assert code == Exit.FAILED
    assert out.startswith("0 accepted, 0 were accepted before, ")
    assert "mailcore: the service asks for its key: set MAILCORE_ADMIN_KEY, or give --key" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("show", "em_x"),
        ("providers",),
        ("send", "--to", "a@b.example", *HI),
        ("cancel", "em_x"),
        ("redrive", "--all"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_service_that_is_not_there_is_one_clear_line(mailcore: Mailcore, arguments: tuple[str, ...]) -> None:
    """Exit code 3, what was tried, and what to do."""
    url = f"http://127.0.0.1:{free_port()}"

    code, out, err = mailcore(*arguments, "--url", url)

    assert (code, out, len(err.splitlines())) == (Exit.UNREACHABLE, "", 1)
    assert err.startswith(f"mailcore: no mailcore answers at {url} (ConnectError): start it by `mailcore up`")


def test_an_answer_that_is_not_mailcores_is_said_to_be(mailcore: Mailcore, service: Service) -> None:
    """A wrong --url is told from a missing e-mail."""
    code, _, err = mailcore("list", "--url", service.emulator)

    assert code == Exit.FAILED
    assert err == "mailcore: 127.0.0.1 answered 404, but not as mailcore does\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lsit",), "Unknown command"),
        (("list", "--limit", "500"), "Must be <= 100"),
        (("list", "--nope"), "Unknown option"),
        (("show",), "ID"),
        (("resolve", "em_x", "--as", "lost"), "sent"),
        (("cancel",), "or give a filter such as --tag"),
        (("redrive",), "or say --all"),
        (("list", "--url", "nonsense"), "--url: expected a URL"),
        (("list", "--key", "\n"), "--key: a secret is printable ASCII"),
        (("list", "--metadata", "x", "--config", "nowhere.toml"), "--metadata: expected key:value"),
        (("send", "--header", "X-Order"), "--header: expected name:value"),
        (("send", "--text", "@nowhere"), "nowhere: No such file or directory"),
        (("send", "--attach", "nowhere"), "nowhere: No such file or directory"),
        (("send", "--from-file", "nowhere.csv"), "nowhere.csv: No such file or directory"),
        (("send", "--from-file", "list.txt"), "expected a file .jsonl"),
        (("send", "--from-file", "a.csv", "--to", "x@example.com"), "leave the other options out"),
        (("up", "--config", "nowhere.toml"), "nowhere.toml: No such file or directory"),
        (("check", "--config", "nowhere.toml"), "nowhere.toml: No such file or directory"),
        (("simulate", "--scenario", "doomsday"), "no such scenario; there are: brown-out 20/s"),
        (("simulate", "--strategy", "luck"), "no such strategy; there are: preferred_band"),
        (("emulator", "--bind", "nowhere"), "--bind: expected host:port"),
    ],
)
def test_a_mistake_is_explained_without_a_traceback(mailcore: Mailcore, arguments: tuple[str, ...], said: str) -> None:
    """Whatever is typed, the answer is in words and the exit code is not 0."""
    code, out, err = mailcore(*arguments)

    assert code in {Exit.USAGE, Exit.FAILED}
    assert said in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in out + err


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(mailcore: Mailcore, name: str) -> None:
    """`mailcore X --help` has a usage line, what the command is for, and what the exit codes mean."""
    code, out, err = mailcore(name, "--help")

    assert (code, err) == (Exit.OK, "")
    assert f"Usage: mailcore {name}" in out
    assert "Exit codes: 0 done" in out


def test_check_reaches_what_the_settings_name(
    mailcore: Mailcore, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line each for settings, store, queue and every provider, with what its key is good for."""
    monkeypatch.setenv("MAILCORE_EMULATOR__BIND", service.emulator.removeprefix("http://"))

    code, out, _ = mailcore("check")

    assert code == Exit.OK
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["settings", "ok"],
        ["store", "ok"],
        ["queue", "ok"],
    ]
    assert out.count("its key works") == 2


@pytest.mark.parametrize(
    ("kind", "more", "told"),
    [
        ("sendgrid", {}, "its key is refused: 401 The provided authorization grant is invalid"),
        ("mailgun", {"domain": "mg.shop.example"}, "its key is refused: 401 Forbidden"),
        ("mailgun", {"domain": "gone.example", "api_key": "known"}, "its key is refused: 404 Domain not found"),
    ],
)
def test_check_fails_if_a_key_is_refused(
    mailcore: Mailcore, service: Service, tmp_path: Path, kind: str, more: dict[str, str], told: str
) -> None:
    """The report has the provider's own words, never the key; the exit code tells a script."""
    base = {"sendgrid": "/sendgrid-strict", "mailgun": "/mailgun-strict/v3"}[kind]
    table = {"kind": kind, "api_key": "key-canary", "base_url": service.emulator + base, **more}
    (tmp_path / "mailcore.toml").write_text(
        "[providers.strict]\n" + "".join(f'{name} = "{value}"\n' for name, value in table.items())
    )
    account = {"api_keys": ["known"], "domains": ["mg.shop.example"]}
    httpx.put(f"{service.emulator}/emulator/accounts/{kind}-strict", json=account).raise_for_status()

    code, out, _ = mailcore("check", "--json")

    rows = {row["what"]: row for row in json.loads(out)["data"]}
    assert code == Exit.FAILED
    assert rows["provider strict"]["state"] == "failed"
    assert told in rows["provider strict"]["told"]
    assert "canary" not in out


def test_a_provider_that_has_no_probe_is_said_to_be_unchecked(
    mailcore: Mailcore, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody else's provider cannot be asked is not guessed, and fails nothing."""
    monkeypatch.setattr("mailadapters.providers.sendgrid.connect", connector(replace(SENDGRID, probe=None)))
    (tmp_path / "mailcore.toml").write_text(
        f'[providers.theirs]\nkind = "sendgrid"\napi_key = "x"\nbase_url = "{service.emulator}/sendgrid"\n'
    )

    code, out, _ = mailcore("check")

    assert code == Exit.OK
    assert "key not checked" in out


def test_check_tells_that_the_api_would_want_a_key() -> None:
    """Settings that do for a worker may not do for the API: who checks them hears of it before it is started."""
    embedded = Settings(providers={"sendgrid": {"kind": "sendgrid"}})
    shared = replace(embedded, store="mongodb://127.0.0.1/mail", queue="redis://127.0.0.1/0")

    (told,) = missing_key(shared)

    assert (told["what"], told["state"]) == ("api", "unclear")
    assert "set MAILCORE_ADMIN_KEY" in told["told"]
    assert missing_key(embedded) == missing_key(replace(shared, admin_key=Secret("k" * 32))) == []


def test_check_fails_if_a_provider_cannot_be_reached(mailcore: Mailcore, tmp_path: Path) -> None:
    """The report names the one that is not there, and goes on to the others."""
    gone = f"127.0.0.1:{free_port()}"
    (tmp_path / "mailcore.toml").write_text(
        f'[providers.gone]\nkind = "sendgrid"\napi_key = "x"\nbase_url = "http://{gone}"\n'
    )

    code, out, _ = mailcore("check", "--json")

    rows = {row["what"]: row for row in json.loads(out)["data"]}
    assert code == Exit.FAILED
    assert rows["provider gone"]["state"] == "failed"
    assert rows["provider gone"]["told"].startswith(f"cannot reach {gone}: ConnectError")
    assert rows["store"]["state"] == "ok"


def test_simulate_shows_how_strategies_fare(mailcore: Mailcore) -> None:
    """A table for each scenario, a line for each strategy; one seed gives the same figures every time."""
    words = (
        "simulate",
        "--scenario",
        "brown-out 0.2",
        "--seeds",
        "1",
        "--strategy",
        "priority",
        "--strategy",
        "oracle",
    )

    code, first, _ = mailcore(*words)
    _, second, _ = mailcore(*words)
    _, machine, _ = mailcore(*words, "--json")

    assert code == Exit.OK
    assert first == second
    assert [line.split()[0] for line in first.splitlines() if line] == ["brown-out", "strategy", "priority", "oracle"]
    assert [one["strategy"] for one in json.loads(machine)["data"]] == ["priority", "oracle"]


def test_simulate_takes_the_providers_of_the_settings(mailcore: Mailcore, tmp_path: Path) -> None:
    """`--own`: what would my providers and weights have done; with one of them alone nobody takes its mail over."""
    (tmp_path / "mailcore.toml").write_text('[providers.alone]\nkind = "sendgrid"\napi_key = "x"\n')
    words = ("simulate", "--scenario", "brown-out 0.2", "--seeds", "1", "--strategy", "static", "--json")

    pair, alone = (json.loads(mailcore(*words, *own)[1])["data"][0] for own in ((), ("--own",)))

    assert pair["share"] < 1.0
    assert alone["share"] == 1.0


def test_a_port_in_use_is_told_with_the_setting_to_change(service: Service, tmp_path: Path) -> None:
    """Starting twice is the most usual mistake, and its message the most useful one."""
    bind, emulator = (url.removeprefix("http://") for url in (service.url, service.emulator))

    api = in_shell(tmp_path, "up", MAILCORE_BIND=bind, MAILCORE_EMULATOR__BIND=f"127.0.0.1:{free_port()}")
    inbox = in_shell(tmp_path, "up", MAILCORE_BIND=f"127.0.0.1:{free_port()}", MAILCORE_EMULATOR__BIND=emulator)

    ends = "is in use already: stop what listens there, or choose another"
    variable = "emulator.bind (MAILCORE_EMULATOR__BIND)"
    assert (api.returncode, api.stderr.splitlines()[-1]) == (1, f"mailcore: {bind} {ends} bind (MAILCORE_BIND)")
    assert (inbox.returncode, inbox.stderr.splitlines()[-1]) == (1, f"mailcore: {emulator} {ends} {variable}")


def test_wrong_settings_end_the_start_with_every_problem(tmp_path: Path) -> None:
    """Exit code 2, a line for each, and no traceback."""
    run = in_shell(tmp_path, "up", MAILCORE_LEESE="1s", MAILCORE_IN_FLIGHT="0")

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines() == [
        "mailcore: the settings are wrong",
        "  leese is no setting; did you mean lease? (set by MAILCORE_LEESE)",
        '  in_flight: expected a whole number >= 1, got "0" (set by MAILCORE_IN_FLIGHT)',
    ]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("worker", "extra"), ["mailcore: mailcore worker takes no more words: extra", "  see mailcore worker --help"]),
        (("lsit",), ["  see mailcore --help"]),
        (("list", "--limit", "500"), ["  see mailcore list --help"]),
        (("cancel",), ["mailcore: cancel: name e-mails by their ids, em_…, or give a filter such as --tag welcome"]),
    ],
)
def test_a_command_line_that_is_wrong_is_told_where_it_is_explained(
    arguments: tuple[str, ...], lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Every error of usage is plain lines of the same form, and none speaks Python."""
    code = run(arguments)

    err = capfd.readouterr().err.splitlines()
    assert code == Exit.USAGE
    assert err[0].startswith("mailcore: ")
    assert err[-len(lines) :] == lines


def test_a_wrong_filter_is_named_by_its_option(mailcore: Mailcore) -> None:
    """Who typed an option is not told of a query string."""
    code, _, err = mailcore("list", "--created-after", "tomorrow", "--status", "open")

    assert code == Exit.FAILED
    assert "--created-after: must be a time such as 2026-12-01T08:00:00Z" in err
    assert "--status: must be one of scheduled, " in err
    assert "query:" not in err


def test_the_emulator_listens_where_the_setting_says(tmp_path: Path) -> None:
    """`mailcore emulator` beside a worker goes by the same variable as `mailcore up`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"

        ran = in_shell(tmp_path, "emulator", MAILCORE_EMULATOR__BIND=bind)

    assert (ran.returncode, ran.stderr) == (
        Exit.FAILED,
        f"mailcore: {bind} is in use already: stop what listens there, or choose another --bind\n",
    )


@pytest.mark.parametrize(
    ("providers", "queue", "said", "unsaid"),
    [
        (1, "memory://", "p0 points there.", "point there."),
        (2, "memory://", "p0, p1 point there.", "points there."),
        (1, "redis://127.0.0.1/0", "p0 points there.", "every worker looks"),
    ],
)
def test_a_scheduler_says_what_must_run_beside_it(providers: int, queue: str, said: str, unsaid: str) -> None:
    """The banner's sentences are true of the settings, and its grammar of their number."""
    table = {"kind": "sendgrid", "base_url": "http://127.0.0.1:8025/sendgrid"}
    settings = Settings(queue=queue, providers={f"p{number}": table for number in range(providers)})

    told = banner(Started(role=Role.SCHEDULER, settings=settings))

    assert said in told
    assert unsaid not in told.replace(said, "")


def test_the_help_shows_an_address_in_angle_brackets(capfd: pytest.CaptureFixture[str]) -> None:
    """An example that can be copied is not eaten by the help's formatting."""
    run(["send", "--help"])

    assert "<no-reply@shop.example>" in capfd.readouterr().out


def test_no_colour_where_none_is_wanted(service: Service, tmp_path: Path) -> None:
    """Without a terminal, and with NO_COLOR anyway, there is not one escape sequence."""
    reach = {"MAILCORE_URL": service.url, "MAILCORE_ADMIN_KEY": KEY}

    runs = [in_shell(tmp_path, *words, NO_COLOR="1", **reach) for words in (("list",), ("lsit",), ("--help",))]

    assert [run.returncode for run in runs] == [0, 2, 0]
    assert all("\x1b" not in run.stdout + run.stderr for run in runs)


def test_help_loads_nothing_heavy() -> None:
    """`mailcore --help` is quick: no server, client or driver is loaded for it."""
    program = "import json, sys, mailapps.cli.app as a; a.run(['--help']); print(json.dumps(sorted(sys.modules)))"

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, env=plain_environ()
    )

    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"aiohttp", "apsw", "dependency_injector", "httpx", "litestar", "structlog", "uvicorn"})


@pytest.mark.parametrize(("library", "words"), [("cyclopts", ["--help"]), ("httpx", ["list"]), ("litestar", ["up"])])
def test_a_library_that_is_missing_is_named_with_how_to_install_it(
    library: str, words: list[str], tmp_path: Path
) -> None:
    """Whoever installed the core alone reads what to do, and no traceback."""
    program = f"import sys; sys.modules[{library!r}] = None; import mailapps.cli as c; c.main({words!r})"

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, text=True, env=plain_environ(), cwd=tmp_path
    )

    assert run.returncode == Exit.FAILED
    assert run.stderr.splitlines() == [
        f"mailcore: this needs a library that is not installed, {library}: pip install 'mailcore-engine[embedded]'"
    ]


def test_no_secret_address_or_subject_is_in_any_log_line(mailcore: Mailcore, service: Service) -> None:
    """Canary: whatever is sent, refused or wrong, the log names e-mails by their ids alone (I40)."""
    canaries = [f"canary{number}" for number in range(6)]
    to, subject, text, tag, header, name = canaries
    flags = ("--subject", subject, "--text", text, "--tag", tag, "--header", f"X-Canary:{header}")
    author = ("--from", f"{name} <shop@shop.example>")
    break_down(
        service, {"action": {"kind": "status", "status": 400, "body": {"errors": [{"message": to}]}}, "times": 1}
    )

    codes = [mailcore("send", "--to", f"{to}@example.com", *author, *flags, "--wait", "20")[0] for _ in range(3)]
    mailcore("send", "--to", f"{to}@", *author, *flags)
    mailcore("list", "--to", f"{to}@example.com")
    break_down(service)

    assert Exit.OK in codes
    assert service.log.count('"event":"attempted"') >= 3
    assert [word for word in (*canaries, KEY, "shop@") if word in service.log + service.said] == []
