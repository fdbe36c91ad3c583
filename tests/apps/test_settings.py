"""Settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from mailapps import settings_rules
from mailapps.container import provider_problems
from mailapps.settings import Settings, TracingSettings, shown
from mailapps.settings_rules import KNOWN_KEYS, problems_of
from mailapps.settings_sources import load, where
from mailcore.errors import SettingsError
from mailcore.secret import Secret

KEY = "pk_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"
ONE = '[providers.one]\nkind = "sendgrid"\napi_key = "SG.one"\n'
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return what writes a settings file, in an empty folder where the test runs."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


def problems(path: Path | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what is said of settings, line by line."""
    with pytest.raises(SettingsError) as caught:
        load(path, environ or {}, provider_problems)
    return str(caught.value).splitlines()


def test_without_any_settings_mail_goes_to_the_emulator_and_its_names_say_so(write: Write) -> None:
    """A newcomer needs no file, and never takes the emulator for a provider."""
    settings = load(None, {}, provider_problems)

    urls = {name: str(table["base_url"]) for name, table in settings.providers.items()}
    assert urls == {
        "sendgrid-emulator": "http://127.0.0.1:8025/sendgrid",
        "mailgun-emulator": "http://127.0.0.1:8025/mailgun/v3",
    }
    assert (settings.store, settings.queue) == ("sqlite:///mailcore.db", "memory://")


def test_the_default_settings_are_those_of_the_design(write: Write) -> None:
    """The defaults are promised in the documentation; changing one is a decision."""
    settings = load(write(ONE), {})

    assert settings == Settings(providers={"one": {"kind": "sendgrid", "api_key": Secret("SG.one")}})


def test_the_file_is_found_by_option_by_variable_or_by_its_name(write: Write) -> None:
    """--config wins over MAILCORE_CONFIG, which wins over ./mailcore.toml."""
    path = write(f"in_flight = 1\n{ONE}")
    other = path.with_name("other.toml")
    other.write_text(f"in_flight = 2\n{ONE}")
    path.with_name("mailcore.toml").write_text(f"in_flight = 3\n{ONE}")

    found = [load(path, {"MAILCORE_CONFIG": str(other)}), load(None, {"MAILCORE_CONFIG": str(other)}), load(None, {})]

    assert [settings.in_flight for settings in found] == [1, 2, 3]


def test_the_environment_wins_over_the_file_down_to_one_providers_key(write: Write, tmp_path: Path) -> None:
    """Any value can be set by MAILCORE_A__B; a provider's name may have dashes; secrets may come from files."""
    path = write(
        'lease = "50s"\n[retry]\nbase = "1s"\ncap = "2s"\n[providers.eu-one]\nkind = "sendgrid"\napi_key = "a"'
    )
    (tmp_path / "key").write_text("SG.from-file\n")
    environ = {
        "MAILCORE_LEASE": "90s",
        "MAILCORE_RETRY__CAP": "3m",
        "MAILCORE_IN_FLIGHT": "12",
        "MAILCORE_BULK_SHARE": "0.25",
        "MAILCORE_DEFAULT_FROM": "",
        "MAILCORE_PROVIDERS__EU_ONE__API_KEY_FILE": str(tmp_path / "key"),
        "MAILCORE_PROVIDERS__EU_ONE__WEIGHT": "80",
    }

    settings = load(path, environ, provider_problems)

    assert (settings.lease, settings.in_flight, settings.bulk_share) == (timedelta(seconds=90), 12, 0.25)
    assert (settings.retry.base, settings.retry.cap) == (timedelta(seconds=1), timedelta(minutes=3))
    assert settings.providers == {"eu-one": {"kind": "sendgrid", "api_key": Secret("SG.from-file"), "weight": 80.0}}


def test_variables_that_are_no_settings_are_left_alone(write: Write) -> None:
    """Kubernetes sets variables of its own for a service that is called mailcore; ours for clients and tests, too."""
    foreign = {
        "MAILCORE_SERVICE_HOST": "10.0.0.1",
        "MAILCORE_SERVICE_PORT_HTTP": "8000",
        "MAILCORE_PORT": "tcp://10.0.0.1:8000",
        "MAILCORE_PORT_8000_TCP_ADDR": "10.0.0.1",
        "MAILCORE_URL": "http://mail.example",
        "MAILCORE_TEST_MONGO": "mongodb://127.0.0.1",
    }

    assert load(write(ONE), foreign) == load(write(ONE), {})


