"""Where settings come from: mailcore.toml, then the environment, which wins; and what holds without either.

Everything here takes the environment as an argument and reads files, nothing else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import asdict

from mailadapters.configuration import read
from mailapps.settings import BIND, EMULATOR_BIND, Settings, Table, place
from mailapps.settings_rules import problems_of
from mailapps.settings_secrets import resolved
from mailcore.discovery import Share
from mailcore.errors import SettingsError
from mailcore.secret import Secret

FILE: Final = "mailcore.toml"
PREFIX: Final = "MAILCORE_"

NOT_SETTINGS: Final = re.compile(r"MAILCORE_(CONFIG|URL|TEST_.*|SERVICE_(HOST|PORT.*)|PORT(_.*)?)")
"""Variables that are no settings: two of the command line's, the tests', and what Kubernetes and container links
set for a service that is called mailcore."""

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

OUTSIDE: Final = ("admin_key", "key_pepper")
"""Secrets that have no place in the settings file itself."""

Tree = dict[str, Any]
ProviderProblems = Callable[[str, Table], Sequence[str]]


def no_problems(_name: str, _table: Table) -> Sequence[str]:
    """Leave the providers' own settings unread."""
    return ()


def load(config: Path | None, environ: Mapping[str, str], also: ProviderProblems = no_problems) -> Settings:
    """Return the settings.

    Args:
        config: The file named by ``--config``; by default MAILCORE_CONFIG, or ./mailcore.toml if it is there.
        environ: The environment.
        also: Tells what is wrong with one provider's table beyond what is the same for all kinds.

    Raises:
        SettingsError: One line for every key that is unknown, missing or wrong.
    """
    path = _path(config, environ)
    tree = merged(_toml(path) if path else {}, environ)
    if path is None and not tree.get("providers") and _stays_here(tree):
        tree = newcomer(tree)
    try:
        return _checked(tree, environ, also)
    except SettingsError as error:
        raise SettingsError("\n".join(_blamed(line, environ) for line in str(error).splitlines())) from None


def where(config: Path | None, environ: Mapping[str, str], *, read_file: bool) -> tuple[str, Secret | None]:
    """Return the address and the key of the service, for its clients, which need nothing else of the settings.

    Args:
        config: As for `load`.
        environ: The environment.
        read_file: Whether to look into a settings file at all.

    Raises:
        SettingsError: One of the two is wrong.
    """
    path = _path(config, environ) if read_file else None
    tree = merged(_toml(path) if path else {}, environ)
    try:
        at = place(str(tree.get("bind", BIND)))
    except ValueError as error:
        raise SettingsError(f"bind: {error}") from None
    return at.url, cast("Secret | None", _outside("admin_key", tree, environ).get("admin_key"))


def newcomer(tree: Tree) -> Tree:
    """Return settings for somebody who has none: both providers are the emulator, and their names say so."""
    emulator = f"http://{_emulator_bind(tree)}"
    return {
        "default_from": "mailcore <no-reply@mailcore.example>",
        **tree,
        "providers": {
            "sendgrid-emulator": {"kind": "sendgrid", "api_key": "emulator", "base_url": f"{emulator}/sendgrid"},
            "mailgun-emulator": {
                "kind": "mailgun",
                "api_key": "emulator",
                "domain": "mailcore.example",
                "base_url": f"{emulator}/mailgun/v3",
            },
        },
    }


def _stays_here(tree: Tree) -> bool:
    """Whether nobody else can reach the service: only then may its mail go nowhere."""
    try:
        return place(str(tree.get("bind", BIND))).loopback
    except ValueError:
        return True


def _emulator_bind(tree: Tree) -> str:
    """Return where the emulator is told to listen."""
    place = tree.get("emulator")
    return str(cast("Tree", place).get("bind", EMULATOR_BIND)) if isinstance(place, dict) else EMULATOR_BIND


def _path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read, if any."""
    named = config or (Path(environ["MAILCORE_CONFIG"]) if environ.get("MAILCORE_CONFIG") else None)
    return named or (Path(FILE) if Path(FILE).exists() else None)


def _toml(path: Path) -> Tree:
    """Return a file's content.

    Raises:
        SettingsError: It cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; name another file by --config or MAILCORE_CONFIG") from error
    except ValueError as error:  # tomllib's own error and UnicodeDecodeError
        raise SettingsError(f"{path} is no TOML: {error}") from None


def merged(tree: Tree, environ: Mapping[str, str]) -> Tree:
    """Return settings with those of the environment laid over them. An empty variable counts as none."""
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and text and not NOT_SETTINGS.fullmatch(name):
            keys, value = _setting(name, text)
            tree = _with(tree, keys, value)
    return tree


