"""Secrets in settings: given as text, or by the name of an environment variable or a file that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from typing import Any, Final, cast

from mailcore.errors import SettingsError
from mailcore.secret import Secret

SECRET_NAMES: Final = ("key", "secret", "token", "password")
"""How the names of settings end that are secret even where they are written as plain text."""

_OTHERS: Final = 0o077


def resolved(value: object, at: str, environ: Mapping[str, str], *, private: bool = False) -> object:
    """Return a value, or the secret that ``{ env = "NAME" }`` or ``{ file = "PATH" }`` refers to.

    Args:
        value: As written.
        at: The key, for errors.
        environ: The environment.
        private: Others must not be able to read the file.

    Raises:
        SettingsError: It refers to nothing, or what is there is no secret.
    """
    if isinstance(value, str) and at.rsplit(".", 1)[-1].endswith(SECRET_NAMES):
        return _secret(value, at)
    if not isinstance(value, dict):
        return value
    match cast("dict[str, Any]", value):
        case {"env": str(name), **rest} if not rest:
            if not environ.get(name):
                raise SettingsError(f"{at}: the environment variable {name} is not set")
            return _secret(environ[name], at)
        case {"file": str(path), **rest} if not rest:
            return _secret(_private_text(Path(path), at, private=private), at)
        case _:
            raise SettingsError(f'{at}: expected a text, {{ env = "NAME" }} or {{ file = "PATH" }}')


def _private_text(path: Path, at: str, *, private: bool) -> str:
    """Return the text of a secret's file."""
    try:
        mode = S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise SettingsError(f"{at}: {path}: {error.strerror}") from error
    if private and mode & _OTHERS:
        raise SettingsError(f"{at}: others can read {path} (its mode is {mode:04o}): run chmod 600 {path}")
    return text


def _secret(text: str, at: str) -> Secret:
    """Return a text as a secret."""
    try:
        return Secret(text)
    except ValueError as error:
        raise SettingsError(f"{at}: {error}") from None
