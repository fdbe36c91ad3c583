"""The files under deploy/: every command, option and setting in them is one that there is, and nothing is left open."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mailadapters.configuration import duration
from mailapps.api.config import ApiConfig
from mailapps.api.listener import Listener
from mailapps.cli.app import COMMANDS, registry
from mailapps.container import provider_problems
from mailapps.settings import Settings, place
from mailapps.settings_sources import load
from mailcore.metering import LocalRates

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "mailcore"]
UNITS = sorted((DEPLOY / "systemd").iterdir())
PLACES = {name: place for commands in COMMANDS.values() for name, (place, _) in commands.items()}
KEYS = {"admin_key": "k" * 32, "key_pepper": "p" * 32, "sendgrid_key": "SG.x", "mailgun_key": "mg"}


def instructions(name: str) -> Iterator[tuple[str, str]]:
    """Yield every instruction of a Dockerfile with what follows it, lines that go on put together."""
    text = re.sub(r"\\\n", " ", (DEPLOY / name).read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def unit(path: Path) -> dict[str, list[str]]:
    """Return the values of each key of a unit."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def environ_of(path: Path) -> dict[str, str]:
    """Return the environment of a unit's first instance."""
    lines = (line.replace("%i", "1") for line in unit(path)["Environment"])
    return dict(line.split("=", 1) for line in lines)


def settled(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a container or unit, its keys in a folder instead of where they will be."""
    text = (DEPLOY / "mailcore.toml").read_text().replace("/run/secrets/", f"{folder}/")
    for name, key in KEYS.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(key)
    (folder / "mailcore.toml").write_text(text)
    return load(folder / "mailcore.toml", environ, provider_problems)


def bound(words: list[str]) -> tuple[str, int]:
    """Return the function that runs for a command line, and how many options it gets; raises for what there is not."""
    command, given, _ = registry(words[0]).parse_args(words, exit_on_error=False, print_error=False)
    return f"{command.__module__}:{command.__name__}", len(given.arguments)


def meant(words: list[str]) -> tuple[str, int]:
    """Return the same by the registry's table and the words themselves."""
    return f"mailapps.cli.{PLACES[words[0]]}", sum(word.startswith("--") for word in words)


@pytest.mark.parametrize("name", OURS)
def test_every_container_runs_a_command_that_there_is(name: str) -> None:
    """A renamed command or option is noticed here and not at the next deployment."""
    words = SERVICES[name]["command"]

    assert bound(words) == meant(words)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_unit_runs_a_command_that_there_is(path: Path) -> None:
    """The same for systemd."""
    program, *words = shlex.split(unit(path)["ExecStart"][0])

    assert program == "/opt/mailcore/bin/mailcore"
    assert bound(words) == meant(words)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_every_container_are_right(name: str, tmp_path: Path) -> None:
    """Every key of mailcore.toml and every variable is a setting, and they go together."""
    environ = dict(SERVICES[name]["environment"])
    assert environ.pop("MAILCORE_CONFIG") == SERVICES[name]["volumes"][0]["target"]

    settings = settled(tmp_path, environ)

    assert settings.store.startswith("mongodb://mongo:")
    assert settings.queue.startswith("redis://redis:")
    assert list(settings.providers) == ["sendgrid", "mailgun"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_settings_of_every_unit_are_right(path: Path, tmp_path: Path) -> None:
    """A variable that is no setting would keep the unit from starting."""
    environ = environ_of(path)
    assert environ.pop("MAILCORE_CONFIG") == "/etc/mailcore/mailcore.toml"

    settings = settled(tmp_path, environ)

    assert settings.log.format == "json"


def test_no_two_units_answer_for_metrics_at_one_address(tmp_path: Path) -> None:
    """API, scheduler and workers run on one machine."""
    found = [settled(tmp_path, {**environ_of(path), "MAILCORE_CONFIG": ""}).metrics.bind for path in UNITS]

    assert sorted(map(str, found)) == ["127.0.0.1:9460", "127.0.0.1:9461", "None"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_locked_down_and_watched(name: str) -> None:
    """Not root, a root that cannot be written, no capabilities, limits, a health check, and a restart."""
    service = SERVICES[name]

    assert not service["user"].startswith(("0", "root"))
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]


@pytest.mark.parametrize("name", OURS)
async def test_a_health_check_asks_where_the_container_answers(name: str) -> None:
    """The address is the one that the settings bind, and the path one that is answered there."""
    url = re.search(r"http://127\.0\.0\.1:(\d+)(/[a-z/]+)", SERVICES[name]["healthcheck"]["test"][-1])
    environ = SERVICES[name]["environment"]
    bound = environ.get("MAILCORE_METRICS__BIND") or environ["MAILCORE_BIND"]
    assert url
    config = ApiConfig(admin_key=None, new_request_id=str, rates=LocalRates(float))
    app: Any = Listener(config=config, loopback=False)  # httpx types ASGI in its own way

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        answer = await http.get(url[2])

    assert int(url[1]) == place(bound).port
    assert answer.status_code == 200


@pytest.mark.parametrize("name", OURS)
def test_a_polite_stop_has_the_time_that_it_needs(name: str) -> None:
    """Containers and units are killed only after the call deadline and all that follows it."""
    needed = Settings().call_deadline.total_seconds() + 15

    assert duration(SERVICES[name]["stop_grace_period"]).total_seconds() >= needed
    assert all(float(unit(path)["TimeoutStopSec"][0]) >= needed for path in UNITS)


def test_only_the_api_is_published_and_only_on_this_machine() -> None:
    """MongoDB and Redis have no password here, so nobody but the containers may reach them."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert [SERVICES[name]["networks"] for name in ("mongo", "redis")] == [["data"], ["data"]]


def test_no_secret_is_in_the_image_or_in_a_file_of_ours() -> None:
    """Keys come by file: none is copied, none is a variable, and none is in the repository."""
    copied = " ".join(rest for word, rest in instructions("Dockerfile") if word in {"COPY", "ADD"})
    named = " ".join(rest for word, rest in instructions("Dockerfile") if word in {"ENV", "ARG"})
    tables = tomllib.loads((DEPLOY / "mailcore.toml").read_text())

    assert "secret" not in copied
    assert not re.search("KEY|SECRET|TOKEN|PASSWORD", named)
    assert {*COMPOSE["secrets"]} == {*KEYS} == {Path(one).name for one in _secret_files(tables)}
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()[1] == "*"


def _secret_files(tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield the file of every secret in the settings."""
    for table in (tables, *tables["providers"].values()):
        yield from (value["file"] for name, value in table.items() if name.endswith(("_key", "_pepper")))


def test_the_image_runs_as_nobody_in_particular_and_has_what_the_roles_need() -> None:
    """A numeric user, the entry point `mailcore`, and the extras of the containers' settings."""
    found = list(instructions("Dockerfile"))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = re.search(r"/src\[([a-z,]+)\]", " ".join(rest for _, rest in found))

    assert {word for word, _ in found} <= {
        *("FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD")
    }
    assert [rest for word, rest in found if word == "USER"] == ["10001:10001"] == [SERVICES["api"]["user"]]
    assert [rest for word, rest in found if word == "ENTRYPOINT"] == ['["mailcore"]']
    assert installed
    assert {"embedded", "mongo", "redis"} <= {*installed[1].split(",")} <= {*extras}


def test_what_the_image_copies_is_let_through_to_the_builder() -> None:
    """The list of what goes to the builder and the list of what is copied are the same."""
    copied = {
        word
        for op, rest in instructions("Dockerfile")
        if op == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}

    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []
