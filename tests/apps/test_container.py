"""The container: which adapter stands behind which port, and what a process loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import fields

from mailadapters.inprocess_queue import InProcessQueue
from mailadapters.providers.http import HttpProvider
from mailadapters.sqlite import SqliteHealth, SqliteStore
from mailapps.container import Container, opened, provider_problems
from mailapps.guarding import must_ask
from mailapps.scheduling import must_keep
from mailapps.settings import (
    EmailLimitSettings,
    LanesSettings,
    RateLimitSettings,
    RetentionSettings,
    RetrySettings,
    Settings,
    UrgentSettings,
)
from mailapps.tuning import SCHEDULER_SLOTS, Role, pace_of, rules_of
from mailcore.breaker import BreakerRules
from mailcore.errors import SettingsError, StoreUnavailableError
from mailcore.health import HealthRules
from mailcore.message import Lane, Message
from mailcore.rates import RateLimit
from mailcore.retention import Kept
from mailcore.rules import Rules
from mailcore.secret import Secret
from mailcore.strategy import weighted
from mailcore.testing import MemoryStore

TABLES: Mapping[str, Mapping[str, object]] = {
    "first": {"kind": "sendgrid", "api_key": Secret("SG.x"), "weight": 80.0, "max_per_second": 8.0},
    "second": {"kind": "mailgun", "api_key": Secret("mg"), "domain": "mg.example.com"},
}


def settings_in(folder: Path, **changes: object) -> Settings:
    """Return settings with a store of their own."""
    return Settings(**{"store": f"sqlite:///{folder}/mail.db", "providers": TABLES, **changes})


async def test_each_port_has_the_adapter_that_the_settings_name(tmp_path: Path) -> None:
    """SQLite with its shared health, the in-process queue, and the providers in configured order."""
    async with opened(settings_in(tmp_path), Role.UP) as parts:
        ports = parts.ports()

    assert isinstance(ports.store, SqliteStore)
    assert isinstance(ports.health, SqliteHealth)
    assert isinstance(ports.queue, InProcessQueue)
    assert all(isinstance(one.provider, HttpProvider) for one in ports.providers)
    assert [(one.provider.name, one.weight, one.max_per_second) for one in ports.providers] == [
        ("first", 80.0, 8.0),
        ("second", 1.0, None),
    ]


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({}, False),
        ({"admin_key": Secret("k" * 24)}, False),
        ({"store": "mongodb://127.0.0.1/mailcore"}, True),
        ({"store": "mongodb://127.0.0.1/mailcore", "admin_key": Secret("k" * 24)}, False),
        ({"bind": "0.0.0.0:8000"}, True),
    ],
)
def test_only_the_embedded_form_on_loopback_asks_for_no_key(
    tmp_path: Path, changes: dict[str, object], *, asks: bool
) -> None:
    """Another store says that others are about: then even on loopback there must be a key."""
    settings = settings_in(tmp_path, **changes)

    with pytest.raises(SettingsError, match="MAILCORE_ADMIN_KEY") if asks else nullcontext():
        must_ask(settings)


@pytest.mark.parametrize(
    ("bind", "pepper", "there"),
    [("127.0.0.1:1", None, True), ("0.0.0.0:1", None, False), ("0.0.0.0:1", Secret("p" * 24), True)],
)
async def test_off_loopback_there_are_keys_only_under_a_pepper(
    tmp_path: Path, bind: str, pepper: Secret | None, *, there: bool
) -> None:
    """Whoever can write to the store must not be able to make keys; on loopback that is everybody anyway."""
    async with opened(settings_in(tmp_path, bind=bind, key_pepper=pepper), Role.API) as parts:
        keyring = parts.api().keyring

    assert (keyring is not None) is there
    assert keyring is None or keyring.pepper == (pepper and pepper.reveal().encode())


async def test_a_rate_limit_of_the_settings_is_the_apis(tmp_path: Path) -> None:
    """Without a number there is none."""
    limits = []
    for limit in (RateLimitSettings(), RateLimitSettings(requests=5, per=timedelta(seconds=2))):
        async with opened(settings_in(tmp_path, rate_limit=limit), Role.API) as parts:
            limits.append(parts.api().rate_limit)

    assert limits == [None, RateLimit(requests=5, per=timedelta(seconds=2))]


@pytest.mark.parametrize("name", ["sender_limit", "recipient_limit"])
async def test_a_limit_of_emails_of_the_settings_is_the_apis(tmp_path: Path, name: str) -> None:
    """Without a number there is none."""
    limits = []
    for limit in (EmailLimitSettings(), EmailLimitSettings(emails=30)):
        async with opened(settings_in(tmp_path, **{name: limit}), Role.API) as parts:
            limits.append(getattr(parts.api(), name))

    assert limits == [None, RateLimit(requests=30, per=timedelta(hours=1))]


async def test_the_parts_of_a_process_are_made_once(tmp_path: Path) -> None:
    """API and engine share one store, one mailer and one stop."""
    async with opened(settings_in(tmp_path), Role.UP) as parts:
        made = parts.assembled()

        assert made is parts.assembled()
        assert made.mailer.ports is made.engine.courier.ports is parts.ports()
        assert parts.stop() is parts.stop()


async def test_what_the_api_is_told_follows_the_process(tmp_path: Path) -> None:
    """Readiness goes by the same stop as the engine, and the store is a probe."""
    async with opened(settings_in(tmp_path, admin_key=Secret("k" * 24)), Role.API) as parts:
        config = parts.api()
        before = config.draining()
        parts.stop().set()
        await config.probes["store"]()

    assert (before, config.draining(), config.admin_key) == (False, True, Secret("k" * 24))


async def test_a_message_goes_in_by_the_assembled_mailer(tmp_path: Path) -> None:
    """The default author of the settings is the one of messages that name none."""
    settings = settings_in(tmp_path, default_from="Shop <no-reply@shop.example>")
    async with opened(settings, Role.API) as parts:
        mailer = parts.assembled().mailer
        added = await mailer.submit(Message(to="ann@example.com", subject="Hi", text="Hello"))

        kept = await mailer.content(added.email.id)

    assert getattr(kept.from_, "email", None) == "no-reply@shop.example"


async def test_a_store_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    """A wrong path is found before the process says that it is ready."""
    with pytest.raises(StoreUnavailableError):
        async with opened(settings_in(tmp_path, store=f"sqlite:///{tmp_path}/nowhere/mail.db"), Role.UP):
            pass


def test_every_number_of_the_rules_comes_from_the_settings() -> None:
    """No setting is read and then forgotten on the way to a decision."""
    settings = Settings(
        strategy="weighted",
        lease=timedelta(seconds=99),
        call_deadline=timedelta(seconds=9),
        max_crashes=7,
        max_unknowns=8,
        unknown_grace=timedelta(seconds=31),
        hold_for=timedelta(hours=1),
        wakeup_grace=timedelta(seconds=11),
        retry=RetrySettings(base=timedelta(seconds=1), cap=timedelta(seconds=2), max_rounds=3),
        lanes=LanesSettings(urgent=UrgentSettings(give_up_after=timedelta(minutes=1))),
    )

    rules = rules_of(settings, Role.UP)

    same = [one.name for one in fields(Rules) if getattr(rules, one.name) == getattr(Rules(), one.name)]
    assert same == ["look_again"]
    assert rules.health == HealthRules(breaker=BreakerRules(permit_lease=timedelta(seconds=9 + 5)))
    assert rules.strategy is weighted
    assert rules.lanes.give_up_after(Lane.URGENT) == timedelta(minutes=1)


def test_what_an_api_alone_accepts_is_due_at_once() -> None:
    """Its wake-ups reach no other process, so workers that look into the store need not wait for them to be lost."""
    graces = {role: rules_of(Settings(), role).wakeup_grace for role in Role}

    assert graces == {**dict.fromkeys(Role, Settings().wakeup_grace), Role.API: timedelta(0)}


def test_an_unknown_strategy_is_refused_with_those_that_there_are() -> None:
    """A typo does not choose a strategy."""
    with pytest.raises(SettingsError, match="'wieghted'; there are: preferred_band, priority, weighted"):
        rules_of(Settings(strategy="wieghted"), Role.UP)


def test_a_scheduler_takes_its_time_and_few_slots() -> None:
    """`scheduler` looks every `sweep`; every other role looks every `poll` and sends with all slots."""
    settings = Settings(in_flight=100, bulk_share=0.3)

    paces = {role: pace_of(settings, role) for role in Role}

    assert (paces[Role.SCHEDULER].slots, paces[Role.SCHEDULER].poll) == (SCHEDULER_SLOTS, settings.sweep)
    assert {(pace.slots, pace.poll) for role, pace in paces.items() if role is not Role.SCHEDULER} == {
        (100, settings.poll)
    }
    assert {pace.bulk_share for pace in paces.values()} == {0.3}


def test_the_problems_of_a_provider_come_from_its_own_kind() -> None:
    """A third party's provider checks its own settings, in the same breath as ours."""
    said = provider_problems("mine", {"kind": "mailgun", "api_key": Secret("x")})

    assert said == ["providers.mine.domain is missing"]