def test_every_problem_is_told_at_once(write: Write) -> None:
    """An operator mends a file in one go."""
    path = write(
        'leese = "60s"\nbulk_share = 2\n[retry]\ncap = "soon"\n[providers.one]\nkind = "sendgrid"\nweight = -1'
    )

    assert problems(path) == [
        "leese is no setting; did you mean lease?",
        "bulk_share: expected a number <= 1.0, got 2",
        'retry.cap: expected a duration such as "500ms", "60s", "5m" or "72h", at most ten years, got "soon"',
        "providers.one.weight: expected a number > 0.0, got -1",
    ]


WRONG = [
    ("in_flight = 0", "in_flight: expected a whole number >= 1, got 0"),
    ('in_flight = "many"', 'in_flight: expected a whole number, got "many"'),
    ("lease = 60", 'lease: expected a text in quotes, or { env = "NAME" } or { file = "PATH" } for a secret, got 60'),
    ('lease = "0s"', 'lease: expected a duration such as "500ms", "60s", "5m" or "72h", at most ten years, got "0s"'),
    ('retry = "often"', "retry: expected a table, [retry]"),
    ('log.level = "loud"', 'log.level: expected one of debug, info, warning, error, got "loud"'),
    ("lanes.urgent.give_up = 3", "lanes.urgent.give_up is no setting; did you mean give_up_after?"),
    ('lanes.slow.give_up_after = "3h"', "lanes.slow is no setting; there are: urgent, transactional, bulk"),
    ('bind = "8000"', 'bind: expected host:port, such as "127.0.0.1:8000" or "[::1]:8000", got "8000"'),
    (
        'bind = "localhost:99999"',
        'bind: expected host:port, such as "127.0.0.1:8000" or "[::1]:8000", got "localhost:99999"',
    ),
    (
        'emulator.bind = ":8025"',
        'emulator.bind: expected host:port, such as "127.0.0.1:8000" or "[::1]:8000", got ":8025"',
    ),
    (
        'queue = "redis://r/0"',
        (
            'queue: with SQLite it is "memory://", since its workers look into the file themselves; '
            "redis:// goes with a store that several machines can reach, mongodb://…"
        ),
    ),
    (
        'queue = "sqs://eu-central-1"',
        (
            'queue: with SQLite it is "memory://", since its workers look into the file themselves; '
            "sqs:// goes with a store that several machines can reach, mongodb://…"
        ),
    ),
    (
        'store = "postgres://db"',
        (
            'store: there is no store for "postgres://db"; it may be "sqlite:///mailcore.db" '
            '(comes with mailcore-engine[embedded]) or "mongodb://127.0.0.1:27017/mailcore" '
            "(needs: pip install 'mailcore-engine[mongo]')"
        ),
    ),
    (
        'store = "postgres://shop:hunter2@db:5432/mail?sslkey=hunter2"',
        'store: there is no store for "postgres://db:5432/mail"; ',
    ),
    ('store = "shop.db"', "store: there is no store for a text without a scheme; "),
    (
        'queue = "amqp://guest:hunter2@r/0"',
        (
            'queue: there is no queue for "amqp://r/0"; it may be "memory://" or "redis://127.0.0.1:6379/0" '
            "(needs: pip install 'mailcore-engine[redis]') or \"sqs://eu-central-1\" "
            "(needs: pip install 'mailcore-engine[sqs]')"
        ),
    ),
    ('tracing.endpoint = "127.0.0.1:4318"', "tracing.endpoint: expected the URL of a collector, without a key in it"),
    ('tracing.endpoint = "http://key@collector"', "tracing.endpoint: expected the URL of a collector, without a key"),
    (
        'retention.record = "30d"',
        "retention.record is no setting; did you mean records?",
    ),
    ('default_from = "nobody"', "default_from: "),
    (
        'lease = "40s"',
        "lease: must be at least twice call_deadline and 5 s more, 45s, or two workers may send the same e-mail; it is",
    ),
    ('sweep = "16s"', "sweep: must be at most a quarter of lease, 15s"),
    ('poll = "1m"', "poll: must be at most a quarter of lease, 15s"),
    ('retry.base = "10m"', "retry.base: must be at most retry.cap"),
    (
        'admin_key = "as-plain-text-as-can-be-0123456789"',
        (
            'admin_key: it has no place in a settings file: write { env = "NAME" } or { file = "PATH" }, '
            "or set MAILCORE_ADMIN_KEY or MAILCORE_ADMIN_KEY_FILE"
        ),
    ),
    ('admin_key = { env = "NOBODY_SET_THIS" }', "admin_key: the environment variable NOBODY_SET_THIS is not set"),
    ('admin_key = { file = "/nowhere" }', "admin_key: /nowhere: No such file or directory"),
    (
        'key_pepper = "as-plain-text-as-can-be-0123456789"',
        (
            'key_pepper: it has no place in a settings file: write { env = "NAME" } or { file = "PATH" }, '
            "or set MAILCORE_KEY_PEPPER or MAILCORE_KEY_PEPPER_FILE"
        ),
    ),
    ('rate_limit.per = "0s"', "rate_limit.per: expected a duration"),
    ('rate_limit.per = "25h"', "rate_limit.per: must be at most a day, 24h"),
    ("rate_limit.requests = 0", "rate_limit.requests: "),
    ('sender_limit.per = "25h"', "sender_limit.per: must be at most a day, 24h"),
    ('recipient_limit.per = "25h"', "recipient_limit.per: must be at most a day, 24h"),
    ("recipient_limit.emails = 0", "recipient_limit.emails: "),
    ("admin_key = 7", 'admin_key: expected { env = "NAME" } or { file = "PATH" }'),
    ("providers = 3", "providers: expected tables, [providers.NAME]"),
    (
        "[providers.two]\nx = 1",
        'providers.two.kind is missing: it names the sort of provider, such as kind = "sendgrid"',
    ),
    (
        '[providers.two]\nkind = "sendgird"',
        "providers.two.kind: no providers entry is called 'sendgird'; there are: mailgun, sendgrid",
    ),
    ('[providers.two]\nkind = "sendgrid"', "providers.two.api_key is missing"),
    (
        '[providers.two]\nkind = "sendgrid"\napi_key = "x"\nwieght = 3',
        "providers.two.wieght is no setting; did you mean weight?",
    ),
    (
        '[providers.two]\nkind = "sendgrid"\napi_key = { vault = "x" }',
        'providers.two.api_key: expected a text, { env = "NAME" } or { file = "PATH" }',
    ),
    (
        '[providers."no way"]\nkind = "sendgrid"',
        "providers.no way: a provider's name is letters, digits, dots, dashes and underscores, at most 64",
    ),
    ("in_flight = ", "is no TOML"),
    ("bind = 5", "bind: expected a text in quotes, got 5"),
    ("bulk_share = true", "bulk_share: expected a number, got True"),
]


