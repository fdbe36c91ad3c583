"""Secret: text that may be used but not shown, stored or sent anywhere by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn, final

MASK = "***"


@final
class Secret:
    """An API key or password. Shows itself as ``***``; pickling it and encoding it as JSON are errors.

    Equality takes the same time wherever two secrets differ.
    """

    __slots__ = ("_text",)

    _text: str

    def __init__(self, text: str) -> None:
        """Keep a secret.

        Raises:
            ValueError: There is nothing in it, or a character that no header can carry.
        """
        if not text or not (text.isascii() and text.isprintable()):
            raise ValueError("a secret is printable ASCII and not empty")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """Return the text itself; the one way to it, so that a search finds every use."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled")
