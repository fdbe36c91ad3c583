"""Secret: used but never shown."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from mailcore.secret import Secret

KEY = "SG.very-secret-key"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a secret beside other things."""

    api_key: Secret
    domain: str = "example.com"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r:>9}".format, lambda secret: f"{secret}"])
def test_every_way_to_print_a_secret_shows_stars(shown: Callable[[Secret], str]) -> None:
    """A secret never reaches a log by being printed."""
    secret = Secret(KEY)

    text = shown(secret)

    assert text.strip() == "***"


def test_what_holds_a_secret_shows_stars() -> None:
    """Settings may be printed whole."""
    settings = Settings(api_key=Secret(KEY))

    text = repr(settings)

    assert KEY not in text
    assert "***" in text


def test_reveal_gives_the_text() -> None:
    """There is one way to the text, and it has a name to search for."""
    assert Secret(KEY).reveal() == KEY


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """A secret does not slip into a cache, a queue or another process."""
    secret = Secret(KEY)

    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret, protocol)


@pytest.mark.parametrize(
    "encode",
    [msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, json.dumps],
    ids=["json", "msgpack", "builtins", "stdlib"],
)
@pytest.mark.parametrize("wrap", [lambda secret: secret, lambda secret: {"key": secret}], ids=["bare", "inside"])
def test_a_secret_is_not_encoded(encode: Callable[[object], object], wrap: Callable[[Secret], object]) -> None:
    """No answer, document or log line can hold a secret: encoding it is an error."""
    value = wrap(Secret(KEY))

    with pytest.raises(TypeError) as caught:
        encode(value)

    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_settings_with_a_secret_are_not_encoded() -> None:
    """A struct is encoded field by field, and the secret stops it."""
    with pytest.raises(TypeError):
        msgspec.json.encode(Settings(api_key=Secret(KEY)))


def test_secrets_are_equal_by_their_text() -> None:
    """Two readings of one key are the same key, and a secret is not its text."""
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret(KEY + "x")
    assert Secret(KEY) != KEY


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_secret_itself(copied: Callable[[Secret], Secret]) -> None:
    """Settings that hold one can be copied without the text being written anywhere."""
    secret = Secret(KEY)

    assert copied(secret) is secret


def test_a_secret_does_not_change() -> None:
    """A key in use cannot be replaced under its users."""
    secret = Secret(KEY)

    with pytest.raises(AttributeError):
        secret._text = "other"
    with pytest.raises(AttributeError):
        del secret._text
    assert secret.reveal() == KEY


@pytest.mark.parametrize("text", ["", "a\nb", "a\r\nX-Injected: 1", "ключ", "\x00"])
def test_a_secret_that_no_header_can_carry_is_refused(text: str) -> None:
    """A key read with its line end, or an empty one, is heard of at the start, and not shown."""
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        Secret(text)

    assert not text or text not in str(caught.value)