def test_a_url_is_shown_without_its_password() -> None:
    """Banner and log name the store and the queue, and never the password in their URL."""
    assert shown("mongodb://ann:p@ss/word@db:27017,db2:27017/mail?w=1") == "mongodb://db:27017,db2:27017/mail?w=1"
    assert shown("redis://:hunter2@r:6379/0") == "redis://r:6379/0"
    assert shown("sqlite:///mail@home.db") == "sqlite:///mail@home.db"
    assert shown("memory://") == "memory://"


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[text.splitlines()[-1] for text, _ in WRONG])
def test_what_is_wrong_is_named_with_its_remedy(write: Write, text: str, said: str) -> None:
    """A wrong setting names its key, what was expected, and the nearest right one."""
    path = write(f"{text}\n" if text.startswith("providers") else f"{text}\n{ONE}")

    assert any(said in line for line in problems(path)), problems(path)


def test_a_wrong_variable_is_named_beside_its_key(write: Write) -> None:
    """Whoever sets the environment finds what they wrote in the error."""
    environ = {"MAILCORE_LEESE": "60s", "MAILCORE_RETRY__CAP": "soon"}

    assert problems(write(ONE), environ) == [
        "leese is no setting; did you mean lease? (set by MAILCORE_LEESE)",
        (
            'retry.cap: expected a duration such as "500ms", "60s", "5m" or "72h", at most ten years, got "soon"'
            " (set by MAILCORE_RETRY__CAP)"
        ),
    ]


def test_a_file_without_providers_is_refused(write: Write) -> None:
    """A lost provider table does not turn real mail into the emulator's."""
    assert problems(write("")) == [
        (
            "providers: there is none; add a table such as [providers.sendgrid] with "
            'kind = "sendgrid" and api_key = { env = "SENDGRID_API_KEY" }'
        )
    ]