def test_up_loads_no_driver_that_it_does_not_use() -> None:
    """The embedded service needs neither a broker nor a database server, nor their libraries."""
    program = (
        "import json, sys, mailapps.cli.running, mailapps.api.app, mailapps.api.server, mailapps.container as c\n"
        "from mailapps.settings import Settings\n"
        "c.Container(settings=Settings(), role=c.Role.UP).assembled()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    loaded = set(json.loads(run.stdout))
    assert "litestar" in loaded
    assert loaded.isdisjoint({"dramatiq", "redis", "pymongo", "pytest", "hypothesis", "smtplib"})


def test_the_container_makes_no_network_call() -> None:
    """Everything is made without a loop, a wait or a connection; the first use opens it."""
    made = Container(settings=Settings(providers=TABLES), role=Role.UP)

    assert made.assembled().engine.pace.slots == 320


async def test_a_scheduler_goes_by_the_settings(tmp_path: Path) -> None:
    """How often it sweeps, what it leaves alone, and what it erases at which age; no two have one name."""
    kept = RetentionSettings(content=timedelta(days=1), addresses=timedelta(days=2), records=timedelta(days=3))
    settings = settings_in(tmp_path, sweep_page=7, sweep_grace=timedelta(seconds=9), retention=kept)
    async with opened(settings, Role.SCHEDULER) as one, opened(settings, Role.SCHEDULER) as other:
        made = one.scheduler()
        names = {made.leadership.holder, other.scheduler().leadership.holder}

    assert (made.rules.every, made.rules.grace, made.rules.page) == (settings.sweep, timedelta(seconds=9), 7)
    assert made.rules.wakes is False
    assert [made.retention.rules.age(kept) for kept in Kept] == [timedelta(days=n) for n in (1, 2, 3)]
    assert made.courier.roster.slots == 7
    assert len(names) == 2


def test_a_store_that_cannot_keep_what_the_service_needs_is_named() -> None:
    """It shows at the start, and not when somebody wants to stop a provider."""
    must_keep(MemoryStore())
    with pytest.raises(SettingsError, match=r"switches, a leader's lease, things for .* keys, a suppression list"):
        must_keep(object())  # type: ignore[arg-type] # no store at all