def _setting(name: str, text: str) -> tuple[list[str], object]:
    """Return the keys and the value that a variable stands for."""
    keys = name.removeprefix(PREFIX).lower().split("__")
    if keys[-1].endswith("_file"):
        return [*keys[:-1], keys[-1].removesuffix("_file")], {"file": text}
    return keys, {"env": name} if keys[0] in OUTSIDE and len(keys) == 1 else text


def _blamed(line: str, environ: Mapping[str, str]) -> str:
    """Return a problem with the environment variable that brought it, if one did."""
    key = line.partition(" ")[0].rstrip(":").replace("-", "_")
    brought = (name for name in environ if name.startswith(PREFIX) and ".".join(_setting(name, "")[0]) == key)
    return next((f"{line} (set by {name})" for name in brought), line)


def _with(tree: Tree, keys: Sequence[str], value: object) -> Tree:
    """Return a tree with a value at a path; a key may stand there with dashes for underscores."""
    first, rest = keys[0], keys[1:]
    key = next((one for one in tree if one.replace("-", "_").lower() == first), first)
    below = tree.get(key)
    inner = cast("Tree", below) if isinstance(below, dict) else {}
    return {**tree, key: _with(inner, rest, value) if rest else value}


def _checked(tree: Tree, environ: Mapping[str, str], also: ProviderProblems) -> Settings:
    """Return a tree as Settings. What must hold between keys is looked at once each can be read."""
    problems: list[str] = []
    values: Tree = {}
    for part in (_plain, partial(_outside, "admin_key"), partial(_outside, "key_pepper"), _providers):
        try:
            values |= part(tree, environ)
        except SettingsError as error:
            problems.append(str(error))
    settings = Settings(**values)
    problems += [] if problems else problems_of(settings)
    problems += [text for name, table in settings.providers.items() for text in also(name, table)]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _plain(tree: Tree, _environ: Mapping[str, str]) -> Tree:
    """Return all settings but the secret ones."""
    rest = {key: value for key, value in tree.items() if key not in {*OUTSIDE, "providers"}}
    settings = read(Settings, rest)
    return {name: value for name, value in asdict(settings).items() if name not in {*OUTSIDE, "providers"}}


def _outside(name: str, tree: Tree, environ: Mapping[str, str]) -> Tree:
    """Return a secret that is never written into the settings file itself, if it is given."""
    said = tree.get(name)
    if said is None:
        return {}
    if isinstance(said, str):
        variable = f"{PREFIX}{name.upper()}"
        raise SettingsError(
            f'{name}: it has no place in a settings file: write {{ env = "NAME" }} or {{ file = "PATH" }}, '
            f"or set {variable} or {variable}_FILE"
        )
    secret = resolved(said, name, environ, private=True)
    if not isinstance(secret, Secret):
        raise SettingsError(f'{name}: expected {{ env = "NAME" }} or {{ file = "PATH" }}')
    return {name: secret}


def _providers(tree: Tree, environ: Mapping[str, str]) -> Tree:
    """Return the providers' tables, their secrets read."""
    tables = tree.get("providers", {})
    if not isinstance(tables, dict):
        raise SettingsError("providers: expected tables, [providers.NAME]")
    problems: list[str] = []
    found: Tree = {}
    for name, table in cast("Tree", tables).items():
        try:
            found[name] = _provider(name, table, environ)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return {"providers": found}


def _provider(name: str, table: object, environ: Mapping[str, str]) -> Table:
    """Return one provider's table: what all kinds share is read here, the rest is its kind's own."""
    at = f"providers.{name}"
    if not isinstance(table, dict):
        raise SettingsError(f"{at}: expected a table, [{at}]")
    if not NAME.fullmatch(name):
        raise SettingsError(f"{at}: a provider's name is letters, digits, dots, dashes and underscores, at most 64")
    own = _resolved_all(cast("Tree", table), at, environ)
    if not isinstance(own.get("kind"), str):
        raise SettingsError(f'{at}.kind is missing: it names the sort of provider, such as kind = "sendgrid"')
    shared: Tree = {key: own[key] for key in ("weight", "max_per_second") if key in own}
    share = read(Share, shared, f"{at}.")
    return {**own, **{key: getattr(share, key) for key in shared}}


def _resolved_all(table: Tree, at: str, environ: Mapping[str, str]) -> Tree:
    """Return a table with its secrets read; every one that cannot be is told."""
    found: Tree = {}
    problems: list[str] = []
    for key, value in table.items():
        try:
            found[key] = resolved(value, f"{at}.{key}", environ)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return found