def test_a_named_file_that_is_not_there_is_refused(write: Write) -> None:
    """A mistyped --config does not start the service with defaults."""
    assert problems(Path("nowhere.toml")) == [
        "nowhere.toml: No such file or directory; name another file by --config or MAILCORE_CONFIG"
    ]


@pytest.mark.parametrize("bind", ["0.0.0.0:8000", "[::]:8000", "192.0.2.1:8000", "mail.example:8000"])
def test_off_loopback_a_key_and_a_real_provider_are_needed(write: Write, bind: str) -> None:
    """Nobody's mail is open to the network by default, and nobody's goes to a test inbox by a lost setting."""
    said = problems(None, {"MAILCORE_BIND": bind})

    assert [line.partition(":")[0] for line in said] == ["providers", "bind"]
    assert all(name in said[1] for name in ("MAILCORE_ADMIN_KEY", "MAILCORE_ADMIN_KEY_FILE", bind))


@pytest.mark.parametrize(
    ("environ", "refused"),
    [
        ({"MAILCORE_BIND": "0.0.0.0:8000"}, True),
        ({"MAILCORE_BIND": "0.0.0.0:8000", "MAILCORE_KEY_PEPPER": KEY}, False),
    ],
)
def test_off_loopback_a_recipient_limit_needs_a_pepper(environ: dict[str, str], *, refused: bool) -> None:
    """Without one whoever reads Redis could find out by guessing whom mail goes to."""
    said = problems(None, {"MAILCORE_RECIPIENT_LIMIT__EMAILS": "30", **environ})

    assert any(line.startswith("recipient_limit: off loopback it needs a pepper") for line in said) is refused
    assert load(None, {"MAILCORE_RECIPIENT_LIMIT__EMAILS": "30"}).recipient_limit.emails == 30


@pytest.mark.parametrize("bind", ["127.0.0.1:8000", "127.8.9.10:1", "[::1]:8000", "localhost:8000"])
def test_on_loopback_neither_is_needed(write: Write, bind: str) -> None:
    """A newcomer on one machine needs no key."""
    assert load(None, {"MAILCORE_BIND": bind}).admin_key is None


@pytest.mark.parametrize(
    ("table", "refused"),
    [
        ('kind = "sendgrid"\napi_key = "x"', False),
        ('kind = "sendgrid"\napi_key = "x"\nbase_url = "https://api.eu.sendgrid.com"', False),
        ('kind = "sendgrid"\napi_key = "x"\nbase_url = "http://localhost:8025/sendgrid"', True),
        ('kind = "sendgrid"\napi_key = "x"\nbase_url = "http://127.1.2.3:9000"', True),
        ('kind = "sendgrid"\napi_key = "x"\nbase_url = "http://[::1]/"', True),
        ('kind = "console"', True),
    ],
)
def test_a_provider_is_real_if_its_mail_leaves_this_machine(write: Write, table: str, *, refused: bool) -> None:
    """Off loopback a base_url on loopback, an emulator or a console is not a provider."""
    path = write(f'bind = "0.0.0.0:80"\n[providers.one]\n{table}')

    try:
        load(path, {"MAILCORE_ADMIN_KEY": KEY})
        said = ""
    except SettingsError as error:
        said = str(error)

    assert ("at least one must be real" in said) == refused


def test_off_loopback_an_emulator_is_refused_even_beside_a_real_provider(write: Write) -> None:
    """A share of the real mail must not go to a test inbox."""
    path = write(
        f'bind = "0.0.0.0:80"\n{ONE}'
        '[providers.two]\nkind = "sendgrid"\napi_key = "x"\nbase_url = "http://127.0.0.1:8025/sendgrid"\n'
    )

    assert problems(path, {"MAILCORE_ADMIN_KEY": KEY}) == [
        "providers.two: an emulator sends nothing, so off loopback it is refused: remove the table"
    ]


@pytest.mark.parametrize(
    "key", ["changeme", "Change-Me", "changeme-changeme-changeme", "MAILCORE-admin-key-0123456789", "12345" * 6]
)
def test_a_known_default_key_is_refused(write: Write, key: str) -> None:
    """A key that is nothing but what everybody tries first keeps nobody out."""
    assert problems(write(ONE), {"MAILCORE_ADMIN_KEY": key}) == [
        "admin_key: this is a known default; make one by: openssl rand -base64 32 (set by MAILCORE_ADMIN_KEY)"
    ]


@pytest.mark.parametrize("word", KNOWN_KEYS)
def test_a_key_may_hold_a_word_of_a_known_one(write: Write, word: str) -> None:
    """A key that was drawn is not refused for the letters that came up."""
    settings = load(write(ONE), {"MAILCORE_ADMIN_KEY": f"p{word}7Fq2mZ9xLr4Tb8WnQc5Jh"}, provider_problems)

    assert settings.admin_key is not None


def test_a_short_key_is_refused(write: Write) -> None:
    """A key that can be guessed is none."""
    assert problems(write(ONE), {"MAILCORE_ADMIN_KEY": "x7Kq2"}) == [
        "admin_key: must have at least 24 characters; make one by: openssl rand -base64 32 (set by MAILCORE_ADMIN_KEY)"
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_can_read_is_refused(write: Write, tmp_path: Path, mode: int) -> None:
    """The admin key's file is its owner's alone."""
    file = tmp_path / "admin.key"
    file.write_text(KEY)
    file.chmod(mode)

    assert problems(write(ONE), {"MAILCORE_ADMIN_KEY_FILE": str(file)}) == [
        (
            f"admin_key: others can read {file} (its mode is {mode:04o}): run chmod 600 {file} "
            "(set by MAILCORE_ADMIN_KEY_FILE)"
        )
    ]


def test_a_private_key_file_is_read(write: Write, tmp_path: Path) -> None:
    """Mode 0600, and the line's end is no part of the key."""
    file = tmp_path / "admin.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)

    settings = load(write(f'admin_key = {{ file = "{file}" }}\n{ONE}'), {})

    assert settings.admin_key == Secret(KEY)


def test_no_secret_shows_itself(write: Write) -> None:
    """Neither the settings nor an error about them repeat a key."""
    path = write('[providers.one]\nkind = "sendgrid"\napi_key = "SG.canary"\nwebhook_secret = "SG.canary"')

    said = "\n".join(problems(path, {"MAILCORE_ADMIN_KEY": f"{KEY}é"}))
    shown = repr(load(write(ONE.replace("SG.one", "SG.canary")), {"MAILCORE_ADMIN_KEY": KEY}))

    assert "webhook_secret is no setting" in said
    assert not any(secret in text for secret in ("SG.canary", KEY) for text in (said, shown))


def test_a_client_needs_nothing_but_address_and_key(write: Write) -> None:
    """`mailcore list` works where the providers' keys are not set."""
    path = write('bind = "0.0.0.0:81"\nin_flight = "x"\n[providers.one]\napi_key = { env = "NOT_HERE" }')

    at = where(path, {"MAILCORE_ADMIN_KEY": KEY}, read_file=True)

    assert at == ("http://127.0.0.1:81", Secret(KEY))


def test_the_key_of_a_file_is_not_for_another_service(write: Write, tmp_path: Path) -> None:
    """With --url no settings file is read, so its key goes nowhere else."""
    write("").rename(tmp_path / "mailcore.toml").write_text('admin_key = { env = "MINE" }')

    assert where(None, {"MINE": KEY}, read_file=True)[1] == Secret(KEY)
    assert where(None, {"MINE": KEY}, read_file=False)[1] is None


def test_traces_without_their_library_are_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody finds out a week later that nothing was ever told."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    settings = Settings(tracing=TracingSettings(endpoint="http://127.0.0.1:4318"))

    assert "tracing.endpoint: a library is missing: pip install 'mailcore-engine[otel]'" in problems_of(settings)


def test_a_queue_of_a_plug_in_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a distribution offers as a queue is one, with a store that several machines can reach."""
    plug_in = tmp_path / "shop_queue-1.0.dist-info"
    plug_in.mkdir()
    (plug_in / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-queue\nVersion: 1.0\n")
    (plug_in / "entry_points.txt").write_text("[mailcore.queues]\nshop = shop.queue:open_queue\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings_rules._offered.cache_clear()

    told = problems_of(Settings(store="mongodb://db/mail", queue="shop://here", providers={"p": {"kind": "sendgrid"}}))

    settings_rules._offered.cache_clear()
    assert told == []
